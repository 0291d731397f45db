import Testing
import Units

@testable import Admission

/// Requests that hang at some endpoints of a service, and what the others may do meanwhile.
struct HangingTests {
  /// A service whose permits are all given, and as many requests of the next moment that wait.
  private func full(
    _ limit: Int,
    waiting: Int
  ) -> (ServiceAdmission, TestWorker, [StoredPermit]) {
    let service = makeService(limit: limit, workers: 2)
    let worker = TestWorker(service, 0)
    let permits = (0..<limit).compactMap { worker.ask(UInt64($0)).permit }
    for handle in 0..<waiting { #expect(worker.ask(UInt64(100 + handle)).isQueued) }
    return (service, worker, permits)
  }

  @Test func `as many go out beside the limit as hang`() {
    let (service, worker, permits) = full(4, waiting: 5)
    worker.admission.noteHanging(3)
    worker.turn(at(10), wallOffset: .zero)

    var more: [StoredPermit] = []
    #expect(worker.events(&more).count == 3)
    #expect(service.inFlight == 7)
    #expect(service.waiting == 2)
    #expect(service.limit == 4, "the limit itself is as it was")
    #expect(service.hanging == 3)
    // One that ends makes room for one.
    worker.finish(more.removeFirst(), at: at(11))
    #expect(worker.events(&more).count == 1)
    #expect(service.inFlight == 7)

    for permit in permits + more { worker.finish(permit, at: at(12)) }
  }

  @Test func `at most twice the limit is out`() {
    let (service, worker, _) = full(4, waiting: 50)
    worker.admission.noteHanging(1_000)
    worker.pass(from: 10, to: 100)

    var more: [StoredPermit] = []
    _ = worker.events(&more)
    #expect(more.count == 4)
    #expect(service.inFlight == 8)
    #expect(service.limit == 4)
  }

  @Test func `a client whose requests hang at such an endpoint is not counted twice`() {
    let service = makeService(limit: 8)
    let worker = TestWorker(service, 0)
    let hung = (0..<8).compactMap { worker.ask(UInt64($0), tenant: 1).permit }
    for handle in 0..<50 { _ = worker.ask(UInt64(100 + handle), tenant: UInt64(2 + handle)) }
    worker.admission.noteHanging(8)
    worker.pass(from: 10, to: 290)

    var more: [StoredPermit] = []
    _ = worker.events(&more)
    #expect(hung.count == 8)
    #expect(service.inFlight == 16)
  }

  @Test func `once they are over the limit is what it says`() {
    let (service, worker, permits) = full(4, waiting: 4)
    worker.admission.noteHanging(4)
    worker.turn(at(10), wallOffset: .zero)
    var more: [StoredPermit] = []
    #expect(worker.events(&more).count == 4)

    for permit in permits { worker.finish(permit, .dropped, at: at(20)) }
    worker.admission.noteHanging(0)
    worker.turn(at(20), wallOffset: .zero)

    #expect(service.inFlight == 4)
    #expect(service.hanging == 0)
    #expect(worker.ask(500, at: at(21)).isQueued)
    #expect(worker.isLimited())
  }

  @Test func `what workers count is added up, and what one ends is its own`() {
    let (service, worker, _) = full(8, waiting: 0)
    let other = TestWorker(service, 1)
    worker.admission.noteHanging(2)
    other.admission.noteHanging(3)
    #expect(service.hanging == 5)
    #expect(worker.isLimited())
    worker.turn(at(10), wallOffset: .zero)
    #expect(!worker.isLimited(), "there is room for five more")

    worker.admission.noteHanging(0)
    #expect(service.hanging == 3)
    other.admission.noteHanging(0)
    #expect(service.hanging == 0)
    worker.turn(at(20), wallOffset: .zero)
    #expect(worker.isLimited())
  }
}
