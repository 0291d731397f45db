import Testing
import Units

@testable import Admission

/// What a service says of its load, as a limit hears it.
struct ReportedLoadTests {
  /// Ten milliseconds at the limit, with answers as quick as without any load.
  private func reported(_ tick: Int, _ reports: Double = 0, of utilization: Double = 0)
    -> LimitWindow
  {
    var window = window(tick, served: 20, latency: 0.02, isLimited: true, inFlight: 40)
    window.reports = RatioSum(count: reports, weight: reports * utilization)
    return window
  }

  @Test func `a limit does not grow while the service has all it can do`() {
    var told = grownUp()
    var spared = grownUp()

    for tick in 11...100 {
      told.observe(reported(tick, 3, of: 1))
      spared.observe(reported(tick, 3, of: 0.99))
      #expect(told.value <= 40)
      #expect(told.guidance.isHeldBack && !spared.guidance.isHeldBack)
    }

    #expect(spared.limit > 40)
    // It may grow again as soon as the service says so.
    for tick in 101...200 { told.observe(reported(tick, 1, of: 0.5)) }
    #expect(told.limit > 40)
  }

  @Test func `a word that none follows counts for a second`() {
    var limit = grownUp()
    for tick in 11...20 { limit.observe(reported(tick, 1, of: 1.5)) }
    for tick in 21...110 { limit.observe(reported(tick)) }
    #expect(limit.value <= 40)
    for tick in 121...220 { limit.observe(reported(tick)) }
    #expect(limit.value > 40)
  }

  @Test func `it shrinks by latency, whatever is said`() {
    var slow = grownUp()
    for tick in 11...100 {
      var window = reported(tick, 20, of: 0.1)
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
      plain.observe(reported(tick))
      var unheard = reported(tick)
      unheard.reports = RatioSum(count: 0, weight: 9)
      silent.observe(unheard)
    }
    #expect(plain.value == silent.value && plain.value > 40)
  }

  @Test func `doubling ends once there is a baseline`() {
    var limit = LatencyGradientLimit()
    func back(_ tick: Int, size: Double) -> LimitWindow {
      var window = cohort(tick, 0.02, size: size)
      window.reports = RatioSum(count: 1, weight: 1.2)
      return window
    }

    limit.observe(reported(1, 1, of: 1.2))
    #expect(limit.growth.isOn, "there is nothing yet to go by")
    limit.observe(back(2, size: 24))

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
