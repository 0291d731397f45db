internal import Glibc

/// A histogram of latencies with buckets of 2 %.
struct Histogram {
  private var buckets = [UInt32](repeating: 0, count: 700)
  private(set) var count = 0

  mutating func add(_ seconds: Double) {
    let index = seconds <= 1e-4 ? 0 : Int(log(seconds / 1e-4) / 0.02)
    buckets[min(max(index, 0), 699)] += 1
    count += 1
  }

  /// The latency in seconds below which a share of the samples lies.
  func quantile(_ share: Double) -> Double {
    let target = UInt64(share * Double(count))
    var seen: UInt64 = 0
    for index in buckets.indices {
      seen += UInt64(buckets[index])
      if seen > target { return 1e-4 * exp(0.02 * (Double(index) + 0.5)) }
    }
    return 0
  }
}
