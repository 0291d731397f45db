import Admission
import Simulation
import Testing

/// One seed of the trials that run in seconds in a debug build; `make simulate` runs all of them.
struct TrialTests {
  @Test(arguments: ["over10", "cold40", "low5rps", "steady0.5", "clockstep", "over10workers4"])
  func `goals are reached`(_ name: String) throws {
    let trial = try #require(Trials.named(name))

    var scenario = trial.scenario
    if scenario.length == 60 {
      scenario.length = 40
      scenario.measured = 15...38
    }
    let report = Simulation.run(scenario, seed: 1)

    for goal in trial.goals {
      #expect(
        goal.isMet(by: report),
        "\(name): \(goal.name) is \(goal.figure(report)), bound \(goal.bound)"
      )
    }
    #expect(report.leaked == 0)
  }

  @Test func `a run is a function of its seed`() throws {
    var scenario = try #require(Trials.named("over10")).scenario
    scenario.length = 6
    scenario.measured = 1...4

    let first = Simulation.run(scenario, seed: 9)
    let second = Simulation.run(scenario, seed: 9)
    let other = Simulation.run(scenario, seed: 10)

    #expect(first.goodput == second.goodput && first.shed == second.shed)
    #expect(first.shed != other.shed)
  }

  @Test func `a limit that is far too high shows in the figures`() throws {
    var scenario = try #require(Trials.named("over10")).scenario
    scenario.length = 10
    scenario.measured = 3...8

    let world = World(scenario, seed: 1, limiter: .fixed(.init(limit: 2_000)))
    world.run()

    #expect(world.report().critical < 0.9)
    #expect(world.report().goodput < 0.5)
  }
}
