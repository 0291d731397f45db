internal import Routing
internal import Units
internal import Yams

enum ListenerReader {
  private static let known = [
    "name", "address", "exposure", "limits", "connections", "allow", "deny", "trustedProxies",
    "paths", "tls", "proxyProtocol", "h2",
  ]

  static func read(
    _ field: Field,
    _ settings: inout Settings,
    _ places: inout SettingsReader.Places
  ) {
    let fields = field.map(known)
    if fields["name"] == nil || fields["address"] == nil {
      field.fault("a listener needs a name and an address")
    }
    // Something stands in for what is missing, so that the rest is judged, too.
    var listener = ListenerSetting(
      name: fields["name"]?.name() ?? "",
      address: fields["address"].map(AddressReader.bind) ?? .ip("127.0.0.1", port: 0)
    )
    if let exposure = fields["exposure"]?.choice(Exposure.self) { listener.exposure = exposure }
    if let field = fields["limits"] { listener.limits = limits(field) }
    if let field = fields["connections"] {
      let fields = field.map(["maximum", "perAddress"])
      if let field = fields["maximum"] { listener.maximumConnections = field.number(1...1_000_000) }
      if let field = fields["perAddress"] {
        listener.connectionsPerAddress = field.number(1...1_000_000)
      }
    }
    listener.allow = fields["allow"]?.list().compactMap(AddressReader.range) ?? []
    listener.deny = fields["deny"]?.list().compactMap(AddressReader.range) ?? []
    listener.trustedProxies = fields["trustedProxies"]?.list().compactMap(AddressReader.range) ?? []
    if let field = fields["proxyProtocol"] {
      if let mode = field.choice(ProxyProtocol.self) { listener.proxyProtocol = mode }
      judgeProxies(listener, field, fields["trustedProxies"])
    }
    if let field = fields["paths"] {
      let fields = field.map(["repeatedSlashes", "encodedSlash"])
      if let slashes = fields["repeatedSlashes"]?.choice(PathPolicy.RepeatedSlashes.self) {
        listener.paths.repeatedSlashes = slashes
      }
      if let slash = fields["encodedSlash"]?.choice(PathPolicy.EncodedSlash.self) {
        listener.paths.encodedSlash = slash
      }
    }
    if let field = fields["h2"] { listener.http2 = HTTP2Reader.read(field) }
    if let field = fields["tls"] { listener.tls = TLSReader.read(field, &places) }
    settings.listeners.append(listener)
    places.listeners.append(fields["name"] ?? field)
    places.listenerAddresses.append(fields["address"] ?? field)
  }

  /// Who may say who the client is has to be known, and must not be everybody.
  private static func judgeProxies(
    _ listener: ListenerSetting,
    _ field: Field,
    _ proxies: Field?
  ) {
    guard listener.proxyProtocol != .off else { return }
    // Whoever may open a UNIX socket is trusted as it is.
    if case .ip = listener.address, proxies == nil || proxies?.list().isEmpty == true {
      field.fault(
        "needs trustedProxies, the balancers' ranges: preludes of others are not believed"
      )
    }
    guard listener.exposure == .public, listener.trustedProxies.contains(where: { $0.prefix == 0 })
    else { return }
    proxies?.fault(
      "has a range of all addresses, so anybody could say who the client is; name the balancers"
    )
  }

  private static func limits(_ field: Field) -> ListenerSetting.Limits {
    var limits = ListenerSetting.Limits()
    let fields = field.map([
      "headBytes", "headers", "targetBytes", "bodyBytes", "headTimeout", "bodyIdle", "minimumRate",
      "keepAliveIdle", "upgradeIdle", "maximumAge", "requestsPerConnection",
    ])
    let wait = Nanoseconds.milliseconds(10)...Nanoseconds.seconds(86_400)
    // A head lies in one buffer block or is refused; smaller than 512 bytes refuses browsers.
    if let field = fields["headBytes"] { limits.headBytes = field.size(512...16_384) }
    if let field = fields["headers"] { limits.headers = field.number(8...1_024) }
    if let field = fields["targetBytes"] { limits.targetBytes = field.size(64...16_384) }
    if let field = fields["bodyBytes"] { limits.bodyBytes = Int64(field.size(0...1 << 50)) }
    if let field = fields["headTimeout"] { limits.headTimeout = field.duration(wait) }
    if let field = fields["bodyIdle"] { limits.bodyIdle = field.duration(wait) }
    if let field = fields["minimumRate"] { limits.minimumRate = field.size(0...1 << 30) }
    if let field = fields["keepAliveIdle"] { limits.keepAliveIdle = field.duration(wait) }
    if let field = fields["upgradeIdle"] { limits.upgradeIdle = field.duration(wait) }
    if let field = fields["maximumAge"] { limits.maximumAge = field.duration(wait) }
    if let field = fields["requestsPerConnection"] {
      limits.requestsPerConnection = field.number(1...1_000_000_000)
    }
    return limits
  }
}

enum ServiceReader {
  private static let known = [
    "name", "protocol", "exposure", "endpoints", "balance", "connections", "tls", "proxyProtocol",
    "admission", "retryBudget", "breaker", "outlier", "slowStart", "health", "discovery", "limits",
    "loadReports", "zonePreference",
  ]
  private static let later = ["versions"]

  static func read(
    _ field: Field,
    _ settings: inout Settings,
    _ places: inout SettingsReader.Places
  ) {
    let fields = field.map(known, later: later)
    if fields["name"] == nil { field.fault("a service needs a name") }
    DiscoveryReader.judge(field, endpoints: fields["endpoints"], discovery: fields["discovery"])
    let list = fields["endpoints"]?.list() ?? []
    let read = list.compactMap(BalanceReader.endpoint)
    var service = ServiceSetting(
      name: fields["name"]?.name() ?? "",
      endpoints: read.map(\.endpoint)
    )
    service.endpointTraits = read.map(\.traits)
    if let field = fields["discovery"] { service.discovery = DiscoveryReader.read(field, &places) }
    if list.isEmpty { fields["endpoints"]?.fault("must name at least one endpoint") }
    if let spoken = fields["protocol"]?.choice(ServiceProtocol.self) {
      service.wireProtocol = spoken
    }
    service.tls = tls(fields["tls"], service, &places)
    if let tls = service.tls, !tls.isInsecure, tls.authorities == nil {
      noteSystemAuthorities(fields["tls"] ?? fields["protocol"] ?? field, of: settings, &places)
    }
    ServiceTLSReader.judge(service, read.map(\.field))
    if let field = fields["discovery"] { ServiceTLSReader.judge(service, discovery: field) }
    service.proxyProtocol = fields["proxyProtocol"]?.choice(ProxyPreludeVersion.self)
    if service.wireProtocol.isShared, service.proxyProtocol != nil {
      fields["proxyProtocol"]?
        .fault("names one client, but a connection of HTTP/2 is shared by all; use http1 or https")
    }
    if let exposure = fields["exposure"]?.choice(Exposure.self) { service.exposure = exposure }
    if let field = fields["balance"] { BalanceReader.read(field, &service) }
    if let field = fields["loadReports"] {
      service.loadReports = LoadReportReader.read(field, service.balance)
    }
    if let field = fields["zonePreference"] {
      service.zonePreference = LoadReportReader.zonePreference(field)
    }
    if let field = fields["breaker"] { service.breaker = BreakerReader.read(field) }
    if let field = fields["outlier"] { service.outlier = BreakerReader.outlier(field) }
    if let field = fields["health"] { service.health = HealthCheckReader.read(field, service) }
    if let field = fields["slowStart"] {
      service.slowStart = field.duration(.zero...Nanoseconds.seconds(3_600))
    }
    if let field = fields["admission"] { service.admission = AdmissionReader.read(field) }
    if let field = fields["retryBudget"] { service.retryBudget = RetryReader.budget(field) }
    var maximum: Field?
    if let field = fields["connections"] {
      let fields = field.map(["maximum", "idle", "connectTimeout", "pingAfter", "pingTimeout"])
      for name in ["pingAfter", "pingTimeout"] where !service.wireProtocol.isShared {
        fields[name]?.fault(
          "is for services of HTTP/2: set protocol: h2c, h2 or auto, or remove it"
        )
      }
      let wait = Nanoseconds.milliseconds(1)...Nanoseconds.seconds(86_400)
      maximum = fields["maximum"]
      if let field = maximum { service.maximumConnections = field.number(1...1_000_000) }
      if let field = fields["idle"] { service.idle = field.duration(wait) }
      if let field = fields["connectTimeout"] {
        service.connectTimeout = field.duration(.milliseconds(1)...(.seconds(60)))
      }
      if let field = fields["pingAfter"] { service.pingAfter = field.duration(wait) }
      if let field = fields["pingTimeout"] { service.pingTimeout = field.duration(wait) }
    }
    if let field = fields["limits"] { CapReader.read(field, &service, maximum: maximum) }
    settings.services.append(service)
    places.services.append(fields["name"] ?? field)
    places.endpoints.append(read.map(\.field))
    places.registries.append(fields["discovery"].flatMap(RegistryReader.service))
  }

  /// The system's authorities are a file that nobody names; where they are asked for stands for it.
  private static func noteSystemAuthorities(
    _ field: Field,
    of settings: Settings,
    _ places: inout SettingsReader.Places
  ) {
    places.files.append(
      FileReference(
        path: "",
        field: "services[\(settings.services.count)].tls",
        line: field.node.mark?.line ?? 1,
        column: field.node.mark?.column ?? 1
      )
    )
  }

  /// The block of a service that speaks TLS, with defaults where there is none.
  private static func tls(
    _ field: Field?,
    _ service: ServiceSetting,
    _ places: inout SettingsReader.Places
  ) -> ServiceTLSSetting? {
    guard let field else { return service.wireProtocol.isSecure ? ServiceTLSSetting() : nil }
    let tls = ServiceTLSReader.read(field, &places)
    guard service.wireProtocol.isSecure else {
      field.fault("needs protocol: https, h2 or auto; the service is spoken to in clear")
      return nil
    }
    return tls
  }
}
