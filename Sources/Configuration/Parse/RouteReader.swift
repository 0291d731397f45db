internal import Routing
internal import Units

enum RouteReader {
  private static let known = [
    "name", "match", "class", "priority", "upstream", "respond", "policies",
  ]

  static func read(
    _ field: Field,
    _ settings: inout Settings,
    _ places: inout SettingsReader.Places
  ) {
    let fields = field.map(known)
    if fields["name"] == nil || fields["match"] == nil {
      field.fault("a route needs a name and a match")
    }
    let name = fields["name"]?.name() ?? ""
    // Something stands in for what is missing, so that the rest is judged, too: a file with a fault
    // is not used in any case.
    let action = action(field, fields)
    var route = RouteSetting(
      match: fields["match"].map { rule(name, $0) } ?? RouteRule(name: name),
      classIndex: defaultClass(settings),
      action: action.action ?? .respond(RouteSetting.Response(status: 503, body: ""))
    )
    route.fallback = action.fallback.flatMap(FallbackReader.read)
    if let field = fields["priority"] { route.match.priority = field.number(-1_000...1_000) }
    if let field = fields["class"] {
      let name = field.text()
      if let index = settings.classes.firstIndex(of: name) {
        route.classIndex = index
      } else {
        field.fault(
          "\"\(name)\" is no class; must be \(settings.classes.joined(separator: ", "))"
        )
      }
    }
    if let field = fields["policies"] { policies(field, &route) }
    // Beside other routes one can be judged only by its name and its match.
    guard let name = fields["name"], let match = fields["match"] else { return }
    settings.routes.append(route)
    places.routes.append(name)
    places.routeMatches.append(match)
    places.routeUpstreams.append(fields["upstream"])
    places.routeFallbacks.append(action.fallback)
    places.routePolicies.append(fields["policies"])
  }

  /// `normal` where that class is there, else the lowest.
  private static func defaultClass(_ settings: Settings) -> Int {
    settings.classes.firstIndex(of: "normal") ?? settings.classes.count - 1
  }

  private static func rule(_ name: String, _ field: Field) -> RouteRule {
    let fields = field.map([
      "host", "path", "pathPrefix", "pathRegex", "methods", "headers", "query",
    ])
    var rule = RouteRule(name: name)
    if let field = fields["host"] { rule.host = HostPattern(field.text()) }
    let paths = ["path", "pathPrefix", "pathRegex"].compactMap { fields[$0] }
    if paths.count > 1 { paths[1].fault("a match has one of path, pathPrefix and pathRegex") }
    if let field = fields["path"] {
      rule.path = .exact(field.text())
    } else if let field = fields["pathPrefix"] {
      rule.path = .prefix(field.text())
    } else if let field = fields["pathRegex"] {
      rule.path = .regex(field.text())
    }
    rule.methods = fields["methods"]?.list().map { $0.text() } ?? []
    rule.headers = fields["headers"]?.list().map(condition) ?? []
    rule.query = fields["query"]?.list().map(condition) ?? []
    return rule
  }

  private static func condition(_ field: Field) -> FieldCondition {
    let fields = field.map(["name", "value"])
    guard let name = fields["name"] else {
      field.fault("needs a name, and a value unless any will do")
      return FieldCondition(name: "x")
    }
    return FieldCondition(name: name.text(), value: fields["value"]?.text())
  }

  private static func action(
    _ field: Field,
    _ fields: [String: Field]
  ) -> (action: RouteSetting.Action?, fallback: Field?) {
    switch (fields["upstream"], fields["respond"]) {
    case (let upstream?, nil):
      let fields = upstream.map(["service", "port", "fallback"], later: ["splits", "shadow"])
      return (service(upstream, fields), fields["fallback"])
    case (nil, let respond?): return (.respond(response(respond)), nil)
    case (_?, let respond?):
      respond.fault("a route has upstream or respond, not both")
      return (nil, nil)
    case (nil, nil):
      field.fault("a route needs upstream or respond")
      return (nil, nil)
    }
  }

  static func service(_ field: Field, _ fields: [String: Field]) -> RouteSetting.Action? {
    guard let service = fields["service"] else {
      field.fault("needs the name of a service")
      return nil
    }
    let port = fields["port"].map { UInt16(clamping: $0.number(1...65_535)) }
    return .service(service.text(), port: port)
  }

  private static let maximumBody = 12_288
  /// Bytes of body and field lines together.
  ///
  /// A reply lies in one buffer block of 16 KiB, and the edge adds a status line, the date, the
  /// length, a default type and a request id of up to 128 bytes.
  static let maximumResponse = 15_360
  private static let maximumHeaders = 32

  static func response(_ field: Field) -> RouteSetting.Response {
    let fields = field.map(["status", "body", "headers"])
    var response = RouteSetting.Response(status: 200, body: "")
    if let status = fields["status"] {
      response.status = status.number(200...599)
    } else {
      field.fault("needs a status")
    }
    if let body = fields["body"] {
      response.body = body.text()
      if response.body.utf8.count > maximumBody {
        body.fault("has more than \(maximumBody) bytes")
      }
      if [204, 205, 304].contains(response.status), !response.body.isEmpty {
        body.fault("a \(response.status) has no body")
      }
    }
    if let list = fields["headers"] {
      let entries = list.list()
      if entries.count > maximumHeaders { list.fault("has more than \(maximumHeaders) fields") }
      response.headers = entries.map(header)
    }
    let lines = response.headers.map { $0.name.utf8.count + $0.value.utf8.count + 4 }
    let size = lines.reduce(response.body.utf8.count, +)
    if size > maximumResponse {
      field.fault("has \(size) bytes of body and headers; at most \(maximumResponse) fit a reply")
    }
    return response
  }

  private static func header(_ field: Field) -> RouteSetting.Header {
    let fields = field.map(["name", "value"])
    guard let name = fields["name"], let value = fields["value"] else {
      field.fault("needs a name and a value")
      return RouteSetting.Header(name: "x", value: "")
    }
    let header = RouteSetting.Header(name: name.text(), value: value.text())
    if !isToken(header.name) { name.fault("is no field name") }
    // What frames the reply or belongs to the connection, beside what every reply carries.
    let reserved = [
      "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te",
      "trailer", "upgrade", "date", "x-request-id",
    ]
    if reserved.contains(header.name.lowercased()) { name.fault("is set by the edge itself") }
    if header.value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
      || header.value.utf8.count > 512
    {
      value.fault("must be at most 512 bytes without control characters")
    }
    return header
  }

  static func isToken(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 128
      && text.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
          || "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
  }

  private enum Auth: String, CaseIterable {
    case none
  }

  private static func policies(_ field: Field, _ route: inout RouteSetting) {
    let fields = field.map(
      ["auth", "timeoutMs", "perTryTimeoutMs", "retries", "retryOn", "hedge"],
      later: ["authorization", "rateLimit", "requestPolicy"]
    )
    if let auth = fields["auth"] {
      route.isAuthStated = auth.choice(Auth.self, later: ["required", "optional"]) != nil
    }
    // The field's ceiling: a gateway that waits longer holds what others need.
    let range = Nanoseconds.milliseconds(1)...Nanoseconds.milliseconds(30_000)
    if let field = fields["timeoutMs"] {
      route.timeout = field.duration(range, bareMilliseconds: true)
    }
    if let field = fields["perTryTimeoutMs"] {
      let value = field.duration(range, bareMilliseconds: true)
      if value > route.timeout {
        field.fault("is longer than the route's timeout of \(Quantity.text(route.timeout))")
      }
      route.perTryTimeout = value
    }
    RetryReader.read(fields, &route)
    if let field = fields["hedge"] { route.hedge = HedgeReader.read(field, route) }
  }
}
