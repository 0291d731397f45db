public import Units

/// What a service's reports of its load (`endpoint-load-metrics`) are used for.
public struct LoadReportSetting: Sendable, Hashable {
  /// Weights of endpoints follow from them; not with `ring-hash`, where keys would move with them.
  public var usesWeights = true
  /// The limit of the service does not grow while they say that it has all it can do.
  public var informsLimit = true
  /// The named metric that says how busy an endpoint is, in place of what reports say themselves.
  public var utilization: String?
  /// How much more a share of errors weighs than one of utilization; 0 for nothing.
  public var errorPenalty = 1.0
  /// An endpoint with more in flight than this share of them is hot.
  public var hotQuantile = 0.84
  /// After the first report of an endpoint, before its weight is used.
  public var blackout = Nanoseconds.seconds(10)
  /// For how long a weight is used that no report renews.
  public var expiration = Nanoseconds.seconds(180)
  /// Clients get the field, too.
  public var isForwarded = false

  public init() {}

  /// What stands before the name of a metric that a service names itself.
  static let namedPrefix = "named_metrics."
}

/// How far requests stay in the edge's own zone.
public struct ZonePreferenceSetting: Sendable, Hashable {
  /// How much more than now the endpoints of a zone can do, at least 1.
  public var overprovisioning = 1.4

  public init() {}
}

extension LoadReportSetting {
  /// As a file says it; what another balance has no use for is left out, as it would be refused.
  func flow(_ balance: ServiceSetting.Balance) -> String {
    let quantile = balance == .p2c ? "hotQuantile: \(hotQuantile), " : ""
    let name = utilization.map { YAMLWriter.quote(Self.namedPrefix + $0) } ?? "auto"
    return "{weights: \(usesWeights), limit: \(informsLimit), utilization: \(name), "
      + "errorPenalty: \(errorPenalty), \(quantile)"
      + "blackout: \(Quantity.text(blackout)), expiration: \(Quantity.text(expiration)), "
      + "forward: \(isForwarded)}"
  }
}

extension ZonePreferenceSetting {
  var flow: String { "{overprovisioning: \(overprovisioning)}" }
}
