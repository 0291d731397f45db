public import Units

/// A latency that rises at once and falls slowly, so that an endpoint that becomes slow is avoided
/// after one answer, and asked again when what is known of it is old.
///
/// Source: Finagle's Peak EWMA. The exponential is its series to the second order: a balancer
/// compares, it does not measure.
public struct PeakAverage: BitwiseCopyable, Sendable {
  private var seconds: Double = 0
  private var updated = Instant(.min)

  /// Time in which what was seen falls to about a third: 10 s, as Finagle's and Linkerd's.
  static let decay = 10.0

  public init() {}

  /// What is left of the past at `now`, in `0...1`.
  private func weight(at now: Instant) -> Double {
    guard updated.rawValue != .min else { return 0 }
    let age = max(0, (now - updated).seconds) / Self.decay
    return 1 / (1 + age + age * age / 2)
  }

  /// Seconds; 0 before the first sample, and near 0 when the last one is long ago.
  public func value(at now: Instant) -> Double { seconds * weight(at: now) }

  /// Whether it was measured lately, and is low for its own sake.
  func isFresh(at now: Instant) -> Bool {
    updated.rawValue != .min && (now - updated).seconds < Self.decay / 2
  }

  public mutating func observe(_ sample: Double, at now: Instant) {
    let weight = weight(at: now)
    // What is known fades with time: compared with that, a higher sample is a new peak.
    seconds = max(sample, seconds * weight + sample * (1 - weight))
    updated = now
  }
}
