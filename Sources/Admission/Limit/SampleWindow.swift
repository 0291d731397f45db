internal import Units

/// The windows of a second that published limits learn from.
///
/// Source: Netflix concurrency-limits, `WindowedLimit` with its defaults: at least a second and at
/// least ten samples, averaged; one with fewer says nothing.
struct SampleWindow: Equatable, Sendable {
  private var end = Instant(.min)
  private var samples = 0.0
  private var latency = 0.0
  private var peak = 0.0
  private var hasDrops = false

  /// The mean latency in seconds, most requests in flight, and whether any were dropped.
  struct Summary {
    var latency, peakInFlight: Double
    var hasDrops: Bool
  }

  mutating func add(_ window: LimitWindow) -> Summary? {
    if window.latency.isFinite, window.samples >= 0 {
      samples += window.samples
      latency += window.latency
    }
    peak = max(peak, window.peakInFlight)
    if window.dropped > 0 { hasDrops = true }
    guard window.now > end, window.samples > 0 || window.dropped > 0 else { return nil }
    end = window.now + .seconds(1)
    let summary = Summary(
      latency: max(latency / max(samples, 1), Bounds.shortestLatency),
      peakInFlight: peak,
      hasDrops: hasDrops
    )
    let isEnough = samples >= 10
    samples = 0
    latency = 0
    peak = 0
    hasDrops = false
    return isEnough ? summary : nil
  }
}
