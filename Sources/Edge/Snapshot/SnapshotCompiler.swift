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
  let callTimes: CallTimes
  let listenerPlaces = Locked<[String: Int]>([:])

  init(
    edge: EdgeMetrics,
    names: NameTable,
    admissions: AdmissionDirectory,
    retries: RetryDirectory,
    hedges: HedgeDirectory,
    health: HealthTable,
    callTimes: CallTimes
  ) {
    self.health = health
    self.callTimes = callTimes
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
    var slots: [AdmissionSlot?] = []
    for service in settings.services {
      let isOff = service.admission.mode == .off
      guard !isOff else {
        slots.append(nil)
        continue
      }
      slots.append(
        try admissions.slot(of: service.name, service.cappedAdmission) {
          settings.routes.filter { $0.leads(to: service.name) }.map(\.name)
        }
      )
    }
    let routes = try RouteCompilation(self, settings, slots)
    var services: [Snapshot.ServiceEndpoints] = []
    var roster: [HealthReport.Service] = []
    var checks: [CheckPlan] = []
    var room = DiscoveredRoom(settings, addresses)
    for variant in routes.variants.all {
      services.append(
        try compile(
          settings.services[variant.service],
          zone: settings.zone,
          slots[variant.service],
          routes.retries[settings.services[variant.service].name],
          port: variant.port,
          contexts.services[settings.services[variant.service].name],
          addresses,
          &room
        )
      )
    }
    // The first ones are the services, whole; parts of them by port come behind.
    for (setting, compiled) in zip(settings.services, services) {
      roster.append(HealthReport.Service(setting, compiled, zone: settings.zone))
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
      compiled: routes.compiled,
      services: services,
      replies: PreparedReplies(
        classes: settings.classes,
        configVersion: version,
        answers: routes.answers
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
      retries: Array(routes.retries.values),
      retryPolicies: RetryPolicies(routes.repeated),
      hedged: routes.hedged,
      hedges: routes.hedges,
      roster: roster,
      checks: checks,
      leftOut: room.leftOut,
      calls: CallPlan(listener: callListener, routes: routes.calls)
    )
  }

  /// Without an output workers write no records at all, rather than records for nobody.
  private static func sampling(_ log: AccessLogSettings) -> SampleTable? {
    guard log.output != .off else { return nil }
    return SampleTable(SampleRule(entries: log.sample.map { ($0.key, $0.share) }) ?? SampleRule())
  }

  private static let tooManyEndpoints = EdgeError(
    .bound,
    "more than \(EndpointDirectory.capacity) endpoints are in use"
  )

  private func compile(
    _ service: ServiceSetting,
    zone: String?,
    _ slot: AdmissionSlot?,
    _ retries: ServiceRetries?,
    port: UInt16?,
    _ context: TLSClientContext?,
    _ addresses: (ServiceSetting.Endpoint) -> [KernelAddress],
    _ room: inout DiscoveredRoom
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
    var isFull = false
    for (index, endpoint) in service.endpoints.enumerated() {
      let traits = service.traits(of: index)
      if let port, case .host(_, let own) = endpoint, own != port { continue }
      for address in addresses(endpoint) {
        let text = address.description
        guard seen.insert(text).inserted, room.admits(text, of: service) else { continue }
        let target = tls.map { SecureTarget($0, host: $0.host(of: endpoint)) }
        let variant = (target?.variant ?? "") + (service.proxyProtocol?.rawValue ?? "")
        guard
          let lease = endpoints.lease(service: service.name, address: text, variant: variant)
        else {
          guard service.discovery != nil else { throw Self.tooManyEndpoints }
          room.leaveOut(text, of: service)
          isFull = true
          continue
        }
        health.adopt(lease)
        choices.append(
          ChoiceEndpoint(
            place: lease.place,
            weight: traits.weight,
            priority: traits.priority,
            name: text,
            isLocal: zone != nil && traits.zone == zone
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
    // Rather the snapshot before than a service without anybody.
    guard !isFull || !resolved.isEmpty || port != nil else { throw Self.tooManyEndpoints }
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
        isOrdered: choices.contains { health.record($0.place).isDrained },
        hasZone: zone != nil,
        edge
      )
    )
  }
}

extension ServiceSetting {
  /// Its admission with a limit within its hard cap of requests: beyond that they would stand in a
  /// line that knows neither classes nor shares.
  var cappedAdmission: AdmissionSetting {
    var setting = admission
    guard let most = limits?.requests, setting.mode == .enforce, setting.limit != .fixed else {
      return setting
    }
    setting.maximum = min(setting.maximum, most)
    setting.minimum = min(setting.minimum, setting.maximum)
    return setting
  }
}
