internal import Admission
internal import Configuration
internal import HTTPCodec
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry
internal import Units
internal import Upstream

/// Turns settings and endpoint addresses into snapshots; slow plane only.
final class SnapshotCompiler: Sendable {
  let edge: EdgeMetrics
  let names: NameTable
  let endpoints = EndpointDirectory()
  let services = ServiceDirectory()
  let admissions: AdmissionDirectory
  let retries: RetryDirectory
  let hedges: HedgeDirectory
  let health: HealthTable
  private let listenerPlaces = Locked<[String: Int]>([:])

  init(
    edge: EdgeMetrics,
    names: NameTable,
    admissions: AdmissionDirectory,
    retries: RetryDirectory,
    hedges: HedgeDirectory,
    health: HealthTable
  ) {
    self.health = health
    self.edge = edge
    self.names = names
    self.admissions = admissions
    self.retries = retries
    self.hedges = hedges
  }

  /// Compiles a configuration.
  ///
  /// - Parameters:
  ///   - settings: What an operator wrote.
  ///   - version: The configuration's number.
  ///   - descriptors: Those that the process may have.
  ///   - contexts: The TLS of listeners and services by name.
  ///   - addresses: What each endpoint's name stands for now.
  /// - Returns: What workers decide requests by.
  /// - Throws: When a bound of the process is passed.
  func compile(
    _ settings: Settings,
    version: Int,
    descriptors: Int,
    contexts: CertificateStore.Contexts,
    addresses: (ServiceSetting.Endpoint) -> [KernelAddress]
  ) throws(EdgeError) -> Snapshot {
    guard settings.classes == admissions.classes else {
      throw EdgeError(.bound, "classes: changing them needs a restart")
    }
    let table: RouteTable
    do {
      table = try RouteTable(rules: settings.routes.map(\.match), policy: settings.routePaths)
    } catch {
      throw EdgeError(.bound, "routes: \(error.message)")
    }
    let places = Dictionary(
      uniqueKeysWithValues: settings.services.enumerated().map { ($1.name, $0) }
    )
    var variants = ServiceVariants(count: settings.services.count)
    var slots: [AdmissionSlot?] = []
    for service in settings.services {
      let isOff = service.admission.mode == .off
      guard !isOff else {
        slots.append(nil)
        continue
      }
      slots.append(
        try admissions.slot(of: service.name, service.admission) {
          settings.routes.filter { $0.leads(to: service.name) }.map(\.name)
        }
      )
    }
    var routes: [CompiledRoute] = []
    var answers: [RouteAnswer] = []
    var repeated: [RetrySetting] = []
    var retries: [String: ServiceRetries] = [:]
    var hedged: [CompiledHedge] = []
    var hedges: [RouteHedges] = []
    for route in settings.routes {
      var compiled = compile(route, settings, places, &variants, &answers)
      if case .service(let name, _) = route.action {
        if let slot = slots[places[name] ?? 0] {
          compiled.admissionRoute = slot.tally.place(of: route.name)
        }
        if route.retry.retries > 0 {
          compiled.retry = Int32(repeated.count)
          repeated.append(route.retry)
          retries[name] = try self.retries.retries(of: name)
        }
        if let hedge = route.hedge {
          let record = try self.hedges.hedges(of: route.name)
          // Without retries of its own it is the usual conditions that cost an answer its win.
          if compiled.retry < 0 { repeated.append(RetrySetting()) }
          let judge = compiled.retry < 0 ? Int32(repeated.count - 1) : compiled.retry
          compiled.hedge = Int32(hedged.count)
          hedged.append(
            CompiledHedge(
              place: record.place,
              judge: judge,
              share: hedge.percentile,
              record: .passUnretained(record)
            )
          )
          hedges.append(record)
          // Hedges are paid from the same budget.
          retries[name] = try self.retries.retries(of: name)
        }
      }
      routes.append(compiled)
    }
    for (place, route) in settings.routes.enumerated() {
      guard let fallback = route.fallback else { continue }
      var compiled = compile(fallback, of: route, settings, places, &variants, &answers)
      if case .service(let name, _) = fallback {
        if let slot = slots[places[name] ?? 0] {
          compiled.admissionRoute = slot.tally.place(of: route.name)
        }
        // Its latencies say nothing of the route's own: no second attempts.
        compiled.retry = route.retry.retries > 0 ? routes[place].retry : -1
        if compiled.retry >= 0 { retries[name] = try self.retries.retries(of: name) }
      }
      routes[place].fallback = Int32(routes.count)
      routes.append(compiled)
    }
    var services: [Snapshot.ServiceEndpoints] = []
    var roster: [HealthReport.Service] = []
    var checks: [CheckPlan] = []
    for variant in variants.all {
      services.append(
        try compile(
          settings.services[variant.service],
          slots[variant.service],
          retries[settings.services[variant.service].name],
          port: variant.port,
          contexts.services[settings.services[variant.service].name],
          addresses
        )
      )
    }
    // The first ones are the services, whole; parts of them by port come behind.
    for (setting, compiled) in zip(settings.services, services) {
      roster.append(HealthReport.Service(setting, compiled))
      if let plan = CheckPlan(setting, compiled) { checks.append(plan) }
    }
    let common = Self.commonMaximum(settings, descriptors: descriptors)
    var listeners: [ListenerSettings] = []
    for listener in settings.listeners {
      let tls = contexts.listeners[listener.name]
      listeners.append(try compile(listener, commonMaximum: common, tls: tls))
    }
    return Snapshot(
      routes: table,
      compiled: routes,
      services: services,
      replies: PreparedReplies(
        classes: settings.classes,
        configVersion: version,
        answers: answers
      ),
      listeners: listeners,
      sampling: Self.sampling(settings.accessLog),
      configVersion: version,
      classes: ClassNames(
        settings.classes,
        ids: settings.classes.map { names.id(for: $0) },
        field: settings.classHeader.name,
        isBelieved: settings.classHeader.trustedFrom == .trustedProxies
      ),
      admissions: slots.compactMap(\.self),
      overload: EdgePressure.Settings(settings, descriptors: descriptors, common: common),
      retries: Array(retries.values),
      retryPolicies: RetryPolicies(repeated),
      hedged: hedged,
      hedges: hedges,
      roster: roster,
      checks: checks
    )
  }

  /// Without an output workers write no records at all, rather than records for nobody.
  private static func sampling(_ log: AccessLogSettings) -> SampleTable? {
    guard log.output != .off else { return nil }
    return SampleTable(SampleRule(entries: log.sample.map { ($0.key, $0.share) }) ?? SampleRule())
  }

  /// A service, or the part of it that has one port: routes may name a port.
  private struct ServiceVariants {
    struct Variant: Hashable {
      var service: Int
      var port: UInt16?
    }

    private(set) var all: [Variant]
    private var extra: [Variant: Int] = [:]

    init(count: Int) { all = (0..<count).map { Variant(service: $0, port: nil) } }

    mutating func place(_ service: Int, _ port: UInt16?) -> Int {
      guard port != nil else { return service }
      let variant = Variant(service: service, port: port)
      if let place = extra[variant] { return place }
      extra[variant] = all.count
      all.append(variant)
      return all.count - 1
    }
  }

  private func compile(
    _ route: RouteSetting,
    _ settings: Settings,
    _ places: [String: Int],
    _ variants: inout ServiceVariants,
    _ answers: inout [RouteAnswer]
  ) -> CompiledRoute {
    var service: Int32 = -1
    var answer: Int32 = -1
    switch route.action {
    case .service(let name, let port):
      service = Int32(variants.place(places[name] ?? 0, port))
    case .respond(let response):
      answer = Int32(answers.count)
      var fields = response.headers.map { ($0.name, $0.value) }
      if !response.body.isEmpty, !fields.contains(where: { $0.0.lowercased() == "content-type" }) {
        fields.append(("content-type", "text/plain; charset=utf-8"))
      }
      answers.append(RouteAnswer(status: response.status, fields: fields, body: response.body))
    }
    return CompiledRoute(
      service: service,
      answer: answer,
      metrics: edge.route(route.name),
      name: names.id(for: route.name),
      className: names.id(for: settings.classes[route.classIndex]),
      classPlace: Int32(route.classIndex),
      timeout: route.timeout,
      perTryTimeout: route.perTryTimeout ?? route.timeout
    )
  }

  /// The route that stands in for another one: the same in all but where it leads.
  private func compile(
    _ fallback: RouteSetting.Action,
    of route: RouteSetting,
    _ settings: Settings,
    _ places: [String: Int],
    _ variants: inout ServiceVariants,
    _ answers: inout [RouteAnswer]
  ) -> CompiledRoute {
    var standIn = route
    standIn.action = fallback
    var compiled = compile(standIn, settings, places, &variants, &answers)
    compiled.fallbacks = edge.fallbacks(
      of: route.name,
      to: standIn.serviceName ?? "respond",
      ReplyReason.fallbackReasons.map { "\($0.wording.token)" }
    )
    return compiled
  }

  private func compile(
    _ service: ServiceSetting,
    _ slot: AdmissionSlot?,
    _ retries: ServiceRetries?,
    port: UInt16?,
    _ context: TLSClientContext?,
    _ addresses: (ServiceSetting.Endpoint) -> [KernelAddress]
  ) throws(EdgeError) -> Snapshot.ServiceEndpoints {
    guard let place = services.place(of: service.name) else {
      throw EdgeError(.bound, "more than \(ServiceDirectory.capacity) services were ever named")
    }
    var tls: ServiceTLS?
    if let setting = service.tls, let context {
      tls = ServiceTLS(service, setting, context: context, edge: edge)
    }
    var resolved: [Snapshot.Endpoint] = []
    var seen = Set<String>()
    var choices: [ChoiceEndpoint] = []
    for (index, endpoint) in service.endpoints.enumerated() {
      let traits = service.traits(of: index)
      if let port, case .host(_, let own) = endpoint, own != port { continue }
      for address in addresses(endpoint) {
        let text = address.description
        guard seen.insert(text).inserted else { continue }
        let target = tls.map { SecureTarget($0, host: $0.host(of: endpoint)) }
        let variant = (target?.variant ?? "") + (service.proxyProtocol?.rawValue ?? "")
        guard
          let lease = endpoints.lease(service: service.name, address: text, variant: variant)
        else {
          throw EdgeError(.bound, "more than \(EndpointDirectory.capacity) endpoints are in use")
        }
        health.adopt(lease)
        choices.append(
          ChoiceEndpoint(
            place: lease.place,
            weight: traits.weight,
            priority: traits.priority,
            name: text
          )
        )
        resolved.append(
          Snapshot.Endpoint(
            lease: lease,
            address: address,
            name: names.lease(for: text),
            target: target,
            traits: traits,
            authority: endpoint.authority
          )
        )
      }
    }
    return Snapshot.ServiceEndpoints(
      service: CompiledService(
        firstEndpoint: 0,
        endpointCount: 0,
        metrics: edge.service(service.name),
        place: place,
        name: names.id(for: service.name),
        balance: Balance(service.balance),
        connectTimeout: service.connectTimeout,
        idleTimeout: service.idle,
        maximumConnections: Int32(
          clamping: service.maximumConnections ?? ServiceSetting.defaultMaximumConnections
        ),
        http: EndpointHTTP(service.wireProtocol),
        pingAfter: service.pingAfter,
        pingTimeout: service.pingTimeout,
        prelude: ClientPrelude(service.proxyProtocol),
        admission: slot?.index ?? -1,
        isShadow: service.admission.mode == .shadow,
        retries: retries.map { .passUnretained($0) },
        retryAllowance: RetryAllowance(service.retryBudget),
        caps: service.limits.map { CapSettings($0, endpoints: resolved.count) }
      ),
      endpoints: resolved,
      policy: ServicePolicyMemory(
        service,
        choices,
        isOrdered: choices.contains { health.record($0.place).isDrained }
      )
    )
  }

  /// What listeners without a maximum get of the descriptors that are left, and at least of all.
  private static let clientPercent = 45
  private static let leastPercent = 10

  /// Connections that listeners without a maximum of their own may have together.
  ///
  /// Both sides of a proxied request need a descriptor, so it is less than half of what the others
  /// leave. For each listener by itself three of them would be more than there is. Maxima that are
  /// stated too high do not shut the others out.
  private static func commonMaximum(_ settings: Settings, descriptors: Int) -> Int {
    let stated = settings.listeners.reduce(0) { $0 + min($1.maximumConnections ?? 0, descriptors) }
    return max(
      1,
      descriptors * leastPercent / 100,
      (descriptors - stated) * clientPercent / 100
    )
  }

  private func compile(
    _ listener: ListenerSetting,
    commonMaximum: Int,
    tls: TLSServerContext?
  ) throws(EdgeError) -> ListenerSettings {
    let place = listenerPlaces.withLock { places -> Int in
      if let place = places[listener.name] { return place }
      places[listener.name] = places.count
      return places.count - 1
    }
    guard place < SharedState.maximumListeners else {
      throw EdgeError(
        .bound,
        "more than \(SharedState.maximumListeners) listeners were ever named"
      )
    }
    let limits = listener.limits
    let head = HeadLimits(
      maximumBytes: limits.headBytes,
      maximumFields: limits.headers,
      maximumTarget: limits.targetBytes
    )
    return ListenerSettings(
      name: listener.name,
      place: place,
      limits: ListenerLimits(
        head: head,
        headTimeout: limits.headTimeout,
        bodyIdle: limits.bodyIdle,
        bodyBytes: limits.bodyBytes,
        minimumRate: Int64(limits.minimumRate),
        keepAliveIdle: limits.keepAliveIdle,
        upgradeIdle: limits.upgradeIdle,
        maximumAge: limits.maximumAge,
        requestsPerConnection: limits.requestsPerConnection,
        settingsTimeout: listener.http2.settingsTimeout,
        pingInterval: listener.http2.pingInterval,
        pingTimeout: listener.http2.pingTimeout
      ),
      pathPolicy: listener.paths,
      maximumConnections: listener.maximumConnections ?? commonMaximum,
      sharesMaximum: listener.maximumConnections == nil,
      perAddress: listener.connectionsPerAddress,
      allow: listener.allow.compactMap(AddressRange.init),
      deny: listener.deny.compactMap(AddressRange.init),
      trusted: listener.trustedProxies.compactMap(AddressRange.init),
      proxyProtocol: listener.proxyProtocol,
      http2: H2Settings(listener.http2, head),
      tls: tls,
      metrics: edge.listener(listener.name),
      nameID: names.id(for: listener.name)
    )
  }
}

extension RouteSetting {
  /// The service that it leads to.
  fileprivate var serviceName: String? {
    if case .service(let name, _) = action { name } else { nil }
  }

  fileprivate func leads(to name: String) -> Bool {
    if case .service(name, _)? = fallback { return true }
    return serviceName == name
  }
}
