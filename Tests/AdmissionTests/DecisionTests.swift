import Testing
import Units

@testable import Admission

struct DecisionTests {
  @Test func `no permit is given at the limit, and an ended one is given on`() {
    let service = makeService(limit: 2)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []

    let first = worker.ask(1)
    let second = worker.ask(2)
    let third = worker.ask(3)

    #expect(first.isDispatched && second.isDispatched && third.isQueued)
    #expect(service.inFlight == 2 && service.waiting == 1)
    worker.finish(first.permit)
    #expect(worker.events(&permits) == [.dispatched(3)])
    #expect(service.inFlight == 2 && service.waiting == 0)
    for permit in permits { worker.finish(permit) }
    worker.finish(second.permit)
    #expect(service.inFlight == 0)
  }

  @Test func `an attempt that nobody waits for takes what is free, and nobody's place`() {
    let service = makeService(limit: 1)
    service.cells.store(UInt64(1), ServiceCells.Place.queueBound)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let free = worker.askNow(1)
    #expect(free != nil && service.inFlight == 1)
    #expect(worker.ask(2, 3).isQueued)

    #expect(worker.askNow(3, 0) == nil)
    #expect(worker.events(&permits) == [])
    #expect(service.inFlight == 1 && service.waiting == 1)
    worker.finish(free)
    #expect(worker.events(&permits) == [.dispatched(2)])
    #expect(worker.askNow(4) == nil)
    worker.finish(permits[0])
    #expect(worker.askNow(5, deadline: at(-1)) == nil)
    #expect(service.inFlight == 0 && service.waiting == 0)
  }

  @Test func `service is strict by class and first come first served inside one`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    var permit = worker.ask(0).permit
    for (handle, priority) in [(1, 3), (2, 1), (3, 3), (4, 0), (5, 1)] {
      _ = worker.ask(UInt64(handle), UInt8(priority))
    }

    var order: [Happened] = []
    for _ in 0..<5 {
      worker.finish(permit)
      order += worker.events(&permits)
      permit = permits.popLast()
    }
    worker.finish(permit)

    #expect(order == [4, 2, 5, 1, 3].map { .dispatched($0) })
    #expect(service.inFlight == 0)
  }

  @Test func `a full queue evicts the oldest of the lowest class below, else sheds the newcomer`() {
    let service = makeService(limit: 1)
    service.cells.store(UInt64(16), ServiceCells.Place.queueBound)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let permit = worker.ask(0).permit
    for handle in 1...8 { _ = worker.ask(UInt64(handle), 2) }
    for handle in 9...16 { _ = worker.ask(UInt64(handle), 3) }

    let higher = worker.ask(17, 1)
    let same = worker.ask(18, 3)

    #expect(higher.isQueued)
    #expect(same == .refused(.queueFull))
    #expect(worker.events(&permits) == [.refused(9, .evicted)])
    #expect(service.waiting == 16)
    worker.finish(permit)
  }

  @Test func `the tenant with most queued loses first`() {
    let service = makeService(limit: 1)
    service.cells.store(UInt64(16), ServiceCells.Place.queueBound)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let permit = worker.ask(0).permit
    for handle in 1...2 { _ = worker.ask(UInt64(handle), 2, tenant: 7) }
    for handle in 3...16 { _ = worker.ask(UInt64(handle), 2, tenant: 8) }

    let modest = worker.ask(17, 2, tenant: 9)
    let greedy = worker.ask(18, 2, tenant: 8)

    #expect(modest.isQueued)
    #expect(greedy == .refused(.queueFull))
    #expect(worker.events(&permits) == [.refused(3, .evicted)])
    worker.finish(permit)
  }

  @Test func `a standing queue turns lower classes away and serves its newest`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let permit = worker.ask(0).permit
    var handle: UInt64 = 1
    for tick in 0...25 {
      _ = worker.ask(handle, 1, at: at(Double(tick) * 10))
      handle += 1
      worker.turn(at(Double(tick) * 10), wallOffset: .zero)
    }
    _ = worker.events(&permits)

    #expect(service.standingClasses == 0b10)
    #expect(worker.ask(100, 2, at: at(251)) == .refused(.standingClass))
    #expect(worker.ask(101, 0, at: at(251)).isQueued)
    worker.finish(permit, at: at(252))
    #expect(worker.events(&permits).last == .dispatched(101))
    worker.finish(permits.popLast(), at: at(253))
    #expect(worker.events(&permits).last == .dispatched(handle - 1))
    worker.finish(permits.popLast(), at: at(254))
    while let next = {
      _ = worker.events(&permits)
      return permits.popLast()
    }() {
      worker.finish(next, at: at(255))
    }
    #expect(service.inFlight == 0 && service.waiting == 0)
  }

  @Test func `one long stall is not twenty ticks`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    let permit = worker.ask(0).permit
    _ = worker.ask(1, 1)

    worker.turn(at(0), wallOffset: .zero)
    worker.turn(at(290), wallOffset: .zero)

    #expect(service.standingClasses == 0)
    worker.finish(permit)
  }

  @Test func `requests leave the queue after the time of their class, and at their deadline`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let permit = worker.ask(0).permit
    _ = worker.ask(1, 0)
    _ = worker.ask(2, 1)
    _ = worker.ask(3, 1, deadline: at(55))

    worker.turn(at(50), wallOffset: .zero)
    #expect(worker.events(&permits).isEmpty)
    worker.turn(at(70), wallOffset: .zero)
    #expect(worker.events(&permits) == [.refused(3, .deadline)])
    worker.turn(at(301), wallOffset: .zero)
    #expect(worker.events(&permits) == [.refused(2, .timedOut)])
    worker.turn(at(401), wallOffset: .zero)
    #expect(worker.events(&permits) == [.refused(1, .timedOut)])
    worker.finish(permit)
    #expect(service.inFlight == 0 && service.waiting == 0)
  }

  @Test func `what has passed its deadline is neither dispatched nor queued`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)

    #expect(worker.ask(1, deadline: at(5), at: at(5)) == .refused(.deadline))
    let permit = worker.ask(2, at: at(5)).permit
    #expect(worker.ask(3, deadline: at(5), at: at(6)) == .refused(.deadline))
    #expect(service.inFlight == 1 && service.waiting == 0)
    worker.finish(permit)
  }

  @Test func `a cancelled request leaves in whatever state it is`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let permit = worker.ask(0).permit
    let tickets = (1...3).compactMap { worker.ask(UInt64($0)).ticket }

    #expect(worker.cancel(tickets[0], now: at(1)))
    #expect(!worker.cancel(tickets[0], now: at(1)))
    worker.finish(permit)
    // Its permit is there already but was not taken yet: it goes to the next.
    #expect(worker.cancel(tickets[1], now: at(2)))
    #expect(worker.events(&permits) == [.dispatched(3)])
    #expect(!worker.cancel(tickets[2], now: at(3)))
    worker.finish(permits.popLast())
    #expect(service.inFlight == 0 && service.waiting == 0)
  }

  @Test func `memory for the queue is fixed, and what is beyond is shed`() {
    let service = makeService(limit: 1, capacity: 4)
    let worker = TestWorker(service, 0)
    let permit = worker.ask(0).permit
    let decided = (1...6).map { worker.ask(UInt64($0), 3) }

    #expect(decided.filter(\.isQueued).count == 4)
    #expect(decided.suffix(2).allSatisfy { $0 == .refused(.queueFull) })
    worker.finish(permit)
  }

  @Test func `in a queue without room the one that is evicted makes room for a higher class`() {
    let service = makeService(limit: 1, capacity: 2)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let permit = worker.ask(0).permit
    #expect(worker.ask(1, 3).isQueued && worker.ask(2, 3).isQueued)

    // Their refusals are not yet taken, so their entries are still in use.
    let higher = (3...8).map { worker.ask(UInt64($0), 0) }

    #expect(higher.prefix(2).allSatisfy { $0.isQueued })
    #expect(higher.dropFirst(2).allSatisfy { $0 == .refused(.queueFull) })
    #expect(worker.events(&permits) == [.refused(1, .evicted), .refused(2, .evicted)])
    worker.finish(permit)
    #expect(worker.events(&permits) == [.dispatched(3)])
    worker.finish(permits.popLast())
    #expect(worker.events(&permits) == [.dispatched(4)])
    worker.finish(permits.popLast())
    #expect(service.inFlight == 0 && service.waiting == 0)
  }

  @Test func `retry-after stays within its bounds whatever was measured`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    worker.admission.advance(.never)

    for reason in RefusalReason.allCases {
      let refusal = worker.admission.refusal(reason)
      #expect(Refusal.retryAfterRange.contains(refusal.retryAfter))
    }
  }
}
