import Simulation
import Testing
import Units

@testable import Admission

/// Two or more workers of one service, stepped by hand.
struct WorkersTests {
  @Test func `a permit goes to the worker with a higher class waiting`() {
    let service = makeService(limit: 1, workers: 2)
    let a = TestWorker(service, 0)
    let b = TestWorker(service, 1)
    var permits: [StoredPermit] = []
    let permit = a.ask(0).permit
    _ = a.ask(1, 2)
    _ = b.ask(2, 1)

    a.finish(permit)

    #expect(a.events(&permits).isEmpty)
    #expect(a.takeBells() == 0b10)
    #expect(service.inFlight == 1)
    b.turn(at(1), wallOffset: .zero)
    #expect(b.events(&permits) == [.dispatched(2)])
    b.finish(permits.popLast())
    #expect(b.takeBells() == 0b01)
    a.turn(at(2), wallOffset: .zero)
    #expect(a.events(&permits) == [.dispatched(1)])
    a.finish(permits.popLast())
    #expect(service.inFlight == 0)
  }

  @Test func `a permit that is not needed any more is passed on`() {
    let service = makeService(limit: 1, workers: 3)
    let a = TestWorker(service, 0)
    let b = TestWorker(service, 1)
    let c = TestWorker(service, 2)
    var permits: [StoredPermit] = []
    let permit = a.ask(0).permit
    let ticket = b.ask(1, 0).ticket
    _ = c.ask(2, 3)
    a.finish(permit)
    #expect(a.takeBells() == 0b010)

    if let ticket { _ = b.cancel(ticket, now: at(1)) }
    b.turn(at(2), wallOffset: .zero)

    #expect(b.takeBells() == 0b100)
    c.turn(at(3), wallOffset: .zero)
    #expect(c.events(&permits) == [.dispatched(2)])
    c.finish(permits.popLast())
    #expect(service.inFlight == 0 && service.waiting == 0)
  }

  @Test func `a higher class that comes while a permit is on its way gets it`() {
    let service = makeService(limit: 1, workers: 2)
    let a = TestWorker(service, 0)
    let b = TestWorker(service, 1)
    var permits: [StoredPermit] = []
    let permit = a.ask(0).permit
    _ = b.ask(1, 2)
    a.finish(permit)
    _ = a.ask(2, 0)

    b.turn(at(1), wallOffset: .zero)

    #expect(b.events(&permits).isEmpty)
    #expect(b.takeBells() == 0b01)
    a.turn(at(1), wallOffset: .zero)
    #expect(a.events(&permits) == [.dispatched(2)])
    a.finish(permits.popLast())
    b.turn(at(2), wallOffset: .zero)
    #expect(b.events(&permits) == [.dispatched(1)])
    b.finish(permits.popLast())
    #expect(service.inFlight == 0)
  }

  @Test func `a worker without permits gets its share of a class`() {
    let service = makeService(limit: 1, workers: 2)
    let a = TestWorker(service, 0)
    let b = TestWorker(service, 1)
    var permits: [StoredPermit] = []
    var permit = a.ask(0).permit
    _ = b.ask(100, 1)
    for handle in 1...8 { _ = a.ask(UInt64(handle), 1) }

    var bells: UInt64 = 0
    for _ in 0..<8 where bells == 0 {
      a.finish(permit)
      _ = a.events(&permits)
      permit = permits.popLast()
      bells = a.takeBells()
    }

    #expect(bells == 0b10)
    b.turn(at(1), wallOffset: .zero)
    #expect(b.events(&permits) == [.dispatched(100)])
    b.finish(permits.popLast())
  }

  @Test func `classes of what waits are read with what is on its way`() {
    #expect(WorkerAdmission.highest(0x01_00_02, provided: 0) == 0)
    #expect(WorkerAdmission.highest(0x01_00_02, provided: 2) == 2)
    #expect(WorkerAdmission.highest(0x01_00_02, provided: 3) == PriorityClasses.maximum)
    #expect(WorkerAdmission.highest(0xFF, provided: 1_000) == 0)
  }

  @Test func `four workers learn what one does`() throws {
    var scenario = try #require(Trials.named("over10")).scenario
    // What a cold start left has gone: how far the limit grew then is a matter of chance.
    scenario.length = 18
    scenario.measured = 10...16
    var shared = scenario
    shared.workers = 4

    let one = Simulation.run(scenario, seed: 3)
    let four = Simulation.run(shared, seed: 3)

    #expect(abs(one.goodput - four.goodput) < 0.04)
    #expect(abs(one.meanLimit - four.meanLimit) < 0.15 * one.meanLimit)
    #expect(four.leaked == 0)
  }
}
