import Units

@testable import Admission

/// Ten milliseconds in which `count` requests of one latency were served.
func window(
  _ tick: Int,
  served count: Double,
  latency: Double,
  isLimited: Bool,
  inFlight: Double
) -> LimitWindow {
  var window = LimitWindow()
  window.now = at(Double(tick) * 10)
  window.wallClock = Int64(tick) * 10_000_000
  window.inFlight = inFlight
  window.peakInFlight = inFlight
  window.dispatched = count
  window.dispatchedLimited = isLimited ? count : 0
  window.samples = count
  window.busySamples = isLimited ? count : 0
  window.latency = count * latency
  window.cappedLatency = count * latency
  window.weight = count * 0.02
  let ratio = RatioSum(count: count, latency: count * latency, weight: count * 0.02)
  if isLimited { window.limited = ratio } else { window.idle = ratio }
  return window
}

/// A cohort of one latency that is back.
func cohort(_ tick: Int, _ latency: Double, size: Double) -> LimitWindow {
  var window = LimitWindow()
  window.now = at(Double(tick) * 10)
  window.wallClock = 5_000_000
  window.samples = size
  window.latency = size * latency
  window.cappedLatency = size * latency
  window.weight = size * 0.02
  window.cohortSent = RatioSum(count: size, weight: size * 0.02)
  window.cohort = RatioSum(count: size, latency: size * latency, weight: size * 0.02)
  window.cohortFirst = at(0)
  window.cohortLast = at(1)
  return window
}

/// A limit of 40 that has learned what it learns, and grows no more by doubling.
func grownUp() -> LatencyGradientLimit {
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
