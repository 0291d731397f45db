internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// What a service says of its endpoints beyond a plain balance, as the request path sees it.
struct ServicePolicy: BitwiseCopyable {
  /// What `balance: ring-hash` tells requests apart by.
  enum Key: UInt8, BitwiseCopyable {
    case none
    case address
    case header
    case cookie
  }

  var choice: UnsafePointer<ChoicePolicy>
  var table: ChoiceTable
  var key: Key
  /// The name of a header, in lower case, or of a cookie.
  var keyName: UnsafePointer<UInt8>
  var keyLength: Int
  /// Of reports of load: the named metric that says how busy an endpoint is, what they came to by
  /// `LoadReportResult`, and whether clients get them.
  var loadMetric = LoadMetricName.none
  var loadReports = CounterRow()
  var forwardsReports = false
  /// Requests by `RequestZone`.
  var zones = CounterRow()
}

/// Owns the memory of a `ServicePolicy`; the snapshot holds it.
final class ServicePolicyMemory: @unchecked Sendable {
  // Safe to share: immutable after init.
  let policy: ServicePolicy
  private let choices: ChoiceMemory
  private let name: UnsafeMutablePointer<UInt8>
  private let metric: UnsafeMutablePointer<UInt8>
  private let choice: UnsafeMutablePointer<ChoicePolicy>

  /// Fails for a service that says nothing beyond a plain balance: its requests pay for none of this.
  ///
  /// - Parameters:
  ///   - service: What is written.
  ///   - endpoints: The endpoints that it has now.
  ///   - isOrdered: Whether an operator took one of the endpoints out.
  ///   - hasZone: Whether it is known which zone the edge is in.
  ///   - edge: Where counters are made.
  init?(
    _ service: ServiceSetting,
    _ endpoints: [ChoiceEndpoint],
    isOrdered: Bool,
    hasZone: Bool,
    _ edge: EdgeMetrics
  ) {
    let hasZones = service.zonePreference != nil && hasZone
    let isPlain =
      !isOrdered && (service.balance == .p2c || service.balance == .roundRobin)
      && service.breaker == nil
      && service.outlier == nil && service.health == nil && service.slowStart == .zero
      && service.loadReports == nil && !hasZones
      && Set(endpoints.map(\.weight)).count <= 1 && Set(endpoints.map(\.priority)).count <= 1
    guard !isPlain else { return nil }
    var choice = ChoicePolicy()
    choice.balance = Balance(service.balance)
    choice.loadBound = service.loadBound
    choice.slowStart = service.slowStart
    choice.hasChecks = service.health != nil
    if let breaker = service.breaker {
      choice.hasBreaker = true
      choice.breaker = BreakerSettings(breaker)
    }
    if let outlier = service.outlier {
      choice.hasOutlier = true
      choice.outlier = OutlierSettings(outlier)
    }
    if let reports = service.loadReports {
      choice.hasReports = reports.usesWeights || reports.informsLimit
      choice.reports = LoadReportSettings(reports)
    }
    if let preference = service.zonePreference {
      choice.hasZones = hasZones
      choice.overprovisioning = preference.overprovisioning
    }
    var key = ServicePolicy.Key.none
    var text = ""
    if service.balance == .ringHash {
      switch service.hashKey {
      case .address: key = .address
      case .header(let name): (key, text) = (.header, name)
      case .cookie(let name): (key, text) = (.cookie, name)
      }
    }
    let bytes = Array(text.utf8)
    name = .allocate(capacity: max(1, bytes.count))
    name.initialize(from: bytes, count: bytes.count)
    let words = Array((service.loadReports?.utilization ?? "").utf8)
    metric = .allocate(capacity: max(1, words.count))
    metric.initialize(from: words, count: words.count)
    choices = ChoiceMemory(
      endpoints,
      hasRing: service.balance == .ringHash,
      hasZones: choice.hasZones
    )
    self.choice = .allocate(capacity: 1)
    self.choice.initialize(to: choice)
    var policy = ServicePolicy(
      choice: UnsafePointer(self.choice),
      table: choices.table,
      key: key,
      keyName: UnsafePointer(name),
      keyLength: bytes.count
    )
    policy.loadMetric = LoadMetricName(UnsafePointer(metric), count: words.count)
    if choice.hasReports {
      policy.loadReports = edge.loadReports(of: service.name, LoadReportResult.labels)
    }
    policy.forwardsReports = service.loadReports?.isForwarded ?? false
    if hasZones { policy.zones = edge.zones(of: service.name, RequestZone.labels) }
    self.policy = policy
  }

  deinit {
    name.deallocate()
    metric.deallocate()
    choice.deallocate()
  }
}

extension Balance {
  init(_ setting: ServiceSetting.Balance) {
    switch setting {
    case .p2c: self = .twoChoices
    case .roundRobin: self = .roundRobin
    case .leastRequests: self = .leastRequests
    case .ringHash: self = .ringHash
    }
  }
}

extension BreakerSettings {
  init(_ setting: BreakerSetting) {
    self.init()
    consecutiveFailures = Int32(clamping: setting.consecutiveFailures)
    failureRatio = setting.failureRatio
    minimumRequests = Int32(clamping: setting.minimumRequests)
    window = setting.window
    open = setting.open
    maximumOpen = setting.maximumOpen
    slowCall = setting.slowCall ?? .zero
    slowRatio = setting.slowRatio
    probes = UInt8(clamping: setting.probes)
    ramp = setting.ramp
    failures = setting.failures.reduce(into: []) { $0.insert(FailureKinds($1)) }
  }
}

extension LoadReportSettings {
  init(_ setting: LoadReportSetting) {
    self.init()
    usesWeights = setting.usesWeights
    informsLimit = setting.informsLimit
    errorPenalty = setting.errorPenalty
    hotQuantile = setting.hotQuantile
    blackout = setting.blackout
    expiration = setting.expiration
  }
}

extension CheckSettings {
  init(_ setting: HealthCheckSetting) {
    self.init()
    interval = setting.interval
    timeout = setting.timeout
    healthyThreshold = Int32(clamping: setting.healthy)
    unhealthyThreshold = Int32(clamping: setting.unhealthy)
  }
}

extension FailureKinds {
  init(_ failure: BreakerSetting.Failure) {
    switch failure {
    case .connectFailure: self = .connectFailure
    case .reset: self = .reset
    case .timeout: self = .timeout
    case .gatewayError: self = .gatewayError
    case .serverError: self = .serverError
    case .tooManyRequests: self = .tooManyRequests
    }
  }
}

extension OutlierSettings {
  init(_ setting: OutlierSetting) {
    self.init()
    consecutive5xx = Int32(clamping: setting.consecutive5xx)
    consecutiveGatewayFailures = Int32(clamping: setting.consecutiveGatewayFailures)
    interval = setting.interval
    baseEjection = setting.baseEjection
    maximumEjection = setting.maximumEjection
    maximumEjectionPercent = Int32(clamping: setting.maximumEjectionPercent)
    minimumHosts = Int32(clamping: setting.minimumHosts)
    requestVolume = Int32(clamping: setting.requestVolume)
    successRateDeviations = setting.successRateDeviations
    failurePercentage = Int32(clamping: setting.failurePercentage)
    failurePercentageVolume = Int32(clamping: setting.failurePercentageVolume)
    latencyFactor = setting.latencyFactor
    heal = setting.heal
  }
}
