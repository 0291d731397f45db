internal import Glibc

/// A moving mean of latency, from which the queue derives how long it may be.
///
/// The limits that keep no baseline of their own share it.
struct UsualLatency: Equatable, Sendable {
  /// Seconds; 0 while nothing is known.
  private(set) var latency = 0.0
  private(set) var scale = 1.0

  mutating func observe(_ window: LimitWindow) {
    guard window.samples >= 1, window.latency.isFinite else { return }
    let mean = Bounds.clamp(
      window.latency / window.samples,
      Bounds.shortestLatency,
      Bounds.latency
    )
    latency = Self.moved(latency, toward: mean, samples: window.samples, factor: 0.98)
    if window.weight > 0 {
      let ratio = window.cappedLatency / window.weight
      if ratio.isFinite, ratio > 0 { scale += (1 - pow(0.99, window.samples)) * (ratio - scale) }
    }
  }

  func guidance(limit: Int) -> LimitGuidance {
    var guidance = LimitGuidance()
    guidance.latency = latency
    guidance.scale = scale
    guidance.smoothLimit = Double(limit)
    return guidance
  }

  /// An exponentially weighted mean after `samples` steps that keep `factor` each.
  static func moved(
    _ mean: Double,
    toward value: Double,
    samples: Double,
    factor: Double
  ) -> Double {
    mean == 0 ? value : mean + (1 - pow(factor, samples)) * (value - mean)
  }
}
