import Testing
import Units

@testable import Admission

/// When a service is limited, so that nothing is sent that need not be.
struct LimitedTests {
  @Test func `a service with room is not limited, one at its limit is, but for the caller's own`() {
    let worker = TestWorker(makeService(limit: 2), 0)
    #expect(!worker.isLimited(besides: 0))

    let first = worker.ask(1)
    #expect(!worker.isLimited(besides: 0))
    let second = worker.ask(2)

    #expect(worker.isLimited(besides: 0))
    #expect(!worker.isLimited(besides: 1))
    worker.finish(first.permit)
    #expect(!worker.isLimited(besides: 0))
    worker.finish(second.permit)
  }

  @Test func `a service is limited while somebody waits, with another worker as well`() {
    let service = makeService(limit: 1, workers: 2)
    let (one, other) = (TestWorker(service, 0), TestWorker(service, 1))
    let held = one.ask(1)
    let waiting = other.ask(2)
    #expect(waiting.isQueued)

    #expect(one.isLimited(besides: 1))
    #expect(other.isLimited(besides: 1))

    #expect(waiting.ticket.map { other.cancel($0, now: at(1)) } == true)
    #expect(!one.isLimited(besides: 1))
    one.finish(held.permit)
  }

  @Test func `a service is limited while a class stands, even when a permit is free`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    #expect(!worker.isLimited(besides: 1))

    service.cells.store(UInt64(1), ServiceCells.Place.standing)

    #expect(worker.isLimited(besides: 1))
  }
}
