internal import Glibc
internal import Units

/// A concurrency limit that estimates the queue from the shortest latency seen.
///
/// Source: Brakmo, O'Malley and Peterson, "TCP Vegas", SIGCOMM 1994; as in Netflix
/// concurrency-limits, `VegasLimit`, with its defaults. The moments at which it measures the shortest
/// latency anew are jittered, from a seed of its own.
public struct VegasLimit: ConcurrencyLimit {
  private static let bounds: ClosedRange<Double> = 1...1_000
  private static let probeMultiplier = 30.0

  private var value = 20.0
  private var unloaded = 0.0
  private var windows = 0.0
  private var jitter = 0.75
  private var generator: SplitMix64
  private var window = SampleWindow()
  private var usual = UsualLatency()

  /// - Parameter seed: Of the jitter; one value gives one course.
  public init(seed: UInt64 = 1) { generator = SplitMix64(seed: seed) }

  public var limit: Int { Int(value) }

  public var guidance: LimitGuidance {
    var guidance = usual.guidance(limit: limit)
    guidance.baseline = unloaded
    return guidance
  }

  public mutating func observe(_ window: LimitWindow) {
    usual.observe(window)
    guard let second = self.window.add(window) else { return }
    windows += 1
    if jitter * Self.probeMultiplier * value <= windows {
      jitter = 0.5 + Double(generator.next() >> 11) * 0x1p-54
      windows = 0
      unloaded = second.latency
    } else if unloaded == 0 || second.latency < unloaded {
      unloaded = second.latency
    } else {
      step(second)
    }
  }

  private mutating func step(_ second: SampleWindow.Summary) {
    let unit = max(1, log10(max(1, value)).rounded(.down))
    let queue = (value * (1 - unloaded / second.latency)).rounded(.up)
    var next = value
    if second.hasDrops {
      next -= unit
    } else if second.peakInFlight * 2 < value {
      return
    } else if queue <= unit {
      next += 6 * unit
    } else if queue < 3 * unit {
      next += unit
    } else if queue > 6 * unit {
      next -= unit
    }
    value = Bounds.clamp(next, Self.bounds.lowerBound, Self.bounds.upperBound)
  }
}
