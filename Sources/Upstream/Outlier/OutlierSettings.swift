public import Units

/// When one endpoint behaves so much worse than its fellows that it is left out for a while.
///
/// Source: Envoy's outlier detection, whose numbers these are.
public struct OutlierSettings: Hashable, Sendable, BitwiseCopyable {
  /// Failures in a row, connections that failed included, 0 for never.
  public var consecutive5xx: Int32 = 5
  /// 502, 503, 504, resets, time-outs and failed connects in a row, 0 for never.
  public var consecutiveGatewayFailures: Int32 = 5
  /// How often endpoints are compared with each other.
  public var interval = Nanoseconds.seconds(10)
  /// Left out for this long, times how often it was, at most `maximumEjection`.
  public var baseEjection = Nanoseconds.seconds(30)
  public var maximumEjection = Nanoseconds.seconds(300)
  /// Share of the endpoints that may be left out at once, in percent; with more than one endpoint
  /// and more than 0 percent always one.
  public var maximumEjectionPercent: Int32 = 10
  /// Endpoints that have to have enough requests in an interval before they are compared.
  public var minimumHosts: Int32 = 5
  /// Requests in an interval from which an endpoint's share of successes is compared.
  public var requestVolume: Int32 = 100
  /// Standard deviations below the mean of all at which an endpoint is out, 0 for never.
  public var successRateDeviations = 1.9
  /// Percent of failures in an interval at which it is out whatever the others do, 0 for never; of
  /// at least `failurePercentageVolume` requests.
  public var failurePercentage: Int32 = 85
  public var failurePercentageVolume: Int32 = 50
  /// Times the others' mean latency at which it is out, 0 for never.
  public var latencyFactor = 0.0
  /// Time in which one that comes back gets its whole share again.
  public var heal = Nanoseconds.seconds(10)

  public init() {}

  /// Endpoints of so many that may be left out at once.
  ///
  /// One of two or three is more than ten percent, and is what an operator who wrote `outlier`
  /// wants: the alternative is that small services are not protected at all. A single endpoint
  /// stays, since there is nothing else.
  public func mostEjected(of count: Int) -> Int {
    guard count > 1, maximumEjectionPercent > 0 else { return 0 }
    return min(count - 1, max(1, count * Int(maximumEjectionPercent) / 100))
  }
}

/// Why an endpoint was left out.
public enum EjectionCause: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  case consecutive5xx
  case consecutiveGateway
  case successRate
  case failurePercentage
  case latency

  public var label: String {
    switch self {
    case .consecutive5xx: "consecutive-5xx"
    case .consecutiveGateway: "consecutive-gateway-failures"
    case .successRate: "success-rate"
    case .failurePercentage: "failure-percentage"
    case .latency: "latency"
    }
  }
}
