internal import Admission
internal import Configuration
internal import Reactor
internal import Upstream

// Validated settings in the terms of those who act on them; a snapshot is compiled from these.

extension HealthReport.Service {
  /// A service for those who ask about it.
  init(_ setting: ServiceSetting, _ compiled: Snapshot.ServiceEndpoints, zone: String?) {
    self.init(
      name: setting.name,
      place: compiled.service.place,
      breaker: setting.breaker.map(BreakerSettings.init),
      outlier: setting.outlier.map(OutlierSettings.init),
      checks: setting.health.map(CheckSettings.init),
      balance: setting.balance.rawValue,
      reports: setting.loadReports.map(LoadReportSettings.init),
      zone: zone,
      zonePreference: setting.zonePreference?.overprovisioning,
      caps: compiled.service.caps,
      maximumConnections: compiled.service.maximumConnections,
      endpoints: compiled.endpoints.map {
        HealthReport.Endpoint(name: $0.address.description, lease: $0.lease, traits: $0.traits)
      }
    )
  }
}

extension ServiceSetting.Endpoint {
  /// What a request to it names as its host (RFC 9110 section 7.2).
  var authority: String {
    switch self {
    case .host: description
    case .unix: "localhost"
    }
  }
}

extension EdgePressure.Settings {
  /// What is full pressure by validated settings.
  ///
  /// `common`: Connections of all listeners that state no maximum.
  init(_ settings: Settings, descriptors: Int, common: Int) {
    let stated = settings.listeners.reduce(0) { $0 + ($1.maximumConnections ?? 0) }
    let isShared = settings.listeners.contains { $0.maximumConnections == nil }
    self.init(
      loopDelay: settings.overload.loopDelay,
      memory: settings.overload.memory,
      descriptors: descriptors,
      connections: stated + (isShared ? common : 0),
      inFlight: settings.overload.inFlight
    )
  }
}

extension EndpointHTTP {
  init(_ setting: ServiceProtocol) {
    switch setting {
    case .http1, .https: self = .http1
    case .h2c, .h2: self = .http2
    case .auto: self = .either
    }
  }
}

extension ClientPrelude {
  init(_ setting: ProxyPreludeVersion?) {
    switch setting {
    case nil: self = .none
    case .v1: self = .version1
    case .v2: self = .version2
    }
  }
}

extension AddressRange {
  /// The range of a validated setting.
  init?(_ range: CIDR) {
    guard let address = KernelAddress(ip: range.address, port: 0) else { return nil }
    // A range in the mapped form counts its bits from the front already.
    let isV4 = address.ip.isIPv4 && !range.address.contains(":")
    self.init(base: address.ip, prefix: isV4 ? range.prefix + 96 : range.prefix)
  }
}
