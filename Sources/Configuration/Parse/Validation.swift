internal import Routing
internal import Units
internal import Yams

/// Judges what settings mean together.
enum Validation {
  static func judge(_ settings: Settings, _ places: SettingsReader.Places) {
    if settings.listeners.isEmpty { places.root.fault("needs at least one listener") }
    if settings.routes.isEmpty { places.root.fault("needs at least one route") }
    unique(settings.listeners.map(\.name), places.listeners, "listener")
    unique(settings.services.map(\.name), places.services, "service")
    unique(settings.routes.map(\.name), places.routes, "route")
    counts(settings, places)
    addresses(settings, places)
    for index in settings.services.indices {
      endpoints(of: index, settings, places)
      registry(of: index, settings, places)
    }
    for index in settings.routes.indices { route(index, settings, places) }
    conflicts(settings, places)
  }

  private static func unique(_ names: [String], _ fields: [Field], _ kind: String) {
    var first: [String: Int] = [:]
    // That a name is missing was said already.
    for (index, name) in names.enumerated() where !name.isEmpty {
      if let before = first[name] {
        let line = fields[before].node.mark?.line ?? 0
        fields[index].fault("the \(kind) \"\(name)\" stands in line \(line) already")
      } else {
        first[name] = index
      }
    }
  }

  /// What the tables of the process hold; beyond it a start would fail later and say less.
  private static func counts(_ settings: Settings, _ places: SettingsReader.Places) {
    let endpoints = places.endpoints.joined()
    let bounds: [(kind: String, most: Int, fields: [Field])] = [
      ("listeners", Settings.maximumListeners, places.listeners),
      ("services", Settings.maximumServices, places.services),
      ("endpoints in all services", Settings.maximumEndpoints, Array(endpoints)),
    ]
    for bound in bounds where bound.fields.count > bound.most {
      bound.fields[bound.most].fault(
        "there are \(bound.fields.count) \(bound.kind); at most \(bound.most) are possible"
      )
    }
  }

  /// One listed twice would be asked no more often than the others.
  private static func endpoints(
    of index: Int,
    _ settings: Settings,
    _ places: SettingsReader.Places
  ) {
    var first: [ServiceSetting.Endpoint: Int] = [:]
    for (item, endpoint) in settings.services[index].endpoints.enumerated() {
      let field = places.endpoints[index][item]
      if let before = first[endpoint.canonical] {
        let line = places.endpoints[index][before].node.mark?.line ?? 0
        field.fault("the endpoint \(endpoint) stands in line \(line) already")
      } else {
        first[endpoint.canonical] = item
      }
    }
  }

  /// A registry has to be found without one: else two could wait for each other.
  private static func registry(
    of index: Int,
    _ settings: Settings,
    _ places: SettingsReader.Places
  ) {
    guard case .registry(let registry) = settings.services[index].discovery,
      let field = places.registries[index]
    else { return }
    guard let service = settings.services.first(where: { $0.name == registry.service }) else {
      let near = Spelling.nearest(registry.service, in: settings.services.map(\.name))
      field.fault(
        "there is no service \"\(registry.service)\""
          + (near.map { "; did you mean \($0)?" } ?? "")
      )
      return
    }
    guard case .registry = service.discovery else { return }
    field.fault(
      "the service \"\(service.name)\" is found in a registry itself; one that is a registry needs "
        + "endpoints, or discovery from dns or a file"
    )
  }

  private static func addresses(_ settings: Settings, _ places: SettingsReader.Places) {
    var taken: [BindAddress: String] = [:]
    if let admin = settings.admin, !isFree(admin) { taken[admin] = "the admin server" }
    for (index, listener) in settings.listeners.enumerated() {
      if let other = taken[listener.address] {
        places.listenerAddresses[index].fault("\(listener.address) is used by \(other) already")
      }
      if !isFree(listener.address) { taken[listener.address] = "listener \(listener.name)" }
    }
  }

  /// Port 0 is a new port each time.
  private static func isFree(_ address: BindAddress) -> Bool {
    if case .ip(_, 0) = address { return true }
    return false
  }

  private static func route(
    _ index: Int,
    _ settings: Settings,
    _ places: SettingsReader.Places
  ) {
    let route = settings.routes[index]
    let isPublic = settings.listeners.contains { $0.exposure == .public }
    if isPublic, !route.isAuthStated {
      (places.routePolicies[index] ?? places.routes[index]).fault(
        "must say auth on a public listener: write policies: {auth: none} for an open route"
      )
    }
    guard let field = places.routeUpstreams[index],
      let service = service(of: route.action, settings, field, isPublic: isPublic)
    else { return }
    guard let field = places.routeFallbacks[index] else { return }
    FallbackReader.judge(route.fallback, of: service, settings, field)
    if let fallback = route.fallback {
      _ = self.service(of: fallback, settings, field, isPublic: isPublic)
    }
  }

  /// The service that something of a route names, with faults where it may not.
  private static func service(
    of action: RouteSetting.Action,
    _ settings: Settings,
    _ field: Field,
    isPublic: Bool
  ) -> ServiceSetting? {
    guard case .service(let name, let port) = action else { return nil }
    guard let service = settings.services.first(where: { $0.name == name }) else {
      let near = Spelling.nearest(name, in: settings.services.map(\.name))
      field.fault(
        "there is no service \"\(name)\"" + (near.map { "; did you mean \($0)?" } ?? "")
      )
      return nil
    }
    if service.exposure == .internal, isPublic {
      field.fault("the service \"\(name)\" is internal and this route is on a public listener")
    }
    if let port, service.discovery == nil, !service.endpoints.contains(where: { $0.port == port }) {
      field.fault("no endpoint of \"\(name)\" has port \(port)")
    }
    return service
  }

  private static func conflicts(_ settings: Settings, _ places: SettingsReader.Places) {
    let rules = settings.routes.map(\.match)
    let policy = settings.routePaths
    if settings.areSlashesAmbiguous {
      for (index, rule) in rules.enumerated() where rule.path.hasRepeatedSlash {
        let fault = RouteTableError(
          rule: index,
          part: rule.path.part,
          message: "some listeners merge // and others keep it (paths.repeatedSlashes), so this "
            + "path cannot be right for all; write it without, or let the listeners agree"
        )
        place(of: fault, places.routeMatches[index]).fault(fault.message)
      }
    }
    for fault in RouteTable.faults(in: rules, policy: policy)
    where rules.indices.contains(fault.rule) {
      place(of: fault, places.routeMatches[fault.rule]).fault(fault.message)
    }
    for conflict in RouteTable.conflicts(in: rules, policy: policy)
    where rules.indices.contains(conflict.rule) {
      places.routeMatches[conflict.rule].fault(conflict.explanation)
    }
  }

  /// The part of a match that a fault is about.
  private static func place(of fault: RouteTableError, _ match: Field) -> Field {
    guard case .mapping(let mapping) = match.node,
      let node = mapping.first(where: { $0.key.string == fault.part.rawValue })?.value
    else { return match }
    let field = Field(
      node: node,
      path: "\(match.path).\(fault.part.rawValue)",
      reader: match.reader
    )
    guard let item = fault.item, case .sequence(let list) = node, list.indices.contains(item) else {
      return field
    }
    return Field(node: list[item], path: "\(field.path)[\(item)]", reader: match.reader)
  }
}

extension PathPattern {
  fileprivate var hasRepeatedSlash: Bool {
    switch self {
    case .exact(let path), .prefix(let path): path.contains("//")
    case .any, .regex: false
    }
  }

  fileprivate var part: RouteTableError.Part {
    if case .prefix = self { return .pathPrefix }
    return .path
  }
}

extension ServiceSetting.Endpoint {
  var port: UInt16? {
    if case .host(_, let port) = self { return port }
    return nil
  }

  /// One spelling for all that mean the same.
  var canonical: ServiceSetting.Endpoint {
    guard case .host(let host, let port) = self else { return self }
    return .host(AddressReader.canonical(host), port: port)
  }
}
