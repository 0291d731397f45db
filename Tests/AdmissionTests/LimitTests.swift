import Testing
import Units

@testable import Admission

/// Windows as a service of `capacity` places and `latency` seconds would give them.
struct LimitTests {
  @Test func `latency at the limit shrinks it, and the baseline lets it grow`() {
    var slow = grownUp()
    var fast = grownUp()

    for tick in 11...100 {
      slow.observe(window(tick, served: 20, latency: 0.06, isLimited: true, inFlight: 40))
      fast.observe(window(tick, served: 20, latency: 0.02, isLimited: true, inFlight: 40))
    }

    #expect(slow.limit < 40)
    #expect(fast.limit > 40)
  }

  @Test func `one slot in sixteen is a drain at 0.7 of the limit`() {
    var limit = grownUp()
    var drains = 0
    var before = limit.value

    for tick in 11...330 {
      let wasDraining = limit.mode == .drain
      before = limit.value
      limit.observe(window(tick, served: 20, latency: 0.024, isLimited: true, inFlight: 40))
      if limit.mode == .drain, !wasDraining {
        drains += 1
        #expect(tick % 160 == 0)
        #expect(limit.limit <= Int(max(limit.value, before) * 0.7) + 1)
        #expect(limit.guidance.drainDispatch != 0)
      }
    }

    #expect(drains == 2)
  }

  @Test func `a clock that was set back stops neither slots nor drains`() {
    var limit = grownUp()
    var drains: UInt32 = 0

    for tick in 1...400 {
      var window = window(tick, served: 20, latency: 0.024, isLimited: true, inFlight: 40)
      if tick > 100 { window.wallClock -= 3_600_000_000_000 }
      limit.observe(window)
      drains = limit.drainNumber
    }

    #expect(drains >= 2)
  }

  @Test func `a clock that jitters around a boundary closes no empty slots`() {
    var limit = grownUp()
    limit.observe(window(9, served: 20, latency: 0.02, isLimited: true, inFlight: 40))

    var closed = 0
    for step in 0..<20 {
      var window = LimitWindow()
      window.now = at(100 + Double(step) * 0.1)
      window.wallClock = step % 2 == 0 ? 100_000_000 : 99_999_999
      let before = limit.slot
      limit.observe(window)
      if limit.slot != before { closed += 1 }
    }

    #expect(closed == 1)
  }

  @Test func `idle samples move the baseline, and the limit follows what was in flight`() {
    var limit = grownUp()
    limit.freeSince = at(0)

    for tick in 1...1_200 {
      limit.observe(window(tick, served: 20, latency: 0.03, isLimited: false, inFlight: 10))
    }

    #expect(abs(limit.baseline - 1.5) < 0.05)
    #expect(limit.limit <= 29)
  }

  @Test func `answers of the first second, the quickest of all, are no baseline`() {
    var limit = LatencyGradientLimit()
    for tick in 1...100 {
      limit.observe(window(tick, served: 20, latency: 0.002, isLimited: false, inFlight: 4))
    }
    #expect(limit.baseline == 0)
    for tick in 101...130 {
      limit.observe(window(tick, served: 20, latency: 0.02, isLimited: false, inFlight: 4))
    }

    #expect(abs(limit.baseline - 1) < 0.01)
  }

  @Test func `where hardly anything moves the cohort is waited for`() {
    var limit = LatencyGradientLimit()
    func run(_ ticks: ClosedRange<Int>) {
      for tick in ticks {
        let count = tick.isMultiple(of: 60) ? 1.0 : 0
        limit.observe(window(tick, served: count, latency: 10, isLimited: true, inFlight: 16))
      }
    }
    run(1...150)
    let number = limit.growth.number
    run(151...2_000)

    #expect(limit.growth.number == number)
    #expect(limit.growth.isOn)
    #expect(limit.period >= .seconds(1))
  }

  @Test func `growth ends at the operator's bound, and drains begin there`() {
    var limit = LatencyGradientLimit()
    limit.bound(to: 4...50)
    limit.slot = 0
    for tick in 1...4 { limit.observe(cohort(tick, 0.02, size: 64)) }
    #expect(limit.limit == 50)
    #expect(!limit.growth.isOn)

    var least = 50
    for tick in 10...600 {
      limit.observe(window(tick, served: 20, latency: 0.02, isLimited: true, inFlight: 50))
      least = min(least, limit.limit)
    }
    #expect(limit.limit <= 50)
    #expect(least == 35)
  }

  @Test func `drops shrink the limit and end growth`() {
    var limit = LatencyGradientLimit()
    var window = window(1, served: 0, latency: 0, isLimited: true, inFlight: 16)
    window.dispatched = 20
    window.dropped = 20
    let before = limit.value

    limit.observe(window)

    #expect(limit.value <= before * 0.71)
    #expect(!limit.growth.isOn)
  }

  @Test(arguments: [(8.0, 0.0005, true), (8, 0.02, false), (7, 0.0005, false), (24, 0.02, true)])
  func `a drain is judged by how sure its answers are`(
    _ count: Double,
    _ deviation: Double,
    _ isJudged: Bool
  ) {
    var limit = grownUp()
    limit.mode = .wait
    limit.slot = 0
    limit.drained = RatioSum(
      count: count,
      latency: count * 0.01,
      weight: count * 0.02,
      residual: count * deviation * deviation
    )

    limit.observe(window(10, served: 0, latency: 0, isLimited: true, inFlight: 40))

    #expect((limit.baseline < 1) == isJudged)
  }

  @Test
  func `what the drain leaves must be as high as what it is compared with, both being unsure`() {
    func judged(_ error: Double) -> Double {
      var limit = grownUp()
      limit.mode = .wait
      limit.isDeep = true
      limit.isSuspect = true
      limit.suspectLimit = 40
      limit.suspectLatency = 3
      limit.suspectError = error
      limit.slot = 0
      limit.drained = RatioSum(count: 100, latency: 5, weight: 2, residual: 0.01)
      limit.observe(window(10, served: 0, latency: 0, isLimited: true, inFlight: 40))
      return limit.baseline
    }

    #expect(judged(0) == 2.5)
    #expect(judged(0.1) < 1.3)
  }

  @Test func `slots are as long as seconds ask for, whatever weights are counted in`() {
    // A service of 20 ms, whose routes weigh a hundredth each.
    var limit = LatencyGradientLimit(
      learned: LearnedLimit(
        limit: 40,
        baseline: 2,
        meanLatency: 0.02,
        meanWeight: 0.01,
        usualLatency: 2
      )
    )
    limit.growth.isOn = false

    for tick in 11...20 {
      limit.observe(window(tick, served: 20, latency: 2, isLimited: true, inFlight: 40))
    }

    #expect(limit.period == .milliseconds(1_600))
  }

  @Test(
    arguments: [Double.nan, .infinity, -.infinity, -1, 0, 1e300, .leastNonzeroMagnitude],
    ["latency-gradient", "gradient2", "vegas", "aimd", "fixed"]
  )
  func `no number traps or leaves the limit outside its bounds`(_ odd: Double, _ name: String)
    throws
  {
    var limiter = try #require(Limiter(named: name))
    let ratio = RatioSum(count: odd, latency: odd, weight: odd, residual: odd)

    var isBounded = true
    for tick in 0..<400 {
      var window = LimitWindow()
      window.now = Instant(tick == 7 ? .max : tick == 9 ? .min : Int64(tick) * 10_000_000)
      window.wallClock = tick == 11 ? .max : tick == 13 ? .min : Int64(tick) * 10_000_000
      window.inFlight = odd
      window.peakInFlight = odd
      window.dispatched = 50
      window.dispatchedLimited = 50
      window.dropped = tick % 50 == 0 ? odd : 0
      window.samples = tick % 3 == 0 ? odd : 50
      window.busySamples = odd
      window.latency = odd
      window.cappedLatency = odd
      window.weight = odd
      window.limited = ratio
      window.idle = ratio
      window.drain = ratio
      window.drainSent = ratio
      window.cohort = ratio
      window.cohortSent = ratio
      window.cohortFirst = at(0)
      window.cohortLast = at(Double(tick))
      limiter.observe(window)
      let guidance = limiter.guidance
      isBounded = isBounded && (1...Bounds.limit).contains(limiter.limit)
      isBounded = isBounded && guidance.latency.isFinite && guidance.latency >= 0
      isBounded = isBounded && guidance.scale.isFinite && guidance.scale > 0
    }
    #expect(isBounded)
  }

  @Test func `aimd adds one for a good sample and takes a tenth for a drop`() {
    var limit = AIMDLimit()
    limit.observe(window(1, served: 30, latency: 0.02, isLimited: true, inFlight: 20))
    #expect(limit.limit == 50)

    var drop = LimitWindow()
    drop.dropped = 1
    limit.observe(drop)
    #expect(limit.limit == 45)
  }

  @Test func `gradient2 and vegas grow without queueing and shrink with it`() throws {
    for name in ["gradient2", "vegas"] {
      var limiter = try #require(Limiter(named: name))
      for tick in 0..<4_000 {
        limiter.observe(
          window(tick, served: 20, latency: 0.02, isLimited: true, inFlight: Double(limiter.limit))
        )
      }
      let grown = limiter.limit
      for tick in 4_000..<8_000 {
        limiter.observe(
          window(tick, served: 20, latency: 0.1, isLimited: true, inFlight: Double(limiter.limit))
        )
      }

      #expect(grown > 30, "\(name)")
      #expect(limiter.limit < grown, "\(name)")
    }
  }

  @Test func `what was learned survives, and nonsense does not`() {
    let learned = grownUp().learned
    #expect(LatencyGradientLimit(learned: learned).limit == 40)

    let broken = LearnedLimit(
      limit: .nan,
      baseline: -1,
      meanLatency: .infinity,
      meanWeight: .nan,
      usualLatency: -5
    )
    let limit = LatencyGradientLimit(learned: broken)
    #expect(limit.limit == 2)
    #expect(limit.baseline == 0)
  }
}
