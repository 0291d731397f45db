public import Routing
internal import Units

extension Settings {
  /// Everything that is in effect, defaults included, as a file that means the same.
  public func effectiveYAML() -> String {
    var out = YAMLText()
    out.line("environment: \(quoted(environment))")
    if let version { out.line("version: \(version)") }
    out.line("workers: \(workers.map(String.init) ?? "auto")")
    if let stateDirectory { out.line("stateDirectory: \(quoted(stateDirectory))") }
    out.line("drain: {grace: \(text(drain.grace)), deadline: \(text(drain.deadline))}")
    if let admin { out.line("admin: {address: \(quoted(admin.description))}") }
    out.line("accessLog:")
    out.line("  output: \(quoted(accessLog.output.text))")
    let samples = accessLog.sample.map { "\(quoted($0.key)): \($0.share)" }
    if !samples.isEmpty { out.line("  sample: {\(samples.joined(separator: ", "))}") }
    out.line("classes: [\(classes.joined(separator: ", "))]")
    out.line(listeners.isEmpty ? "listeners: []" : "listeners:")
    for listener in listeners { out.write(listener) }
    out.line(services.isEmpty ? "services: []" : "services:")
    for service in services { out.write(service) }
    out.line(routes.isEmpty ? "routes: []" : "routes:")
    for route in routes { out.write(route, className: classes[route.classIndex]) }
    return out.result
  }

  /// The rules of all routes, in their order, for a `RouteTable`.
  public func routeRules() -> [RouteRule] { routes.map(\.match) }
}

private struct YAMLText {
  var result = ""

  mutating func line(_ text: String) { result += text + "\n" }

  mutating func write(_ listener: ListenerSetting) {
    line("  - name: \(listener.name)")
    line("    address: \(quoted(listener.address.description))")
    line("    exposure: \(listener.exposure.rawValue)")
    let limits = listener.limits
    line("    limits:")
    line("      headBytes: \(limits.headBytes)")
    line("      headers: \(limits.headers)")
    line("      targetBytes: \(limits.targetBytes)")
    line("      bodyBytes: \(limits.bodyBytes)")
    line("      headTimeout: \(text(limits.headTimeout))")
    line("      bodyIdle: \(text(limits.bodyIdle))")
    line("      minimumRate: \(limits.minimumRate)")
    line("      keepAliveIdle: \(text(limits.keepAliveIdle))")
    line("      upgradeIdle: \(text(limits.upgradeIdle))")
    line("      maximumAge: \(text(limits.maximumAge))")
    line("      requestsPerConnection: \(limits.requestsPerConnection)")
    line("    connections:")
    if let maximum = listener.maximumConnections {
      line("      maximum: \(maximum)")
    } else {
      line("      # maximum: 45 % of the descriptors")
    }
    line("      perAddress: \(listener.connectionsPerAddress)")
    line("    allow: \(ranges(listener.allow))")
    line("    deny: \(ranges(listener.deny))")
    line("    trustedProxies: \(ranges(listener.trustedProxies))")
    line("    paths:")
    line("      repeatedSlashes: \(listener.paths.repeatedSlashes.rawValue)")
    line("      encodedSlash: \(listener.paths.encodedSlash.rawValue)")
  }

  private func ranges(_ ranges: [CIDR]) -> String {
    "[" + ranges.map { quoted("\($0.address)/\($0.prefix)") }.joined(separator: ", ") + "]"
  }

  mutating func write(_ service: ServiceSetting) {
    line("  - name: \(service.name)")
    line("    protocol: http1")
    line("    exposure: \(service.exposure.rawValue)")
    let endpoints = service.endpoints.map { quoted($0.description) }
    line("    endpoints: [\(endpoints.joined(separator: ", "))]")
    line("    balance: \(service.balance.rawValue)")
    line("    connections:")
    line("      maximum: \(service.maximumConnections)")
    line("      idle: \(text(service.idle))")
    line("      connectTimeout: \(text(service.connectTimeout))")
  }

  mutating func write(_ route: RouteSetting, className: String) {
    line("  - name: \(route.name)")
    let conditions = Self.conditions(of: route.match)
    line(conditions.isEmpty ? "    match: {}" : "    match:")
    for condition in conditions { line("      \(condition)") }
    line("    class: \(className)")
    line("    priority: \(route.match.priority)")
    switch route.action {
    case .service(let name, let port):
      line("    upstream: {service: \(name)\(port.map { ", port: \($0)" } ?? "")}")
    case .respond(let response):
      line("    respond:")
      line("      status: \(response.status)")
      if !response.body.isEmpty { line("      body: \(quoted(response.body))") }
      let headers = response.headers.map {
        "{name: \(quoted($0.name)), value: \(quoted($0.value))}"
      }
      if !headers.isEmpty { line("      headers: [\(headers.joined(separator: ", "))]") }
    }
    line("    policies:")
    if route.isAuthStated { line("      auth: none") }
    line("      timeoutMs: \(text(route.timeout))")
    if let perTry = route.perTryTimeout { line("      perTryTimeoutMs: \(text(perTry))") }
  }

  private static func conditions(of rule: RouteRule) -> [String] {
    var lines: [String] = []
    switch rule.host {
    case .any: break
    case .exact(let host): lines.append("host: \(quoted(host))")
    case .wildcard(let suffix): lines.append("host: \(quoted("*." + suffix))")
    }
    switch rule.path {
    case .any: break
    case .exact(let path): lines.append("path: \(quoted(path))")
    case .prefix(let path): lines.append("pathPrefix: \(quoted(path))")
    case .regex(let path): lines.append("pathRegex: \(quoted(path))")
    }
    if !rule.methods.isEmpty {
      lines.append("methods: [\(rule.methods.map(quoted).joined(separator: ", "))]")
    }
    for (name, list) in [("headers", rule.headers), ("query", rule.query)] where !list.isEmpty {
      let items = list.map { item in
        let value = item.value.map { ", value: \(quoted($0))" } ?? ""
        return "{name: \(quoted(item.name))\(value)}"
      }
      lines.append("\(name): [\(items.joined(separator: ", "))]")
    }
    return lines
  }
}

/// A text in double quotes, on one line (YAML 1.2 section 7.3.1).
private func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": result += "\\\(scalar)"
    case "\n": result += "\\n"
    case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value),
      "\u{2028}", "\u{2029}", "\u{FEFF}":
      let hex = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

/// Zero and whole milliseconds read back exactly; finer spans do in microseconds.
private func text(_ span: Nanoseconds) -> String { Quantity.text(span) }

extension AccessLogSettings.Output {
  fileprivate var text: String {
    switch self {
    case .stdout: "stdout"
    case .file(let path): "file:\(path)"
    case .syslog(let path): "syslog:\(path)"
    case .off: "off"
    }
  }
}
