import Testing
import Units

@testable import Admission

/// How admission is attacked or overloaded: clocks that jump, latencies of nothing, services that drop
/// everything, one class alone, tenants that flood, limits of two.
struct HostileTests {
  /// Drives one worker with random requests, ends and clocks, and gives everything back at the end.
  private func storm(
    _ seed: UInt64,
    _ limiter: Limiter,
    clock: (inout SplitMix64, Int) -> Instant,
    outcome: (inout SplitMix64) -> PermitOutcome,
    classes: UInt64 = 5,
    tenants: UInt64 = 4
  ) -> (service: ServiceAdmission, mostInFlight: Int) {
    let service = makeService(capacity: 64, limiter: limiter)
    let worker = TestWorker(service, 0)
    var random = SplitMix64(seed: seed)
    var permits: [StoredPermit] = []
    var tickets: [Ticket] = []
    var most = 0
    for step in 0..<30_000 {
      let now = clock(&random, step)
      switch random.next() % 8 {
      case 0..<4:
        let deadline =
          random.next() % 2 == 0 ? Instant.never : Instant(Int64(truncatingIfNeeded: random.next()))
        let decided = worker.ask(
          UInt64(step),
          UInt8(random.next() % classes),
          tenant: random.next() % tenants,
          route: Int32(truncatingIfNeeded: random.next()),
          deadline: deadline,
          at: now
        )
        if let permit = decided.permit { permits.append(permit) }
        if let ticket = decided.ticket { tickets.append(ticket) }
      case 4..<6 where !permits.isEmpty:
        let place = Int(random.next() % UInt64(permits.count))
        worker.finish(permits.remove(at: place), outcome(&random), at: now)
      case 6 where !tickets.isEmpty:
        let place = Int(random.next() % UInt64(tickets.count))
        _ = worker.cancel(tickets.remove(at: place), now: now)
      default:
        worker.turn(now, wallOffset: Nanoseconds(Int64(truncatingIfNeeded: random.next())))
      }
      _ = worker.events(&permits)
      most = max(most, service.inFlight)
      if service.inFlight != permits.count || service.waiting != worker.admission.queue.count {
        Issue.record("permits or places do not balance at step \(step)")
        break
      }
    }
    for ticket in tickets { _ = worker.cancel(ticket, now: .never) }
    _ = worker.events(&permits)
    while let permit = permits.popLast() {
      worker.finish(permit, .ignored, at: .never)
      _ = worker.events(&permits)
    }
    #expect(service.inFlight == 0 && service.waiting == 0)
    return (service, most)
  }

  private func steady(_: inout SplitMix64, _ step: Int) -> Instant {
    Instant(Int64(step) * 1_000_000)
  }

  @Test func `a clock that jumps anywhere breaks no balance`() {
    let result = storm(
      1,
      .standard,
      clock: { random, _ in Instant(Int64(truncatingIfNeeded: random.next())) },
      outcome: { _ in .served }
    )
    #expect(result.service.limit >= 1)
  }

  @Test func `latencies of nothing are survived`() {
    let result = storm(
      2,
      .standard,
      clock: { _, step in Instant(Int64(step / 1_000) * 10_000_000) },
      outcome: { _ in .served }
    )
    #expect((1...Bounds.limit).contains(result.service.limit))
  }

  @Test func `a service that drops everything is left its least`() {
    let result = storm(3, .standard, clock: steady, outcome: { _ in .dropped })
    #expect(result.service.limit <= 4)
  }

  @Test func `one class alone, one tenant alone, and limits of one and two`() {
    for limit in [1, 2] {
      let limiter = Limiter.fixed(FixedLimit(limit: limit))
      let result = storm(
        4,
        limiter,
        clock: steady,
        outcome: { _ in .served },
        classes: 1,
        tenants: 1
      )
      #expect(result.mostInFlight == limit)
    }
  }

  @Test func `a tenant that floods takes no other's place in its class`() {
    let service = makeService(limit: 1)
    service.cells.store(UInt64(16), ServiceCells.Place.queueBound)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let permit = worker.ask(0).permit
    var lost: [UInt64] = []

    for round in 0..<200 {
      if round % 25 == 0 { _ = worker.ask(UInt64(10_000 + round), 2, tenant: UInt64(round) + 2) }
      _ = worker.ask(UInt64(1_000 + round), 2, tenant: 1)
      for case .refused(let handle, _) in worker.events(&permits) { lost.append(handle) }
    }

    #expect(lost.allSatisfy { $0 < 10_000 })
    #expect(worker.admission.queue.tallies(1, 2).own < 16 * 4)
    worker.finish(permit)
  }

  @Test func `a limit that falls is kept to as soon as permits end`() {
    let service = makeService(limit: 8)
    let worker = TestWorker(service, 0)
    var permits = (0..<8).compactMap { worker.ask(UInt64($0)).permit }
    for handle in 8..<12 { _ = worker.ask(UInt64(handle)) }

    service.cells.setLimit(2)
    var counts: [Int] = []
    while let permit = permits.popLast(), counts.count < 7 {
      worker.finish(permit)
      counts.append(service.inFlight)
      if service.inFlight <= 2 { break }
    }

    #expect(counts == [7, 6, 5, 4, 3, 2])
    #expect(service.waiting == 4)
    for permit in permits { worker.finish(permit, .ignored) }
  }

  @Test func `everything that holds a permit forever leaves refusals, not a stop`() {
    let service = makeService(limit: 2)
    let worker = TestWorker(service, 0)
    var permits: [StoredPermit] = []
    let held = [worker.ask(0).permit, worker.ask(1).permit]
    var refused = 0

    for tick in 0..<200 {
      if case .refused = worker.ask(UInt64(tick + 2), 1, at: at(Double(tick) * 10)) { refused += 1 }
      worker.turn(at(Double(tick) * 10), wallOffset: .zero)
      refused += worker.events(&permits).count
    }

    #expect(refused >= 150)
    #expect(permits.isEmpty)
    for permit in held { worker.finish(permit, .ignored, at: at(3_000)) }
    worker.turn(at(3_000), wallOffset: .zero)
  }
}
