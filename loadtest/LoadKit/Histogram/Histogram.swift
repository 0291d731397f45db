/// Counts of durations with a bounded relative error, whatever their range.
///
/// Buckets of one power of two each are cut into equal parts, so that a value is off by at most one
/// part in ten to the power of the significant digits. Recording is O(1) and never allocates;
/// memory is fixed by the digits: 200 KiB with three, 28 KiB with two. One thread owns a histogram.
///
/// Source: Gil Tene's HdrHistogram (http://hdrhistogram.org), whose layout and percentile rule this
/// follows.
public final class Histogram {
  /// Values are told apart from 1,024 ns up: finer than any clock of a client is worth.
  static let unitShift = 10
  /// About 4.9 hours, in nanoseconds; longer ones count as this.
  public static let largest: Int64 = (1 << 44) - 1

  /// Digits of a value that are kept, in `1...3`.
  public let significantDigits: Int
  /// Values recorded.
  public private(set) var count: UInt64 = 0
  /// Values beyond `largest`, or below zero, that were moved to the bound.
  public private(set) var clamped: UInt64 = 0
  private var smallestSeen = Int64.max
  private var largestSeen: Int64 = 0
  private var sum = 0.0
  private let partShift: Int
  private let parts: Int
  private let counts: UnsafeMutablePointer<UInt64>
  private let slots: Int

  /// - Parameter significantDigits: In `1...3`.
  public init(significantDigits: Int = 3) {
    precondition((1...3).contains(significantDigits), "unvalidated digits")
    self.significantDigits = significantDigits
    // Twice ten to the power of the digits, rounded up to a power of two: the upper half of a
    // bucket's parts is used, and its first part must already be fine enough.
    switch significantDigits {
    case 1: partShift = 5
    case 2: partShift = 8
    default: partShift = 11
    }
    parts = 1 << partShift
    let buckets = 44 - Self.unitShift - partShift + 1
    slots = (buckets + 1) << (partShift - 1)
    counts = .allocate(capacity: slots)
    counts.initialize(repeating: 0, count: slots)
  }

  deinit { counts.deallocate() }

  /// Counts a duration in nanoseconds, `times` times.
  @inline(__always)
  public func record(_ value: Int64, times: UInt64 = 1) {
    var value = value
    if value < 0 || value > Self.largest {
      clamped &+= times
      value = value < 0 ? 0 : Self.largest
    }
    counts[slot(of: value)] &+= times
    count &+= times
    sum += Double(value) * Double(times)
    if value < smallestSeen { smallestSeen = value }
    if value > largestSeen { largestSeen = value }
  }

  /// The smallest value recorded, exact; 0 when there is none.
  public var minimum: Int64 { count == 0 ? 0 : smallestSeen }

  /// The largest value recorded, exact.
  public var maximum: Int64 { largestSeen }

  /// The mean in nanoseconds, exact but for rounding; 0 when there is none.
  public var mean: Double { count == 0 ? 0 : sum / Double(count) }

  /// The smallest value that at least this percentage of all values do not exceed.
  ///
  /// - Parameter percentage: In `0...100`; 100 gives the maximum.
  /// - Returns: Nanoseconds, within the histogram's precision; 0 when there is none.
  public func percentile(_ percentage: Double) -> Int64 {
    guard count > 0 else { return 0 }
    let share = min(max(percentage, 0), 100) / 100
    // A product such as 99.9 % of 1,000 must not become 1,000 by a rounding error.
    let wanted = max(1, UInt64((share * Double(count) - 1e-9 * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for slot in 0..<slots where counts[slot] > 0 {
      seen += counts[slot]
      if seen >= wanted { return min(highest(ofSlot: slot), largestSeen) }
    }
    return largestSeen
  }

  /// Adds all values of another histogram of the same precision.
  public func merge(_ other: Histogram) {
    precondition(other.significantDigits == significantDigits, "histograms of another precision")
    for slot in 0..<slots { counts[slot] &+= other.counts[slot] }
    count &+= other.count
    clamped &+= other.clamped
    sum += other.sum
    smallestSeen = min(smallestSeen, other.smallestSeen)
    largestSeen = max(largestSeen, other.largestSeen)
  }

  /// Forgets everything.
  public func reset() {
    counts.update(repeating: 0, count: slots)
    count = 0
    clamped = 0
    smallestSeen = .max
    largestSeen = 0
    sum = 0
  }

  // MARK: - Layout

  /// Slots lie bucket behind bucket; only the first bucket uses its lower half.
  @inline(__always)
  private func slot(of value: Int64) -> Int {
    let units = UInt64(value) >> UInt64(Self.unitShift)
    let bucket = max(0, 64 - partShift - units.leadingZeroBitCount)
    let part = Int(units >> UInt64(bucket))
    return (bucket << (partShift - 1)) + part
  }

  /// The largest value that counts in a slot.
  private func highest(ofSlot slot: Int) -> Int64 {
    let half = parts >> 1
    let bucket = max(0, slot / half - 1)
    let part = slot - bucket * half
    let next = (Int64(part) + 1) << Int64(bucket + Self.unitShift)
    return next - 1
  }
}
