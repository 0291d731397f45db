internal import Units

/// Reads the hard caps of a service.
enum CapReader {
  private static let connections = 1...1_000_000
  private static let requests = 1...1_048_576
  private static let pending = 0...1_048_576

  /// `maximum`: The field `connections.maximum`, where that stands.
  static func read(_ field: Field, _ service: inout ServiceSetting, maximum: Field?) {
    var setting = CapSetting()
    let fields = field.map(["connections", "pending", "requests", "perEndpoint"])
    if let field = fields["connections"] {
      service.maximumConnections = field.number(connections)
      if maximum != nil { field.fault("means the same as connections.maximum; keep one") }
    }
    if let field = fields["requests"] { setting.requests = field.number(requests) }
    if let field = fields["pending"] { setting.pending = field.number(pending) }
    let whole = fields["pending"] == nil ? nil : setting.pending
    if let field = fields["perEndpoint"] {
      let fields = field.map(["connections", "pending", "requests"])
      if let field = fields["connections"] {
        let value = field.number(connections)
        setting.perEndpoint.connections = value
        judge(field, value, service.maximumConnections)
      }
      if let field = fields["requests"] {
        let value = field.number(requests)
        setting.perEndpoint.requests = value
        judge(field, value, setting.requests)
      }
      if let field = fields["pending"] {
        let value = field.number(pending)
        setting.perEndpoint.pending = value
        judge(field, value, whole)
      }
    }
    service.limits = setting
  }

  /// More for one endpoint than for all of them can only be meant otherwise.
  private static func judge(_ field: Field, _ value: Int, _ whole: Int?) {
    guard let whole, value > whole else { return }
    field.fault("is \(value), more than the \(whole) of the whole service")
  }
}

extension CapSetting {
  /// As a file says it.
  var flow: String {
    var parts = ["pending: \(pending)"]
    if let requests { parts.append("requests: \(requests)") }
    var each: [String] = []
    if let connections = perEndpoint.connections { each.append("connections: \(connections)") }
    if let pending = perEndpoint.pending { each.append("pending: \(pending)") }
    if let requests = perEndpoint.requests { each.append("requests: \(requests)") }
    if !each.isEmpty { parts.append("perEndpoint: {\(each.joined(separator: ", "))}") }
    return "{\(parts.joined(separator: ", "))}"
  }
}
