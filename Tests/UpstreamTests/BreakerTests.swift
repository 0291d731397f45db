import Dispatch
import Synchronization
import Testing
import Units

@testable import Upstream

struct BreakerTests {
  @Test func `failures in a row open it, and a success between them begins anew`() {
    let bench = BreakerBench()
    for _ in 0..<4 { bench.request(.gatewayError) }
    bench.request(.success)
    for _ in 0..<4 { bench.request(.gatewayError) }
    #expect(bench.state == .closed)

    bench.request(.gatewayError)

    #expect(bench.state == .open)
    #expect(bench.breaker.word.cause == .consecutive)
    #expect(bench.breaker.tripCount(.consecutive) == 1)
    #expect(!bench.request(.success))
  }

  @Test func `a share of failures opens it, once there were enough requests in the window`() {
    let bench = BreakerBench()
    for _ in 0..<10 { bench.request(.success) }
    for _ in 0..<4 {
      bench.request(.timeout)
      bench.request(.timeout)
      bench.request(.tooManyRequests)
    }
    // 8 of 22.
    #expect(bench.state == .closed)
    for _ in 0..<3 {
      for _ in 0..<4 { bench.request(.timeout) }
      #expect(bench.breaker.streak < 5)
      if bench.state == .closed { bench.request(.success) }
    }

    // 12 of 26, then 16 of 31: that is more than half.
    #expect(bench.state == .open)
    #expect(bench.breaker.word.cause == .ratio)
  }

  @Test func `no share is judged of few requests`() {
    let bench = BreakerBench()
    bench.settings.consecutiveFailures = 0
    for _ in 0..<19 { bench.request(.timeout) }
    #expect(bench.state == .closed)
    bench.request(.timeout)
    #expect(bench.state == .open)
  }

  @Test(arguments: [Nanoseconds.seconds(1), .seconds(10), .seconds(600)])
  func `what lies before the window counts no more, and what lies in it does`(
    window: Nanoseconds
  ) {
    func bench(lastAfter parts: Int64) -> BreakerBench {
      let bench = BreakerBench()
      bench.settings.consecutiveFailures = 0
      bench.settings.window = window
      for _ in 0..<19 { bench.request(.timeout) }
      bench.wait(Nanoseconds(window.rawValue / 10 * parts))
      bench.request(.timeout)
      return bench
    }
    #expect(bench(lastAfter: 11).state == .closed)
    #expect(bench(lastAfter: 8).state == .open)
  }

  @Test func `a part of the window that has counted all it can keeps its share and counts on`() {
    let bench = BreakerBench()
    bench.settings.consecutiveFailures = 0
    bench.settings.window = .seconds(3_600)
    let slice = bench.settings.counting.slice(at: bench.now)
    let bits = SharedBreaker.countBits
    let most: UInt64 = 1 << bits - 1
    let cell = bench.memory + SharedBreaker.outcomes + Int(slice % UInt64(BreakerCounting.slices))
    cell.pointee.store(slice << (2 * bits) | most << bits | most / 2, ordering: .relaxed)
    #expect(bench.state == .closed)

    for _ in 0..<3 { bench.request(.timeout) }

    #expect(bench.state == .open)
    let value = cell.pointee.load(ordering: .relaxed)
    #expect(value >> (2 * bits) == slice)
  }

  @Test func `slow answers open it where a time is set, and are nothing where none is`() {
    let bench = BreakerBench()
    for _ in 0..<100 { bench.request(.success, .seconds(9)) }
    #expect(bench.state == .closed)

    bench.settings.slowCall = .seconds(1)
    for _ in 0..<19 { bench.request(.success, .milliseconds(1_000)) }
    #expect(bench.state == .closed)
    bench.request(.success, .milliseconds(1_000))

    #expect(bench.state == .open)
    #expect(bench.breaker.word.cause == .slow)
  }

  @Test func `what is no failure by its settings opens nothing, and no outcome is none`() {
    let bench = BreakerBench()
    for _ in 0..<1_000 {
      bench.request(.serverError)
      bench.request(.tooManyRequests)
      bench.request(nil)
    }
    #expect(bench.state == .closed)
    bench.settings.failures.insert(.serverError)
    for _ in 0..<5 { bench.request(.serverError) }
    #expect(bench.state == .open)
  }

  @Test func `it stays open for five seconds, doubled up to sixty, with a fifth of jitter`() {
    var seen: [[Double]] = Array(repeating: [], count: 6)
    for seed in 0..<200 {
      let bench = BreakerBench()
      bench.random = SplitMix64(seed: UInt64(seed))
      bench.tripAndReopen()
      for step in 0..<6 {
        seen[step].append(bench.openSeconds)
        bench.wait(.seconds(80))
        bench.request(.reset)
      }
    }
    for (step, middle) in [5.0, 10, 20, 40, 60, 60].enumerated() {
      #expect(seen[step].allSatisfy { (0.799 * middle...1.201 * middle).contains($0) })
      // Edges that opened together do not come back together.
      #expect(Set(seen[step].map { Int($0 * 20) }).count > 20)
    }
  }

  @Test func `who is back by a check is probed at once, and has its share within 2 s`() {
    let bench = BreakerBench()
    bench.tripAndReopen()
    for _ in 0..<4 {
      bench.wait(.seconds(80))
      bench.request(.reset)
    }
    #expect(bench.openSeconds > 30)

    bench.breaker.returned(at: bench.now)

    #expect(bench.request(.success), "one probe")
    #expect(bench.state == .ramp)
    bench.wait(.seconds(2))
    #expect(bench.state == .closed)
    // What it had open before is forgotten.
    bench.tripAndReopen()
    #expect(bench.openSeconds < 6.1)
    bench.breaker.returned(at: bench.now)
    bench.request(.reset)
    #expect(bench.state == .open && bench.openSeconds > 3.9, "and a probe that fails is one")
  }

  @Test func `a check says nothing of a breaker that is closed, or under orders`() {
    let bench = BreakerBench()
    bench.breaker.returned(at: bench.now)
    #expect(bench.state == .closed && !bench.breaker.word.isOutage)
    bench.breaker.order(.open)
    bench.breaker.returned(at: bench.now)
    #expect(bench.state == .open)
    #expect(!bench.request(.success))
  }

  @Test func `half-open lets three probes through, and no fourth before they are back`() {
    let bench = BreakerBench()
    bench.tripAndReopen()
    bench.wait(.seconds(7))
    let probes = (0..<3).compactMap { _ in bench.ask() }
    #expect(probes.count == 3)
    #expect(probes.allSatisfy { $0.isProbe })
    #expect(bench.ask() == nil)
    #expect(bench.state == .halfOpen)

    for probe in probes { bench.end(probe, .success) }

    #expect(bench.state == .ramp)
  }

  @Test func `a probe that says nothing gives its place back, and one that is lost does in time`() {
    let bench = BreakerBench()
    bench.tripAndReopen()
    bench.wait(.seconds(7))
    let probes = (0..<3).compactMap { _ in bench.ask() }
    bench.end(probes[0], nil)
    #expect(bench.ask()?.isProbe == true)
    #expect(bench.ask() == nil)

    bench.wait(.seconds(31))

    #expect(bench.ask()?.isProbe == true)
    // The lost ones come back after all: they are of another time.
    for probe in probes { #expect(!bench.end(probe, .reset)) }
    #expect(bench.state == .halfOpen)
  }

  @Test func `the ramp lets a growing share through instead of all at once`() {
    let bench = BreakerBench()
    bench.tripAndReopen()
    bench.wait(.seconds(7))
    for _ in 0..<3 { bench.request(.success) }
    var shares: [Double] = []
    for _ in 0..<10 {
      let passed = (0..<2_000).filter { _ in bench.request(.success) }.count
      shares.append(Double(passed) / 2_000)
      bench.wait(.seconds(1))
    }
    for (second, share) in shares.enumerated() {
      #expect(abs(share - (0.1 + 0.09 * Double(second))) < 0.05)
    }
    #expect((0..<100).allSatisfy { _ in bench.request(.success) })
    #expect(bench.breaker.word.state == .closed)
  }

  @Test func `failures in the ramp open it for longer, and a ramp that ends forgets the past`() {
    let bench = BreakerBench()
    bench.tripAndReopen()
    bench.wait(.seconds(7))
    for _ in 0..<3 { bench.request(.success) }
    bench.wait(.seconds(5))
    bench.tripAndReopen()
    #expect((8...12).contains(bench.openSeconds))

    bench.wait(.seconds(13))
    for _ in 0..<3 { bench.request(.success) }
    bench.wait(.seconds(11))
    bench.request(.success)
    bench.tripAndReopen()
    #expect((4...6).contains(bench.openSeconds))
  }

  @Test func `what was on its way when it opened cannot open it again`() {
    let bench = BreakerBench()
    let late = (0..<20).compactMap { _ in bench.ask() }
    bench.tripAndReopen()
    bench.wait(.seconds(7))
    for _ in 0..<3 { bench.request(.success) }
    #expect(bench.state == .ramp)

    for ticket in late { bench.end(ticket, .timeout) }

    #expect(bench.state == .ramp)
    #expect(bench.breaker.streak == 0)
  }

  @Test func `a whole service that keeps failing is asked once a second and ramps in two`() {
    let bench = BreakerBench(.service(endpoints: 1))
    bench.tripAndReopen()
    #expect((4...6).contains(bench.openSeconds))
    bench.wait(.seconds(7))
    bench.request(.connectFailure)
    for _ in 0..<20 {
      #expect((0.79...1.21).contains(bench.openSeconds))
      bench.wait(.milliseconds(1_300))
      let probe = bench.ask()
      #expect(probe?.isProbe == true)
      #expect(bench.ask() == nil, "one at a time")
      if let probe { bench.end(probe, .connectFailure) }
    }
    bench.wait(.milliseconds(1_300))
    bench.request(.success)
    #expect(bench.state == .ramp)
    bench.wait(.milliseconds(2_100))
    #expect((0..<100).allSatisfy { _ in bench.request(.success) })
  }

  @Test(arguments: [(1, 5), (4, 20), (20, 100), (500, 100)])
  func `failures of a service in a row count for each endpoint`(_ endpoints: Int, _ most: Int) {
    let bench = BreakerBench(.service(endpoints: endpoints))
    bench.settings.failureRatio = 0

    for _ in 1..<most { bench.request(.timeout) }
    #expect(bench.state == .closed)

    bench.request(.timeout)
    #expect(bench.state == .open)
  }

  @Test func `a service that answers some probes is no total failure`() {
    let bench = BreakerBench(.service(endpoints: 1))
    bench.tripAndReopen()
    bench.wait(.seconds(7))
    bench.request(.success)
    bench.request(.gatewayError)
    #expect((8...12).contains(bench.openSeconds))
  }

  @Test func `an order holds whatever happens, and its end begins anew`() {
    let bench = BreakerBench()
    bench.breaker.order(.closed)
    for _ in 0..<50 { #expect(bench.request(.reset)) }
    #expect(bench.state == .closed)
    bench.breaker.order(.open)
    bench.wait(.seconds(3_600))
    #expect(!bench.request(.success))
    #expect(bench.state == .open)
    bench.breaker.order(.none)
    #expect(bench.request(.success))
    #expect(bench.state == .closed)
  }

  @Test func `a connect that fails for several counts once, and ends a half-open one`() {
    let bench = BreakerBench()
    func fail() {
      _ = bench.breaker.connectFailed(
        .endpoint,
        at: bench.now,
        bench.settings,
        using: &bench.random
      )
    }
    for _ in 0..<5 { fail() }
    #expect(bench.state == .open)
    bench.wait(.seconds(7))
    let probe = bench.ask()
    fail()
    #expect(bench.state == .open)
    if let probe { #expect(!bench.end(probe, nil)) }
    #expect((8...12).contains(bench.openSeconds))
  }

  @Test func `workers that share one open it once and lose no probe`() {
    let bench = BreakerBench()
    bench.settings.open = .milliseconds(1)
    let breaker = bench.breaker
    let settings = bench.settings
    let now = bench.now
    let admitted = Locked(0)
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      var random = SplitMix64(seed: UInt64(worker))
      for _ in 0..<500 {
        if case .admitted(let ticket) = breaker.admit(at: now, settings, using: &random) {
          breaker.end(ticket, .reset, .endpoint, at: now, settings, using: &random)
        }
      }
    }
    // All look at the same moment, when its time is up: three may pass between them.
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      var random = SplitMix64(seed: UInt64(worker))
      let later = now + .seconds(100)
      for _ in 0..<500 {
        if case .admitted(let ticket) = breaker.admit(at: later, settings, using: &random) {
          if ticket.isProbe { admitted.withLock { $0 += 1 } }
        }
      }
    }
    #expect(breaker.tripCount(.consecutive) == 1)
    #expect(admitted.withLock { $0 } == 3)
  }
}
