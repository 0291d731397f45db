/// A concurrency limit that follows the ratio of long-term to recent mean latency.
///
/// The long-term mean drifts up in a long overload, and with it the limit.
/// Source: Netflix concurrency-limits, `Gradient2Limit`, with its defaults.
public struct Gradient2Limit: ConcurrencyLimit {
  private static let bounds: ClosedRange<Double> = 20...1_000
  private static let tolerance = 1.5
  private static let queue = 4.0
  private static let smoothing = 0.2
  private static let warmUp = 10.0
  private static let longWindow = 600.0

  private var value = Self.bounds.lowerBound
  private var longLatency = 0.0
  private var seen = 0.0
  private var sum = 0.0
  private var window = SampleWindow()
  private var usual = UsualLatency()

  public init() {}

  public var limit: Int { Int(value) }

  public var guidance: LimitGuidance {
    var guidance = usual.guidance(limit: limit)
    guidance.baseline = longLatency
    return guidance
  }

  public mutating func observe(_ window: LimitWindow) {
    usual.observe(window)
    guard let second = self.window.add(window) else { return }
    if seen < Self.warmUp {
      seen += 1
      sum += second.latency
      longLatency = sum / seen
    } else {
      longLatency += 2 / (Self.longWindow + 1) * (second.latency - longLatency)
    }
    let before = longLatency
    // After a long overload the mean is far too high; it then decays faster.
    if before / second.latency > 2 { longLatency *= 0.95 }
    guard second.peakInFlight >= value / 2 else { return }
    let gradient = Bounds.clamp(Self.tolerance * before / second.latency, 0.5, 1)
    let next = value * gradient + Self.queue
    value = Bounds.clamp(
      value * (1 - Self.smoothing) + next * Self.smoothing,
      Self.bounds.lowerBound,
      Self.bounds.upperBound
    )
  }
}
