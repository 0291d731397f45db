import Testing
import Units

@testable import Admission

/// Services that lose what they get, and those that were away.
struct LossTests {
  @Test func `more lost than served halves the limit long before a long slot ends`() {
    var limit = grownUp()
    limit.period = .milliseconds(1_600)
    limit.slot = 0
    limit.losses.begin(at(0))
    var few = limit

    for tick in 1...12 {
      var lost = window(tick, served: 1, latency: 0.02, isLimited: true, inFlight: 40)
      lost.dropped = 2
      limit.observe(lost)
      lost.samples = 3
      few.observe(lost)
    }

    #expect(limit.value == 20)
    #expect(few.value == 40)
  }

  @Test func `a limit that an outage took down grows again once the service answers`() {
    var limit = limit(after: 0)
    #expect(limit.value == 2)
    #expect(!limit.growth.isOn)

    answer(&limit, ticks: 200...220)

    #expect(limit.growth.isOn)
    #expect(limit.value == 16)
    #expect(limit.losses.limitBefore == 0)
  }

  @Test func `an outage leaves no more than the limit had before it`() {
    var limit = grownUp()
    limit.value = 6
    lose(&limit, servedOfEach: 0)

    answer(&limit, ticks: 200...220)

    #expect(limit.growth.isOn)
    #expect(limit.value == 6)
  }

  @Test func `a service that answered within a second, or ten usual latencies, was not away`() {
    var limit = limit(after: 0)
    answer(&limit, ticks: 92...120)
    #expect(!limit.growth.isOn)
    #expect(limit.value < 16)

    limit = grownUp()
    limit.usualLatency = 0.4
    lose(&limit, servedOfEach: 0)
    answer(&limit, ticks: 350...370)

    #expect(!limit.growth.isOn)
    #expect(limit.value < 16)
  }

  @Test func `a service that loses as much as it answers is not back`() {
    var limit = limit(after: 0)

    for tick in 200...260 {
      var window = window(tick, served: 2, latency: 0.02, isLimited: true, inFlight: 2)
      window.dropped = 2
      limit.observe(window)
    }

    #expect(!limit.growth.isOn)
    #expect(limit.value < 16)
  }

  @Test func `few requests take a fallen limit up after five calm seconds`() {
    var limit = limit(after: 2)
    #expect(limit.value < 16)

    for tick in 100...700 where tick % 20 == 0 {
      limit.observe(window(tick, served: 1, latency: 0.02, isLimited: true, inFlight: 1))
    }

    #expect(limit.growth.isOn)
    #expect(limit.value == 16)
  }

  private func limit(after served: Double) -> LatencyGradientLimit {
    var limit = grownUp()
    lose(&limit, servedOfEach: served)
    return limit
  }

  /// Most of a second in which ten of each window are lost.
  private func lose(_ limit: inout LatencyGradientLimit, servedOfEach served: Double) {
    limit.losses.servedAt = at(0)
    for tick in 1...90 {
      var lost = window(tick, served: served, latency: 0.02, isLimited: true, inFlight: limit.value)
      lost.dispatched += 10
      lost.dropped = 10
      limit.observe(lost)
    }
  }

  private func answer(_ limit: inout LatencyGradientLimit, ticks: ClosedRange<Int>) {
    for tick in ticks {
      limit.observe(
        window(tick, served: 1, latency: 0.02, isLimited: true, inFlight: limit.value)
      )
    }
  }
}
