import Testing
import Units

@testable import Admission

/// One tenant's requests hang: what is left to the others, and that nothing else changes.
struct TenantShareTests {
  /// A service whose permits tenant 1 holds and never gives back, with more of its requests queued.
  private func hung(
    limit: Int = 16,
    workers: Int = 1
  ) -> (ServiceAdmission, [TestWorker], [StoredPermit]) {
    let service = makeService(limit: limit, workers: workers)
    let all = (0..<workers).map { TestWorker(service, $0) }
    let permits = (0..<limit).compactMap { all[0].ask(UInt64($0), 2, tenant: 1).permit }
    for handle in 0..<20 { _ = all[0].ask(UInt64(100 + handle), 2, tenant: 1) }
    return (service, all, permits)
  }

  private func pass(_ all: [TestWorker], from: Double, to: Double) {
    var time = from
    while time <= to {
      for worker in all { worker.turn(at(time), wallOffset: .zero) }
      time += 10
    }
  }

  @Test(arguments: [1, 2])
  func `others go out beside a limit that one keeps to itself`(workers: Int) {
    let (service, all, hanging) = hung(workers: workers)
    let other = all[workers - 1]
    #expect(other.ask(500, 2, tenant: 2, at: at(1)).isQueued)

    pass(all, from: 10, to: 250)

    // The one that waited goes first, without a permit having ended.
    var permits: [StoredPermit] = []
    #expect(dispatched(other, &permits) == [500])
    let more = (0..<30).map { other.ask(UInt64(600 + $0), 2, tenant: 2, at: at(251)) }
    permits += more.compactMap(\.permit)
    #expect(permits.count == 5, "a third of the limit: there is room for one more who may come")
    #expect(service.inFlight == 21)
    pass(all, from: 260, to: 260)
    // They come and go as they please, and the one that hangs gets nothing of theirs.
    for step in 0..<50 {
      let now = 262 + Double(step)
      other.finish(permits.removeLast(), at: at(now))
      pass(all, from: now, to: now)
      var none: [StoredPermit] = []
      if workers > 1 { #expect(dispatched(all[0], &none).isEmpty) }
      _ = dispatched(other, &permits)
      if let next = other.ask(UInt64(700 + step), 2, tenant: 2, at: at(now)).permit {
        permits.append(next)
      }
      #expect(permits.count == 5)
      #expect(service.inFlight == 21)
    }
    for permit in permits { other.finish(permit, at: at(315)) }
    release(service, all, hanging)
  }

  /// The requests that got a permit since it was last asked.
  private func dispatched(_ worker: TestWorker, _ permits: inout [StoredPermit]) -> [UInt64] {
    worker.events(&permits).compactMap {
      if case .dispatched(let handle) = $0 { handle } else { nil }
    }
  }

  /// Ends all that hangs and all that comes after it; nothing may be left.
  private func release(
    _ service: ServiceAdmission,
    _ all: [TestWorker],
    _ hanging: [StoredPermit]
  ) {
    for permit in hanging { all[0].finish(permit, .dropped, at: at(320)) }
    var time = 320.0
    var idle = 0
    while idle < 3 {
      time += 10
      idle += 1
      for worker in all {
        var permits: [StoredPermit] = []
        worker.turn(at(time), wallOffset: .zero)
        if !worker.events(&permits).isEmpty { idle = 0 }
        for permit in permits { worker.finish(permit, at: at(time)) }
        _ = worker.takeBells()
      }
    }
    #expect(service.inFlight == 0 && service.waiting == 0)
    for bucket in 0..<TenantShares.buckets {
      #expect(service.cells.held(UInt8(bucket)) == 0)
    }
  }

  @Test func `two that hang leave the third its share`() {
    let (service, all, hanging) = hung()
    let worker = all[0]
    pass(all, from: 10, to: 250)
    let second = (0..<20).compactMap {
      worker.ask(UInt64(600 + $0), 2, tenant: 2, at: at(251)).permit
    }
    #expect(second.count == 8)

    pass(all, from: 260, to: 600)
    let third = (0..<20).compactMap {
      worker.ask(UInt64(700 + $0), 2, tenant: 3, at: at(601)).permit
    }

    #expect((1...8).contains(third.count))
    #expect(service.inFlight <= 32)
    for permit in second + third { worker.finish(permit, at: at(602)) }
    release(service, all, hanging)
  }

  @Test func `one that is alone has all there is, and no more`() {
    let (service, all, hanging) = hung()

    pass(all, from: 10, to: 290)

    #expect(all[0].ask(500, 2, tenant: 1, at: at(291)).permit == nil)
    #expect(service.inFlight == 16)
    release(service, all, hanging)
  }

  @Test func `the order of classes stands`() {
    let (service, all, hanging) = hung()
    pass(all, from: 10, to: 250)

    #expect(all[0].ask(499, 2, tenant: 1, at: at(251)).isQueued)
    let lower = all[0].ask(500, 3, tenant: 2, at: at(251))
    let higher = all[0].ask(501, 1, tenant: 2, at: at(251))

    #expect(!lower.isDispatched)
    #expect(higher.isDispatched)
    all[0].finish(higher.permit, at: at(252))
    release(service, all, hanging)
  }

  @Test func `what is held by turns does not stand`() {
    let service = makeService(limit: 8)
    let worker = TestWorker(service, 0)
    var permits: [(permit: StoredPermit, tenant: UInt64)] = []
    var random = SplitMix64(seed: 11)
    var most = 0

    // Twelve tenants of one request after another, each for 5 ms: uneven at every moment.
    for step in 0..<4_000 {
      let now = at(Double(step))
      for _ in 0..<3 {
        let tenant = random.next() % 12
        if let permit = worker.ask(UInt64(step), 2, tenant: tenant, at: now).permit {
          permits.append((permit, tenant))
        }
      }
      if permits.count > 4 { worker.finish(permits.removeFirst().permit, at: now) }
      worker.turn(now, wallOffset: .zero)
      var later: [StoredPermit] = []
      _ = worker.events(&later)
      permits += later.map { ($0, 0) }
      most = max(most, service.inFlight)
    }

    #expect(most <= 9)
    while !permits.isEmpty {
      worker.finish(permits.removeFirst().permit, at: at(4_001))
      var later: [StoredPermit] = []
      _ = worker.events(&later)
      permits += later.map { ($0, 0) }
    }
    #expect(service.inFlight == 0)
    for bucket in 0..<TenantShares.buckets {
      #expect(service.cells.held(UInt8(bucket)) == 0)
    }
  }

  @Test func `holdings are counted through cancels and permits that nobody took`() {
    let service = makeService(limit: 1)
    let worker = TestWorker(service, 0)
    let permit = worker.ask(0, tenant: 9).permit
    let ticket = worker.ask(1, tenant: 9).ticket
    let bucket = TenantShares.bucket(9, seed: 0)
    #expect(service.cells.held(bucket) == 1)

    worker.finish(permit)
    #expect(service.cells.held(bucket) == 1, "the next one is ready")
    if let ticket { #expect(worker.cancel(ticket, now: at(1))) }

    #expect(service.cells.held(bucket) == 0)
    #expect(service.inFlight == 0)
  }
}
