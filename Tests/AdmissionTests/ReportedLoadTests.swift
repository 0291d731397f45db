import Testing
import Units

@testable import Admission

/// What a service says of its load, as a limit hears it.
struct ReportedLoadTests {
  /// Ten milliseconds at the limit, with answers as quick as without any load.
  private func window(_ tick: Int, reports: Double = 0, utilization: Double = 0) -> LimitWindow {
    var window = LimitWindow()
    window.now = at(Double(tick) * 10)
    window.wallClock = Int64(tick) * 10_000_000
    window.inFlight = 40
    window.peakInFlight = 40
    window.dispatched = 20
    window.dispatchedLimited = 20
    window.samples = 20
    window.busySamples = 20
    window.latency = 20 * 0.02
    window.cappedLatency = window.latency
    window.weight = window.latency
    window.limited = RatioSum(count: 20, latency: window.latency, weight: window.weight)
    window.reports = RatioSum(count: reports, weight: reports * utilization)
    return window
  }

  private func grownUp() -> LatencyGradientLimit {
    var limit = LatencyGradientLimit(
      learned: LearnedLimit(
        limit: 40,
        baseline: 1,
        meanLatency: 0.02,
        meanWeight: 0.02,
        usualLatency: 0.02
      )
    )
    limit.growth.isOn = false
    limit.freeSince = at(0)
    return limit
  }

  @Test func `a limit does not grow while the service has all it can do`() {
    var told = grownUp()
    var spared = grownUp()

    for tick in 11...100 {
      told.observe(window(tick, reports: 3, utilization: 1))
      spared.observe(window(tick, reports: 3, utilization: 0.99))
      #expect(told.value <= 40)
      #expect(told.guidance.isHeldBack && !spared.guidance.isHeldBack)
    }

    #expect(spared.limit > 40)
    // It may grow again as soon as the service says so.
    for tick in 101...200 { told.observe(window(tick, reports: 1, utilization: 0.5)) }
    #expect(told.limit > 40)
  }

  @Test func `a word that none follows counts for a second`() {
    var limit = grownUp()
    for tick in 11...20 { limit.observe(window(tick, reports: 1, utilization: 1.5)) }
    for tick in 21...110 { limit.observe(window(tick)) }
    #expect(limit.value <= 40)
    for tick in 121...220 { limit.observe(window(tick)) }
    #expect(limit.value > 40)
  }

  @Test func `it shrinks by latency, whatever is said`() {
    var slow = grownUp()
    for tick in 11...100 {
      var window = window(tick, reports: 20, utilization: 0.1)
      window.limited.latency *= 3
      slow.observe(window)
    }
    #expect(slow.limit < 40)
  }

  @Test func `without reports nothing changes`() {
    var plain = grownUp()
    var silent = grownUp()
    silent.saturatedUntil = Instant(.min)
    for tick in 11...400 {
      plain.observe(window(tick))
      var unheard = window(tick)
      unheard.reports = RatioSum(count: 0, weight: 9)
      silent.observe(unheard)
    }
    #expect(plain.value == silent.value && plain.value > 40)
  }

  @Test func `doubling ends once there is a baseline`() {
    var limit = LatencyGradientLimit()
    func cohort(_ tick: Int, size: Double) -> LimitWindow {
      var window = LimitWindow()
      window.now = at(Double(tick) * 10)
      window.wallClock = 5_000_000
      window.samples = size
      window.latency = size * 0.02
      window.cappedLatency = window.latency
      window.weight = window.latency
      window.cohortSent = RatioSum(count: size, weight: window.weight)
      window.cohort = RatioSum(count: size, latency: window.latency, weight: window.weight)
      window.cohortFirst = at(0)
      window.cohortLast = at(1)
      window.reports = RatioSum(count: 1, weight: 1.2)
      return window
    }

    limit.observe(window(1, reports: 1, utilization: 1.2))
    #expect(limit.growth.isOn, "there is nothing yet to go by")
    limit.observe(cohort(2, size: 24))

    #expect(limit.baseline > 0)
    #expect(!limit.growth.isOn && limit.limit == 16)
  }

  @Test func `what workers note arrives in the window, whatever it is`() {
    let service = makeService(limit: 4, workers: 2, limiter: .latencyGradient(grownUp()))
    let workers = (0..<2).map { TestWorker(service, $0) }
    for _ in 0..<5 { workers[0].admission.noteUtilization(2) }
    workers[1].admission.noteUtilization(.infinity)
    workers[1].admission.noteUtilization(-.nan)

    let sums = service.cells.sums(of: 0)
    #expect(sums[.reportCount] == 5 && sums[.reportUtilization] == 10)
    let other = service.cells.sums(of: 1)
    #expect(other[.reportCount] == 2 && other[.reportUtilization] == 10)
  }
}
