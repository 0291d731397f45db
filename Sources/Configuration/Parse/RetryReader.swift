internal import Routing
internal import Yams

/// Reads what a route says about retries, and a service about their budget.
enum RetryReader {
  private static let words: [(String, RetrySetting.Condition)] =
    [
      ("connect-failure", .connectFailure), ("reset", .reset), ("refused-stream", .refusedStream),
      ("5xx", .serverError), ("gateway-error", .gatewayError),
    ] + RetrySetting.CallStatus.allCases.map { ("grpc-\($0.rawValue)", .call($0)) }

  /// Words that other proxies have for what is never done here.
  private static let careless: Set<String> = ["non-idempotent", "non_idempotent"]

  /// The fields `retries` and `retryOn` of a route's policies.
  static func read(_ fields: [String: Field], _ route: inout RouteSetting) {
    if let field = fields["retryOn"] {
      route.retry.conditions = conditions(field)
      route.retry.retries = RetrySetting.usual
    }
    if let field = fields["retries"] { route.retry.retries = field.number(0...RetrySetting.most) }
    guard route.retry.retries > 0, let place = fields["retries"] ?? fields["retryOn"] else {
      return
    }
    judge(route, place)
  }

  private static func conditions(_ field: Field) -> [RetrySetting.Condition] {
    guard case .sequence = field.node else {
      field.fault("must be a list, such as [connect-failure, reset, 503]")
      return RetrySetting.usualConditions
    }
    let entries = field.list()
    if entries.isEmpty { field.fault("must name at least one condition; for none, set retries: 0") }
    if entries.count > RetrySetting.mostConditions {
      field.fault("has \(entries.count) conditions; at most \(RetrySetting.mostConditions)")
    }
    var conditions: [RetrySetting.Condition] = []
    for entry in entries {
      guard let condition = condition(entry) else { continue }
      if conditions.contains(condition) { entry.fault("\(condition) is named twice; keep one") }
      conditions.append(condition)
    }
    let headers = conditions.filter { if case .header = $0 { true } else { false } }
    if headers.count > RetrySetting.mostHeaders {
      field.fault("has \(headers.count) header conditions; at most \(RetrySetting.mostHeaders)")
    }
    return conditions
  }

  private static func condition(_ field: Field) -> RetrySetting.Condition? {
    if case .mapping = field.node { return header(field) }
    guard case .scalar = field.node else {
      field.fault("must be a condition such as reset or 503, or {header: NAME}")
      return nil
    }
    let text = field.text()
    if let known = words.first(where: { $0.0 == text }) { return known.1 }
    if let status = Int(text) {
      guard (400...599).contains(status) else {
        field.fault("is \(status); must be a status from 400 to 599")
        return nil
      }
      return .status(status)
    }
    if careless.contains(text) {
      field.fault(
        "what is not idempotent is never repeated by a rule; clients allow it request by request "
          + "with Idempotency-Key"
      )
      return nil
    }
    let all = words.map(\.0)
    if let near = Spelling.nearest(text, in: all) {
      field.fault("\"\(text)\" is no condition; did you mean \(near)?")
    } else {
      field.fault(
        "\"\(text)\" is no condition; must be \(all.joined(separator: ", ")), a status from 400 to "
          + "599, or {header: NAME, value: TEXT}"
      )
    }
    return nil
  }

  private static func header(_ field: Field) -> RetrySetting.Condition? {
    let fields = field.map(["header", "value"])
    guard let name = fields["header"] else {
      field.fault("needs header, the name of a response field, and a value unless any will do")
      return nil
    }
    let written = name.text().lowercased()
    guard RouteReader.isToken(written) else {
      name.fault("is no field name")
      return nil
    }
    let value = fields["value"]?.text()
    if let value,
      value.isEmpty || value.utf8.count > 512
        || value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        || value.first == " " || value.last == " "
    {
      fields["value"]?.fault("must be 1 to 512 bytes without control characters and outer spaces")
    }
    return .header(written, value: value)
  }

  static func budget(_ field: Field) -> RetryBudgetSetting {
    var budget = RetryBudgetSetting()
    let fields = field.map(["ratio", "minimumPerSecond"])
    if let field = fields["ratio"] { budget.ratio = field.share() }
    if let field = fields["minimumPerSecond"] {
      budget.minimumPerSecond = field.number(0...RetryBudgetSetting.largestMinimum)
    }
    return budget
  }

  // MARK: - What it means together

  /// Methods that may be sent twice (RFC 9110 section 9.2.2).
  private static let idempotent: Set<String> = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]

  /// Refuses retries of a route that takes only what is not repeated.
  ///
  /// Whether one request may be is decided when it comes: by its method, or its Idempotency-Key. A
  /// route that asks for the key may have retries, and so may calls of gRPC, which are all POST.
  private static func judge(_ route: RouteSetting, _ place: Field) {
    guard case .service = route.action else {
      return place.fault("is for routes to services; this one answers by itself")
    }
    let methods = route.match.methods
    guard !methods.isEmpty, methods.allSatisfy({ !idempotent.contains($0) }) else { return }
    if route.match.headers.contains(where: { $0.name.lowercased() == "idempotency-key" }) { return }
    let isOfCalls = route.retry.conditions.contains { condition in
      if case .call = condition { true } else { false }
    }
    if isOfCalls || route.retry.conditions.allSatisfy(\.isHarmless) { return }
    place.fault(
      "the route takes only \(methods.joined(separator: ", ")), which is not idempotent and not "
        + "repeated without an Idempotency-Key; match that header, keep to connect-failure and "
        + "refused-stream, or remove it"
    )
  }
}

extension RetrySetting {
  /// As a file says it; the conditions only where they are of use.
  var parts: [String] {
    var parts = ["retries: \(retries)"]
    guard retries > 0 || conditions != Self.usualConditions else { return parts }
    parts.append("retryOn: [\(conditions.map(\.flow).joined(separator: ", "))]")
    return parts
  }
}

extension RetrySetting.Condition {
  fileprivate var flow: String {
    guard case .header(let name, let value) = self else { return description }
    let rest = value.map { ", value: \(YAMLWriter.quote($0))" } ?? ""
    return "{header: \(YAMLWriter.quote(name))\(rest)}"
  }
}

extension RetryBudgetSetting {
  /// As a file says it.
  var flow: String { "{ratio: \(ratio), minimumPerSecond: \(minimumPerSecond)}" }
}
