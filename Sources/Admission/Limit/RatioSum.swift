/// Latency over the routes' own weights, as a ratio of sums.
///
/// For a fixed mix of routes this is the mean latency, so Little's law holds for it; yet it does not
/// move when only the mix does.
public struct RatioSum: Equatable, Sendable, BitwiseCopyable {
  /// Samples.
  public var count = 0.0
  /// Sum of latencies, in seconds.
  public var latency = 0.0
  /// Sum of the weights of the samples' routes.
  public var weight = 0.0
  /// Sum of the squares of latency minus weight times scale.
  public var residual = 0.0

  public init(count: Double = 0, latency: Double = 0, weight: Double = 0, residual: Double = 0) {
    self.count = count
    self.latency = latency
    self.weight = weight
    self.residual = residual
  }

  /// Latency per weight; zero without samples.
  public var value: Double { weight > 0 ? latency / weight : 0 }

  /// Relative standard error of `value`; zero without samples.
  public var relativeError: Double { latency > 0 ? residual.squareRoot() / latency : 0 }

  public mutating func add(_ other: RatioSum) {
    count += other.count
    latency += other.latency
    weight += other.weight
    residual += other.residual
  }

  /// Adds `count` samples of one latency whose weights sum to `weight`.
  public mutating func add(count: Double, each latency: Double, weight: Double, scale: Double) {
    guard count > 0 else { return }
    let difference = latency - weight / count * scale
    add(
      RatioSum(
        count: count,
        latency: count * latency,
        weight: weight,
        residual: count * difference * difference
      )
    )
  }

  public mutating func clear() { self = RatioSum() }
}
