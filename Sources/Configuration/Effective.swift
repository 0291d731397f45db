internal import Routing
internal import Units

/// Settings written out whole, defaults included, as a file that means the same.
extension Settings {
  public func effectiveYAML() -> String {
    var out = YAMLWriter()
    out.line("environment", environment)
    if let zone { out.line("zone", zone) }
    if let version { out.line("version", "\(version)", quoted: false) }
    out.line("workers", workers.map(String.init) ?? "auto", quoted: false)
    if let stateDirectory { out.line("stateDirectory", stateDirectory) }
    out.line(
      "drain",
      "{grace: \(Quantity.text(drain.grace)), deadline: \(Quantity.text(drain.deadline))}",
      quoted: false
    )
    if let admin {
      out.line("admin", "{address: \(YAMLWriter.quote(admin.description))}", quoted: false)
    }
    out.line("accessLog", accessLog.flow, quoted: false)
    out.line("classes", YAMLWriter.list(classes), quoted: false)
    out.line("classHeader", classHeader.flow, quoted: false)
    out.line("overload", overload.flow, quoted: false)
    out.list("listeners", listeners.map(\.lines))
    out.list("services", services.map(\.lines))
    out.list("routes", routes.map { $0.lines(classes) })
    return out.text
  }
}

/// Lines of YAML, each value quoted so that it reads back as it was.
struct YAMLWriter {
  private(set) var text = ""

  mutating func line(_ name: String, _ value: String, quoted: Bool = true) {
    text += "\(name): \(quoted ? Self.quote(value) : value)\n"
  }

  mutating func list(_ name: String, _ entries: [[String]]) {
    guard !entries.isEmpty else {
      text += "\(name): []\n"
      return
    }
    text += "\(name):\n"
    for entry in entries {
      for (index, line) in entry.enumerated() {
        text += (index == 0 ? "  - " : "    ") + line + "\n"
      }
    }
  }

  /// A double-quoted scalar.
  static func quote(_ value: String) -> String {
    var out = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16)
        out += "\\x" + (digits.count < 2 ? "0" : "") + digits
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }

  static func list(_ values: [String]) -> String {
    "[" + values.map(quote).joined(separator: ", ") + "]"
  }
}

extension AccessLogSettings {
  fileprivate var flow: String {
    let target =
      switch output {
      case .stdout: "stdout"
      case .off: "off"
      case .file(let path): "file:\(path)"
      case .syslog(let path): "syslog:\(path)"
      }
    let shares = sample.map { "\(YAMLWriter.quote($0.key)): \($0.share)" }.joined(separator: ", ")
    return "{output: \(YAMLWriter.quote(target)), sample: {\(shares)}}"
  }
}

extension CIDR {
  fileprivate var text: String { "\(address)/\(prefix)" }
}

extension ListenerSetting {
  fileprivate var lines: [String] {
    let most = maximumConnections.map { "maximum: \($0), " } ?? ""
    return [
      "name: \(name)",
      "address: \(YAMLWriter.quote(address.description))",
      "exposure: \(exposure.rawValue)",
      "limits: \(limits.flow)",
      "connections: {\(most)perAddress: \(connectionsPerAddress)}"
        + (maximumConnections == nil ? "  # maximum: shares 45% of descriptors" : ""),
      "allow: \(YAMLWriter.list(allow.map(\.text)))",
      "deny: \(YAMLWriter.list(deny.map(\.text)))",
      "trustedProxies: \(YAMLWriter.list(trustedProxies.map(\.text)))",
      "proxyProtocol: \(proxyProtocol.rawValue)",
      "h2: \(http2.flow)",
      "paths: {repeatedSlashes: \(paths.repeatedSlashes.rawValue), "
        + "encodedSlash: \(paths.encodedSlash.rawValue)}",
    ] + (tls.map { ["tls: \($0.flow)"] } ?? [])
  }
}

extension HTTP2Setting {
  fileprivate var flow: String {
    let budgets = Self.budgets.map { name, path in
      "\(name): {burst: \(self[keyPath: path].burst), perSecond: \(self[keyPath: path].perSecond)}"
    }
    return "{maximumStreams: \(maximumStreams), window: \(window), "
      + "connectionWindow: \(connectionWindow), resetsPerSecond: \(resets.perSecond), "
      + "resetBurst: \(resets.burst), settingsTimeout: \(Quantity.text(settingsTimeout)), "
      + "pingInterval: \(Quantity.text(pingInterval)), "
      + "pingTimeout: \(Quantity.text(pingTimeout)), "
      + "budgets: {\(budgets.joined(separator: ", "))}}"
  }
}

extension TLSSetting {
  fileprivate var flow: String {
    let files = certificates.map { entry in
      let ocsp = entry.ocsp.map { ", ocsp: \(YAMLWriter.quote($0))" } ?? ""
      return "{certificate: \(YAMLWriter.quote(entry.certificate)), "
        + "key: \(YAMLWriter.quote(entry.key))\(ocsp)}"
    }
    let clients =
      switch clientCertificates {
      case .off: "{mode: off}"
      case .optional(let file): "{mode: optional, authorities: \(YAMLWriter.quote(file))}"
      case .required(let file): "{mode: required, authorities: \(YAMLWriter.quote(file))}"
      }
    return "{certificates: [\(files.joined(separator: ", "))], clientCertificates: \(clients), "
      + "minimumVersion: \"\(minimumVersion.rawValue)\"}"
  }
}

extension ServiceTLSSetting {
  fileprivate var flow: String {
    var parts: [String] = []
    if let authorities { parts.append("authorities: \(YAMLWriter.quote(authorities))") }
    if let serverName { parts.append("serverName: \(YAMLWriter.quote(serverName))") }
    if !names.isEmpty { parts.append("names: \(YAMLWriter.list(names))") }
    if !pins.isEmpty { parts.append("pins: \(YAMLWriter.list(pins))") }
    if let credential {
      parts.append("certificate: \(YAMLWriter.quote(credential.certificate))")
      parts.append("key: \(YAMLWriter.quote(credential.key))")
    }
    parts.append("insecure: \(isInsecure), minimumVersion: \"\(minimumVersion.rawValue)\"")
    return "{\(parts.joined(separator: ", "))}"
  }
}

extension ListenerSetting.Limits {
  fileprivate var flow: String {
    "{headBytes: \(headBytes), headers: \(headers), targetBytes: \(targetBytes), "
      + "bodyBytes: \(bodyBytes), headTimeout: \(Quantity.text(headTimeout)), "
      + "bodyIdle: \(Quantity.text(bodyIdle)), minimumRate: \(minimumRate), "
      + "keepAliveIdle: \(Quantity.text(keepAliveIdle)), "
      + "upgradeIdle: \(Quantity.text(upgradeIdle)), maximumAge: \(Quantity.text(maximumAge)), "
      + "requestsPerConnection: \(requestsPerConnection)}"
  }
}

extension ServiceSetting {
  fileprivate var lines: [String] {
    [
      "name: \(name)",
      "protocol: \(wireProtocol.rawValue)",
      "exposure: \(exposure.rawValue)",
      discovery.map { "discovery: \($0.flow)" } ?? "endpoints: \(endpointList)",
      "balance: \(balanceFlow)",
      "slowStart: \(Quantity.text(slowStart))",
      "admission: \(admission.flow)"
        + (admission.openStreams == nil ? "  # openStreams: \(openStreams)" : ""),
      "retryBudget: \(retryBudget.flow)",
      connections,
    ]
      + (limits.map { ["limits: \($0.flow)"] } ?? [])
      + (loadReports.map { ["loadReports: \($0.flow(balance))"] } ?? [])
      + (zonePreference.map { ["zonePreference: \($0.flow)"] } ?? [])
      + (health.map { ["health: \($0.flow)"] } ?? [])
      + (breaker.map { ["breaker: \($0.flow)"] } ?? [])
      + (outlier.map { ["outlier: \($0.flow)"] } ?? [])
      + (tls.map { ["tls: \($0.flow)"] } ?? [])
      + (proxyProtocol.map { ["proxyProtocol: \($0.rawValue)"] } ?? [])
  }

  /// A default maximum stands in a comment: written out it would count as stated.
  private var connections: String {
    let pings =
      wireProtocol.isShared
      ? ", pingAfter: \(Quantity.text(pingAfter)), pingTimeout: \(Quantity.text(pingTimeout))" : ""
    let rest =
      "idle: \(Quantity.text(idle)), connectTimeout: \(Quantity.text(connectTimeout))\(pings)}"
    guard let maximumConnections else {
      return "connections: {\(rest)  # maximum: \(Self.defaultMaximumConnections)"
    }
    return "connections: {maximum: \(maximumConnections), \(rest)"
  }
}

extension RouteSetting {
  fileprivate func lines(_ classes: [String]) -> [String] {
    var lines = [
      "name: \(name)", "match: {\(matchFields.joined(separator: ", "))}",
      "class: \(classes[classIndex])", "priority: \(match.priority)",
    ]
    switch action {
    case .service(let service, let port):
      let more = fallback.map { ", fallback: \($0.flow)" } ?? ""
      lines.append("upstream: {service: \(service)\(port.map { ", port: \($0)" } ?? "")\(more)}")
    case .respond(let response): lines.append("respond: \(response.flow)")
    }
    var policies = ["timeoutMs: \(Quantity.text(timeout))"]
    if let perTryTimeout { policies.append("perTryTimeoutMs: \(Quantity.text(perTryTimeout))") }
    if case .service = action { policies += retry.parts }
    if let hedge { policies.append("hedge: \(hedge.flow)") }
    if isAuthStated { policies.insert("auth: none", at: 0) }
    lines.append("policies: {\(policies.joined(separator: ", "))}")
    return lines
  }

  private var matchFields: [String] {
    var fields: [String] = []
    switch match.host {
    case .any: break
    case .exact(let host): fields.append("host: \(YAMLWriter.quote(host))")
    case .wildcard(let suffix): fields.append("host: \(YAMLWriter.quote("*." + suffix))")
    }
    switch match.path {
    case .any: break
    case .exact(let path): fields.append("path: \(YAMLWriter.quote(path))")
    case .prefix(let path): fields.append("pathPrefix: \(YAMLWriter.quote(path))")
    case .regex(let pattern): fields.append("pathRegex: \(YAMLWriter.quote(pattern))")
    }
    if !match.methods.isEmpty { fields.append("methods: \(YAMLWriter.list(match.methods))") }
    if !match.headers.isEmpty { fields.append("headers: \(Self.conditions(match.headers))") }
    if !match.query.isEmpty { fields.append("query: \(Self.conditions(match.query))") }
    return fields
  }

  private static func conditions(_ conditions: [FieldCondition]) -> String {
    let entries = conditions.map { condition in
      let value = condition.value.map { ", value: \(YAMLWriter.quote($0))" } ?? ""
      return "{name: \(YAMLWriter.quote(condition.name))\(value)}"
    }
    return "[\(entries.joined(separator: ", "))]"
  }
}
