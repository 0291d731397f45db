internal import Admission

/// Runs a scenario to its end.
///
/// - Parameters:
///   - scenario: What happens.
///   - seed: One value gives one course.
///   - name: The limit of every edge, as `Limiter` names it; an unknown one is the default.
/// - Returns: The figures.
public func run(
  _ scenario: Scenario,
  seed: UInt64,
  limiterNamed name: String = "latency-gradient"
) -> Report {
  let limiter = Limiter(named: name) ?? .standard
  var learned: (Limiter, [Double])?
  if scenario.isWarm {
    // What an edge that ran until now would have saved.
    var past = scenario
    past.length = 120
    let earlier = World(past, seed: seed &+ 1_000, limiter: limiter)
    earlier.run()
    learned = earlier.edges[0].saved()
  }
  let world = World(scenario, seed: seed, limiter: learned?.0 ?? limiter, weights: learned?.1 ?? [])
  world.run()
  return world.report()
}
