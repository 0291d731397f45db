/// Bounds of what admission counts, so that no sum or conversion can leave its range.
public enum Bounds {
  /// Largest limit: the count of requests in flight has 21 bits.
  public static let limit = 1 << 20
  /// Longest latency that is believed, in seconds.
  static let latency = 3_600.0
  /// Shortest latency that is believed, in seconds: a weight of zero would divide by zero.
  static let shortestLatency = 1e-6

  /// A whole number in `range`, also from what is no number.
  static func whole(_ value: Double, in range: ClosedRange<Int>) -> Int {
    guard value > Double(range.lowerBound) else { return range.lowerBound }
    guard value < Double(range.upperBound) else { return range.upperBound }
    return Int(value)
  }

  /// The value when it is finite and in range, else the nearer end; the lower one for no number.
  static func clamp(_ value: Double, _ low: Double, _ high: Double) -> Double {
    value > low ? min(value, high) : low
  }
}
