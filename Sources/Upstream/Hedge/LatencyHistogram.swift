public import Units

/// Latencies of a stream of samples, old ones counting less and less.
///
/// Buckets are sixteenths of powers of two, as in HDR histograms, so a quantile is off by a sixteenth
/// of itself at most; what is below 4 ms is one bucket, for nobody asks for less. All weights are
/// halved together now and then, which costs a pass over a kilobyte and leaves a sample one addition.
/// Zeroed memory is an empty one.
public struct LatencyHistogram: BitwiseCopyable, Sendable {
  /// Time in which a sample comes to count half: the mean of some 43 s, so that a percentile follows
  /// a change within seconds and rests on more than a moment.
  public static let halfLife = Nanoseconds.seconds(30)

  /// The first bucket ends at 2^22 ns, the last one at 2^36 ns, 69 s: no request lasts longer.
  private static let firstBit = 22
  private static let octaves = 14
  private static let parts = 16
  private static let partBits = 4
  private static let count = 225

  private var weights = InlineArray<225, Float>(repeating: 0)
  /// The sum of all weights: samples, as far as they count.
  public private(set) var total: Float = 0
  private var halvedAt = Instant(0)

  public init() {}

  /// Adds a sample of weight one.
  public mutating func observe(_ latency: Nanoseconds, at now: Instant) {
    if total == 0 { halvedAt = now } else { decay(at: now) }
    weights[Self.bucket(latency.rawValue)] += 1
    total += 1
  }

  /// Lets time pass.
  ///
  /// - Returns: Whether any weight has changed.
  @discardableResult
  public mutating func decay(at now: Instant) -> Bool {
    guard total > 0, now - halvedAt >= Self.halfLife else { return false }
    let halvings = (now - halvedAt).rawValue / Self.halfLife.rawValue
    halvedAt = halvedAt + Nanoseconds(halvings * Self.halfLife.rawValue)
    // Half of a half, thirty times, is nothing.
    let factor: Float = halvings < 30 ? 1 / Float(1 << halvings) : 0
    total = 0
    for index in 0..<Self.count {
      weights[index] *= factor
      total += weights[index]
    }
    return true
  }

  /// The latency that a share of the samples does not pass, in-between within its bucket.
  ///
  /// - Parameter share: In `0...1`.
  /// - Returns: `nil` without a sample.
  public func quantile(_ share: Double) -> Nanoseconds? {
    guard total > 0 else { return nil }
    let wanted = Float(share) * total
    var below: Float = 0
    var last = 0
    for index in 0..<Self.count where weights[index] > 0 {
      last = index
      guard below + weights[index] < wanted else {
        let (low, high) = Self.bounds(index)
        let part = min(1, max(0, (wanted - below) / weights[index]))
        return Nanoseconds(low + Int64(Double(part) * Double(high - low)))
      }
      below += weights[index]
    }
    return Nanoseconds(Self.bounds(last).high)
  }

  private static func bucket(_ value: Int64) -> Int {
    guard value >= 1 << firstBit else { return 0 }
    let bit = 63 - value.leadingZeroBitCount
    guard bit < firstBit + octaves else { return count - 1 }
    let part = Int(value >> Int64(bit - partBits)) & (parts - 1)
    return 1 + (bit - firstBit) * parts + part
  }

  private static func bounds(_ bucket: Int) -> (low: Int64, high: Int64) {
    guard bucket > 0 else { return (0, 1 << firstBit) }
    let (octave, part) = (bucket - 1).quotientAndRemainder(dividingBy: parts)
    let width = Int64(1) << Int64(octave + firstBit - partBits)
    let low = Int64(parts + part) * width
    return (low, low + width)
  }
}
