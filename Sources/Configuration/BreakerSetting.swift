public import Units

/// When a service, or one endpoint of it, is not asked for a while because it fails.
public struct BreakerSetting: Sendable, Hashable {
  /// What may count as a failure.
  public enum Failure: String, Sendable, CaseIterable {
    case connectFailure = "connect-failure"
    case reset
    case timeout
    /// 502, 503, 504, and UNAVAILABLE of gRPC.
    case gatewayError = "gateway-error"
    /// Any other 5xx.
    case serverError = "5xx"
    /// 429, and RESOURCE_EXHAUSTED of gRPC.
    case tooManyRequests = "429"
  }

  /// Failures in a row that open it; 0 for never.
  public var consecutiveFailures = 5
  /// Share of failures in `window` that opens it, of at least `minimumRequests`; 0 for never.
  public var failureRatio = 0.5
  public var minimumRequests = 20
  public var window = Nanoseconds.seconds(10)
  /// Open for this long at first, doubled up to `maximumOpen`.
  public var open = Nanoseconds.seconds(5)
  public var maximumOpen = Nanoseconds.seconds(60)
  /// Time to the response head from which an answer is slow; `nil` judges none.
  public var slowCall: Nanoseconds?
  /// Share of slow answers in `window` that opens it.
  public var slowRatio = 0.5
  /// Requests that are let through to find out whether it works again, all of which have to succeed.
  public var probes = 3
  /// Time in which all the others follow.
  public var ramp = Nanoseconds.seconds(10)
  public var failures: [Failure] = [.connectFailure, .reset, .timeout, .gatewayError]

  public init() {}
}

/// When one endpoint is left out because it does much worse than the others.
public struct OutlierSetting: Sendable, Hashable {
  public var consecutive5xx = 5
  public var consecutiveGatewayFailures = 5
  public var interval = Nanoseconds.seconds(10)
  public var baseEjection = Nanoseconds.seconds(30)
  public var maximumEjection = Nanoseconds.seconds(300)
  /// Share of the endpoints that may be left out at once, and always one of several; 0 for none.
  public var maximumEjectionPercent = 10
  /// Endpoints with enough requests, below which they are not compared.
  public var minimumHosts = 5
  public var requestVolume = 100
  /// Standard deviations below the mean share of successes; 0 for never.
  public var successRateDeviations = 1.9
  /// Percent of failures in an interval; 0 for never.
  public var failurePercentage = 85
  public var failurePercentageVolume = 50
  /// Times the mean latency of the others; 0 for never.
  public var latencyFactor = 0.0
  /// Time in which one that comes back gets its share again.
  public var heal = Nanoseconds.seconds(10)

  public init() {}
}

/// What `balance: ring-hash` tells requests apart by.
public enum HashKeySetting: Sendable, Hashable {
  /// The client's address.
  case address
  case header(String)
  case cookie(String)
}

/// What is said of one endpoint beyond its address.
public struct EndpointTraits: Sendable, Hashable {
  /// How much more it takes than one of weight 1.
  public var weight = 1
  /// It is asked while those of lower numbers are mostly out; 0 is first.
  public var priority = 0
  /// Where it is, `nil` where nobody says.
  public var zone: String?

  public init() {}
}
