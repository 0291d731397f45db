import Testing
import Units

@testable import Admission

/// In calm nobody is refused: what comes at once waits, and waiting alone is no overload.
struct BurstTests {
  @Test(arguments: [1, 2])
  func `a burst at a service that nothing is known of waits, all of it`(workers: Int) {
    let service = makeService(workers: workers, limiter: .standard)
    let all = (0..<workers).map { TestWorker(service, $0) }

    let decided = (0..<1_000).map { all[$0 % workers].ask(UInt64($0), 2) }

    #expect(decided.filter(\.isDispatched).count == service.limit)
    #expect(decided.allSatisfy { $0.isDispatched || $0.isQueued })
    finishAll(service, all, decided.compactMap(\.permit))
  }

  /// Ends permits and those that follow from them, one a tenth of a millisecond.
  private func finishAll(
    _ service: ServiceAdmission,
    _ all: [TestWorker],
    _ first: [StoredPermit]
  ) {
    var permits = first
    var served = 0
    var refused = 0
    var time = 1.0
    while !permits.isEmpty {
      time += 0.1
      // Each worker ends permits of its own alone; which one took it makes no difference here.
      all[served % all.count].finish(permits.removeFirst(), at: at(time))
      served += 1
      for worker in all {
        worker.turn(at(time), wallOffset: .zero)
        for case .refused in worker.events(&permits) { refused += 1 }
        _ = worker.takeBells()
      }
    }
    #expect(refused == 0 && served == 1_000)
    #expect(service.inFlight == 0 && service.waiting == 0)
  }

  /// A closed loop of one worker for three seconds: so many wait, five a millisecond are served, and
  /// who was served asks again.
  ///
  /// - Returns: Who was dispatched, in order, how many were refused, and the classes that stood at
  ///   some time.
  private func closedLoop(
    _ service: ServiceAdmission,
    waiting: Int
  ) -> (dispatched: [UInt64], refused: Int, stood: UInt8) {
    let worker = TestWorker(service, 0)
    var permits = (0..<4).compactMap { worker.ask(UInt64($0), 2).permit }
    for handle in 0..<waiting { _ = worker.ask(UInt64(100 + handle), 2) }
    var dispatched: [UInt64] = []
    var refused = 0
    var stood: UInt8 = 0
    for step in 0..<15_000 {
      let now = at(Double(step) * 0.2)
      worker.finish(permits.removeFirst(), at: now)
      if worker.ask(UInt64(1_000 + step), 2, at: now).isQueued == false { refused += 1 }
      worker.turn(now, wallOffset: .zero)
      for event in worker.events(&permits) {
        switch event {
        case .dispatched(let handle): dispatched.append(handle)
        case .refused: refused += 1
        }
      }
      stood |= service.standingClasses
    }
    #expect(service.waiting == waiting)
    while !permits.isEmpty {
      worker.finish(permits.removeFirst(), at: at(3_001))
      _ = worker.events(&permits)
    }
    return (dispatched, refused, stood)
  }

  @Test func `what waits for less than ten milliseconds is no standing queue`() {
    let loop = closedLoop(makeService(limit: 4), waiting: 40)

    #expect(loop.refused == 0)
    #expect(loop.stood == 0)
  }

  @Test func `a queue that stands but is not late is served in the order of arrival`() {
    let loop = closedLoop(makeService(limit: 4), waiting: 100)

    #expect(loop.stood == 0b100)
    #expect(loop.refused == 0)
    #expect(loop.dispatched.count == 15_000 && loop.dispatched == loop.dispatched.sorted())
  }

  @Test func `a queue that takes longer stands, and is then a quarter second of service long`() {
    let service = makeService(limit: 4)
    let worker = TestWorker(service, 0)
    var permits = (0..<4).compactMap { worker.ask(UInt64($0), 2).permit }
    var last: Decided?

    // One is served in each 5 ms, and three come.
    for step in 0..<120 {
      let now = at(Double(step) * 5)
      worker.finish(permits.removeFirst(), at: now)
      for more in 0..<3 { last = worker.ask(UInt64(10 * step + more), 2, at: now) }
      worker.turn(now, wallOffset: .zero)
      _ = worker.events(&permits)
    }

    #expect(service.standingClasses == 0b100)
    #expect(worker.ask(9_999, 3, at: at(600)) == .refused(.standingClass))
    #expect(last?.isQueued == true)
    // Four at a time take 20 ms: 50 of them are a quarter second.
    #expect((16...60).contains(service.waiting))
    while !permits.isEmpty {
      worker.finish(permits.removeFirst(), at: at(601))
      _ = worker.events(&permits)
    }
  }

  @Test func `while the limit may still double a request waits a quarter of its time`() {
    let service = makeService(limiter: .standard)
    let worker = TestWorker(service, 0)
    var permits = (0..<16).compactMap { worker.ask(UInt64($0), 3).permit }
    for (handle, deadline) in [(100, 400), (101, 2_000), (102, 60_000)] {
      #expect(worker.ask(UInt64(handle), 3, deadline: at(Double(deadline))).isQueued)
    }
    #expect(worker.ask(103, 3).isQueued)

    var left: [UInt64: (time: Double, reason: RefusalReason)] = [:]
    for tick in 1...110 {
      worker.turn(at(Double(tick) * 10), wallOffset: .zero)
      for case .refused(let handle, let reason) in worker.events(&permits) {
        left[handle] = (Double(tick) * 10, reason)
      }
    }

    #expect(left.values.allSatisfy { $0.reason == .timedOut })
    // At least as long as in calm, at most a second.
    for (handle, time) in [(100, 300.0), (101, 500), (102, 1_000), (103, 1_000)] {
      #expect((time...time + 20).contains(left[UInt64(handle)]?.time ?? 0), "\(handle)")
    }
    for permit in permits { worker.finish(permit, at: at(1_110)) }
    #expect(service.inFlight == 0 && service.waiting == 0)
  }
}
