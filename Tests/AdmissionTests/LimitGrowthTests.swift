import Testing
import Units

@testable import Admission

/// How growth by doubling begins and ends, cohort by cohort.
struct LimitGrowthTests {
  @Test func `a cohort that is not slower doubles the limit, a slower one ends growth`() {
    var limit = LatencyGradientLimit()
    limit.slot = 0

    limit.observe(cohort(1, 0.02, size: 24))
    #expect(limit.limit == 32)
    limit.observe(cohort(2, 0.021, size: 32))
    #expect(limit.limit == 64)
    limit.observe(cohort(3, 0.045, size: 64))

    #expect(limit.limit == 35)
    #expect(!limit.growth.isOn)
  }

  @Test func `a slower cohort that follows no clean one takes the limit down by the gradient`() {
    var limit = grownUp()
    limit.growth.isOn = true
    limit.slot = 0
    limit.usualLatency = 0.2

    limit.observe(cohort(1, 0.2, size: 40))

    // Ten baselines ask for less than 0.4 of it.
    #expect(limit.value == 16)
    #expect(!limit.growth.isOn)
    // What was measured with the queue is no measure of time any more.
    #expect(abs(limit.usualLatency - 0.08) < 0.001)
    #expect(limit.period == .milliseconds(400))
  }

  @Test func `what a slower cohort left behind does not take the limit down again`() {
    var limit = grownUp()
    limit.growth.isOn = true
    limit.observe(window(10, served: 0, latency: 0, isLimited: true, inFlight: 40))
    limit.observe(cohort(11, 0.06, size: 40))
    let ended = limit.value
    #expect(ended < 40)

    for tick in 12...19 {
      limit.observe(window(tick, served: 20, latency: 0.06, isLimited: true, inFlight: ended))
    }
    for tick in 20...400 where limit.growth.isStale {
      limit.observe(window(tick, served: 20, latency: 0.06, isLimited: true, inFlight: ended))
    }

    #expect(limit.value == ended)
  }

  @Test func `a slot that is slower ends growth where no cohort was clean, as far as is sure`() {
    var sure = grownUp()
    sure.growth.isOn = true
    sure.baselineError = 0
    var unsure = sure

    for tick in 11...45 {
      let window = window(tick, served: 20, latency: 0.2, isLimited: true, inFlight: 40)
      var wide = window
      // Of 29 such windows the mean is known to 0.3 of itself.
      wide.limited.residual = 42
      sure.observe(window)
      unsure.observe(wide)
    }

    #expect(!sure.growth.isOn && !unsure.growth.isOn)
    #expect(sure.value == 16)
    #expect(unsure.value > 16 && unsure.value < 40)
  }

  @Test func `a cohort of which some hang is begun anew, unless the others are slower`() {
    func number(back: Double, latency: Double, after milliseconds: Double) -> UInt32 {
      var limit = grownUp()
      limit.growth.isOn = true
      limit.slot = 0
      let before = limit.growth.number
      var part = cohort(1, latency, size: back)
      part.cohortSent = RatioSum(count: 24, weight: 24 * 0.02)
      limit.observe(part)
      var later = LimitWindow()
      (later.now, later.wallClock) = (at(milliseconds), 5_000_000)
      (later.cohortFirst, later.cohortLast) = (at(0), at(1))
      limit.observe(later)
      #expect(limit.value == 40)
      return limit.growth.number - before
    }

    #expect(number(back: 14, latency: 0.02, after: 110) == 1)
    #expect(number(back: 14, latency: 0.02, after: 90) == 0)
    #expect(number(back: 14, latency: 0.04, after: 300) == 0)
    #expect(number(back: 11, latency: 0.02, after: 300) == 0, "most of them hang")
  }

  @Test func `cohorts that are each a little slower do not lead the baseline away`() {
    var limit = LatencyGradientLimit()
    limit.slot = 0
    var latency = 0.02
    for tick in 1...6 where limit.growth.isOn {
      let size = max(24, min(limit.value, 200))
      var window = cohort(tick, latency, size: size)
      window.cohort.residual = 0.1 * size * latency * 0.1 * size * latency
      limit.observe(window)
      latency *= 1.15
    }

    #expect(!limit.growth.isOn)
    #expect(limit.baseline < 1.4)
  }

  @Test
  func `one slower cohort moves a baseline that was handed over, and does not take its place`() {
    // 20 ms and a limit of 20; the first cohort of this process takes half as long again.
    var limit = LatencyGradientLimit(
      learned: LearnedLimit(
        limit: 20,
        baseline: 1,
        meanLatency: 0.02,
        meanWeight: 0.02,
        usualLatency: 0.02
      )
    )

    limit.observe(cohort(1, 0.03, size: 24))

    #expect(limit.baseline > 1.2 && limit.baseline < 1.3)
    #expect(limit.baselineError > 0)
  }
}
