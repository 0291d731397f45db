import Foundation
import Synchronization
import Testing
import Units
import Upstream

/// Hard caps: what workers count together, and the lines of those who wait.
@Suite struct CapTests {
  @Test func `a connection counts for its service and its endpoint, and for neither when refused`()
  {
    let memory = CapMemory(services: 2, workers: 1)
    let caps = memory.table
    defer { withExtendedLifetime(memory) {} }
    #expect(caps.reserveConnection(1, 7, below: 2, each: 1) == .reserved)
    #expect(caps.reserveConnection(1, 7, below: 2, each: 1) == .endpointFull)
    #expect((caps.connections(1), caps.connections(endpoint: 7)) == (1, 1))
    #expect(caps.reserveConnection(1, 8, below: 2, each: 1) == .reserved)
    #expect(caps.reserveConnection(1, 9, below: 2, each: 1) == .serviceFull)
    #expect(caps.reserveConnection(0, 9, below: 1, each: .max) == .reserved)
    caps.returnConnection(1, 7)
    #expect(caps.reserveConnection(1, 7, below: 2, each: 1) == .reserved)
    #expect((caps.connections(1), caps.connections(0)) == (2, 1))
  }

  @Test func `requests are capped by service and by endpoint`() {
    let memory = CapMemory(services: 2, workers: 1)
    let caps = memory.table
    defer { withExtendedLifetime(memory) {} }
    #expect(caps.reserveRequest(0, below: 1))
    #expect(!caps.reserveRequest(0, below: 1))
    #expect(caps.reserveRequest(1, below: 1))
    #expect(caps.reserveRequest(endpoint: 3, below: 1))
    #expect(!caps.reserveRequest(endpoint: 3, below: 1))
    caps.returnRequest(0)
    caps.returnRequest(endpoint: 3)
    #expect((caps.requests(0), caps.requests(endpoint: 3)) == (0, 0))
    #expect(caps.reserveRequest(0, below: 1) && caps.reserveRequest(endpoint: 3, below: 1))
  }

  @Test func `so many wait as may, and the one that waits for longest is known`() {
    let memory = CapMemory(services: 2, workers: 3)
    let caps = memory.table
    defer { withExtendedLifetime(memory) {} }
    #expect(caps.first(0) == nil)
    caps.publish(Instant(50), of: 0, worker: 2)
    #expect(caps.enter(0, below: 2))
    caps.publish(Instant(40), of: 0, worker: 1)
    #expect(caps.enter(0, below: 2))
    #expect(!caps.enter(0, below: 2))
    #expect(!caps.enter(1, below: 0))
    #expect(caps.first(0)?.worker == 1 && caps.first(0)?.since == Instant(40))
    caps.publish(.never, of: 0, worker: 1)
    caps.leave(0)
    #expect(caps.first(0)?.worker == 2)
    #expect((caps.waiting(0), caps.waits(0)) == (1, 2))
    caps.refused(0, .full)
    #expect((caps.refusals(0, .full), caps.refusals(0, .late)) == (1, 0))
  }

  @Test func `threads that race never pass a cap, and leave nothing counted`() {
    let memory = CapMemory(services: 1, workers: 4)
    let caps = memory.table
    defer { withExtendedLifetime(memory) {} }
    let held = Atomic(0)
    let excess = Atomic(0)
    let wins = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      var random = SplitMix64(seed: UInt64(thread))
      for _ in 0..<20_000 {
        let endpoint = Int32(random.next() % 2)
        guard caps.reserveRequest(0, below: 3) else { continue }
        // Counted inside the reservation, so this sees at most the cap.
        let now = held.add(1, ordering: .sequentiallyConsistent).newValue
        if now > 3 { excess.add(1, ordering: .relaxed) }
        if caps.reserveRequest(endpoint: endpoint, below: 2) {
          if caps.reserveConnection(0, endpoint, below: 2, each: 1) == .reserved {
            wins.add(1, ordering: .relaxed)
            caps.returnConnection(0, endpoint)
          }
          caps.returnRequest(endpoint: endpoint)
        }
        held.subtract(1, ordering: .sequentiallyConsistent)
        caps.returnRequest(0)
      }
    }
    #expect(excess.load(ordering: .relaxed) == 0)
    #expect(wins.load(ordering: .relaxed) > 0)
    #expect((caps.requests(0), caps.connections(0)) == (0, 0))
    #expect((0..<2).allSatisfy { caps.requests(endpoint: $0) == 0 })
    #expect((0..<2).allSatisfy { caps.connections(endpoint: $0) == 0 })
  }

  /// Each thread is a worker with one request at a time.
  ///
  /// It waits in line where the cap is reached, and looks again only when it is told. One that is told
  /// nothing would hang.
  @Test func `no wake-up is lost between those who give back and those who wait`() {
    let workers = 4
    let memory = CapMemory(services: 1, workers: workers)
    let caps = memory.table
    defer { withExtendedLifetime(memory) {} }
    let bells = (0..<workers).map { _ in DispatchSemaphore(value: 0) }
    let lost = Atomic(0)
    let clock = Atomic<Int64>(1)
    @Sendable func wake() {
      guard caps.waiting(0) > 0, let first = caps.first(0) else { return }
      bells[first.worker].signal()
    }
    DispatchQueue.concurrentPerform(iterations: workers) { worker in
      for _ in 0..<5_000 {
        var isIn = caps.waiting(0) == 0 && caps.reserveRequest(0, below: 1)
        if !isIn {
          let since = Instant(clock.add(1, ordering: .relaxed).newValue)
          caps.publish(since, of: 0, worker: worker)
          _ = caps.enter(0, below: .max)
          while true {
            if let first = caps.first(0), first.worker != worker {
              bells[first.worker].signal()
            } else {
              isIn = caps.reserveRequest(0, below: 1)
            }
            if isIn { break }
            if bells[worker].wait(timeout: .now() + 30) == .timedOut {
              lost.add(1, ordering: .relaxed)
              break
            }
          }
          caps.publish(.never, of: 0, worker: worker)
          caps.leave(0)
        }
        if isIn { caps.returnRequest(0) }
        wake()
      }
    }
    #expect(lost.load(ordering: .relaxed) == 0)
    #expect((caps.requests(0), caps.waiting(0)) == (0, 0))
  }

  @Test func `lines are first come first served, and anybody may leave`() {
    var lines = WaitLines(entries: 8, lines: 3)
    #expect(lines.first(of: 1) == -1)
    for entry in [5, 0, 7, 2] { lines.append(Int32(entry), to: 1) }
    lines.append(3, to: 2)
    #expect(lines.count == 5)
    lines.remove(0, from: 1)
    lines.remove(5, from: 1)
    #expect(lines.first(of: 1) == 7)
    lines.remove(2, from: 1)
    lines.append(5, to: 1)
    lines.remove(7, from: 1)
    #expect(lines.first(of: 1) == 5)
    lines.remove(5, from: 1)
    #expect(lines.first(of: 1) == -1 && lines.first(of: 2) == 3)
    #expect(lines.count == 1)
  }

  @Test func `lines behave as arrays do`() {
    var random = SplitMix64(seed: 11)
    var lines = WaitLines(entries: 32, lines: 2)
    var model: [[Int32]] = [[], []]
    for _ in 0..<5_000 {
      let line = Int(random.next() % 2)
      let entry = Int32(random.next() % 32)
      if let place = model[line].firstIndex(of: entry) {
        model[line].remove(at: place)
        lines.remove(entry, from: Int32(line))
      } else if !model[1 - line].contains(entry) {
        model[line].append(entry)
        lines.append(entry, to: Int32(line))
      }
      #expect(lines.first(of: Int32(line)) == model[line].first ?? -1)
      #expect(lines.count == model[0].count + model[1].count)
    }
  }

  @Test func `an endpoint that is full is chosen only where all are`() {
    let states = UnsafeMutablePointer<EndpointState>.allocate(capacity: 3)
    states.initialize(repeating: EndpointState(), count: 3)
    let places: [Int32] = [0, 1, 2]
    defer { states.deallocate() }
    var (cursor, random) = (UInt32(0), SplitMix64(seed: 3))
    places.withUnsafeBufferPointer { list in
      guard let base = list.baseAddress else { return }
      let candidates = Candidates(places: base, count: 3, states: states)
      func choose(_ balance: Balance, avoiding: Int32 = -1) -> Int32 {
        candidates.choose(
          balance,
          avoiding: avoiding,
          at: Instant(1),
          cursor: &cursor,
          using: &random
        )
      }
      for balance in [Balance.twoChoices, .roundRobin] {
        for place in 0..<3 { states[place].isFull = place != 1 }
        for _ in 0..<20 { #expect(choose(balance) == 1) }
        // One that was tried before, rather than one that is full.
        for _ in 0..<20 { #expect(choose(balance, avoiding: 1) == 1) }
        // One that rests, too.
        states[1].backedOffUntil = Instant(1_000)
        for _ in 0..<20 { #expect(choose(balance) == 1) }
        states[1].backedOffUntil = Instant(.min)
        states[1].isFull = true
        #expect(states[Int(choose(balance))].isFull)
      }
    }
  }
}
