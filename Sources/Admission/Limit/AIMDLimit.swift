internal import Glibc

/// A concurrency limit that grows by one per good sample and shrinks by a factor per drop.
///
/// It needs no latency baseline, so it also serves while other limits are still learning theirs.
/// Source: Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
/// Avoidance in Computer Networks", 1989; constants of Netflix concurrency-limits, `AIMDLimit`.
/// A request that takes too long is a drop already when it comes here.
public struct AIMDLimit: ConcurrencyLimit {
  private static let bounds: ClosedRange<Double> = 20...1_000
  private static let backoff = 0.9
  private var value = Self.bounds.lowerBound
  private var usual = UsualLatency()

  public init() {}

  public var limit: Int { Int(value) }

  public var guidance: LimitGuidance { usual.guidance(limit: limit) }

  public mutating func observe(_ window: LimitWindow) {
    usual.observe(window)
    // A half-idle proxy learns nothing about capacity; growing then would admit the next burst.
    var next = value + max(window.busySamples, 0)
    if window.dropped > 0 { next = (next * pow(Self.backoff, window.dropped)).rounded(.down) }
    value = Bounds.clamp(next, Self.bounds.lowerBound, Self.bounds.upperBound)
  }
}
