/// What a limit has learned that a restarted edge should start from.
public struct LearnedLimit: Equatable, Sendable, BitwiseCopyable {
  /// Requests in flight.
  public var limit: Double
  /// Unloaded latency per weight of route.
  public var baseline: Double
  /// Moving means of latency in seconds and of weight, whose ratio is the scale of the weights.
  public var meanLatency: Double
  public var meanWeight: Double
  /// Usual latency in seconds.
  public var usualLatency: Double

  public init(
    limit: Double,
    baseline: Double,
    meanLatency: Double,
    meanWeight: Double,
    usualLatency: Double
  ) {
    self.limit = limit
    self.baseline = baseline
    self.meanLatency = meanLatency
    self.meanWeight = meanWeight
    self.usualLatency = usualLatency
  }
}
