internal import Units
internal import Yams

/// Reads how the endpoints of a service are checked.
enum HealthCheckReader {
  private static let fieldsOf: [HealthCheckSetting.Kind: Set<String>] = [
    .http: ["path", "host", "statuses"],
    .grpc: ["service", "host"],
    .tcp: [],
  ]

  static func read(_ field: Field, _ service: ServiceSetting) -> HealthCheckSetting {
    var setting = HealthCheckSetting()
    let special = ["path", "host", "statuses", "service"]
    let fields = field.map(
      special + ["kind", "interval", "timeout", "healthy", "unhealthy"]
    )
    if let kind = fields["kind"]?.choice(HealthCheckSetting.Kind.self) { setting.kind = kind }
    for name in special where !(fieldsOf[setting.kind] ?? []).contains(name) {
      fields[name]?.fault("means nothing with kind: \(setting.kind.rawValue); remove it")
    }
    if setting.kind == .grpc, !service.wireProtocol.isShared {
      (fields["kind"] ?? field).fault("is HTTP/2: needs protocol h2c, h2 or auto")
    }
    if let field = fields["path"] { setting.path = path(field) }
    if let field = fields["host"] { setting.host = host(field) }
    if let field = fields["statuses"] { setting.statuses = statuses(field) }
    if let field = fields["service"] {
      setting.grpcService = field.text()
      if setting.grpcService.utf8.count > 256 { field.fault("is longer than 256 bytes") }
    }
    let span = Nanoseconds.milliseconds(10)...Nanoseconds.seconds(3_600)
    if let field = fields["interval"] { setting.interval = field.duration(span) }
    if let field = fields["timeout"] {
      setting.timeout = field.duration(.milliseconds(1)...(.seconds(60)))
    }
    if let field = fields["healthy"] { setting.healthy = field.number(1...1_000) }
    if let field = fields["unhealthy"] { setting.unhealthy = field.number(1...1_000) }
    return setting
  }

  /// A target in origin form (RFC 9112 section 3.2.1).
  private static func path(_ field: Field) -> String {
    let written = field.text()
    let isTarget =
      written.hasPrefix("/") && written.utf8.count <= 2_048
      && written.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x23 }
    if !isTarget { field.fault("must begin with / and have neither spaces nor #; encode others") }
    return isTarget ? written : "/"
  }

  /// A host with or without a port (RFC 9110 section 7.2).
  private static func host(_ field: Field) -> String? {
    let written = field.text()
    let others = Set("-._~:[]%".utf8)
    let isHost =
      !written.isEmpty && written.utf8.count <= 256
      && written.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || others.contains($0)
      }
    if !isHost { field.fault("must be a host, such as api.internal or api.internal:8080") }
    return isHost ? written : nil
  }

  private static func statuses(_ field: Field) -> [ClosedRange<Int>] {
    let entries = field.list()
    if entries.isEmpty { field.fault("must name at least one status") }
    return entries.map { entry in
      let written = entry.text()
      guard let range = range(written) else {
        entry.fault("is \(written); must be a status such as 200, a class such as 2xx, or 200-399")
        return 200...299
      }
      return range
    }
  }

  /// `204`, `2xx` or `200-399`, within what a final response may have.
  private static func range(_ text: String) -> ClosedRange<Int>? {
    let final = 200...599
    if text.utf8.count == 3, text.hasSuffix("xx"), let digit = Int(text.prefix(1)) {
      let range = digit * 100...digit * 100 + 99
      return final.contains(range.lowerBound) && final.contains(range.upperBound) ? range : nil
    }
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
      .map { $0.utf8.count == 3 ? Int($0) : nil }
    guard (1...2).contains(ends.count), let low = ends[0], let high = ends[ends.count - 1],
      final.contains(low), final.contains(high), low <= high
    else { return nil }
    return low...high
  }
}

extension HealthCheckSetting {
  /// As a file says it.
  var flow: String {
    var parts = ["kind: \(kind.rawValue)"]
    if kind == .http {
      let ranges = statuses.map {
        $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
      }
      parts.append("path: \(YAMLWriter.quote(path)), statuses: \(YAMLWriter.list(ranges))")
    }
    if kind == .grpc { parts.append("service: \(YAMLWriter.quote(grpcService))") }
    if let host { parts.append("host: \(YAMLWriter.quote(host))") }
    parts.append("interval: \(Quantity.text(interval)), timeout: \(Quantity.text(timeout))")
    parts.append("healthy: \(healthy), unhealthy: \(unhealthy)")
    return "{\(parts.joined(separator: ", "))}"
  }
}
