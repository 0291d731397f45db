internal import Units

/// Reads what answers a route while there is nobody of its service to ask, and judges it.
enum FallbackReader {
  static func read(_ field: Field) -> RouteSetting.Action? {
    let fields = field.map(["service", "port", "respond", "fallback"])
    // One that could have its own would allow chains, and loops, that nobody sees in the file.
    fields["fallback"]?.fault("a fallback has none of its own: while it is out, too, 503 is said")
    switch (fields["service"], fields["respond"]) {
    case (_?, nil): return RouteReader.service(field, fields)
    case (nil, let respond?):
      fields["port"]?.fault("belongs to a service")
      return .respond(RouteReader.response(respond))
    case (_?, let respond?):
      respond.fault("a fallback has service or respond, not both")
      return nil
    case (nil, nil):
      field.fault("needs the name of a service, or respond")
      return nil
    }
  }

  /// Judges a fallback beside the rest of the settings.
  ///
  /// `service`: The one that it stands in for.
  static func judge(
    _ fallback: RouteSetting.Action?,
    of service: ServiceSetting,
    _ settings: Settings,
    _ field: Field
  ) {
    if service.breaker == nil, service.health == nil {
      field.fault(
        "\"\(service.name)\" has neither breaker nor health, so nothing would ever come here"
      )
    }
    guard case .service(let name, _)? = fallback, name == service.name else { return }
    field.fault("\"\(name)\" cannot stand in for itself")
  }
}

extension RouteSetting.Action {
  /// As a file says it, behind the name of the field.
  var flow: String {
    switch self {
    case .service(let service, let port):
      "{service: \(service)\(port.map { ", port: \($0)" } ?? "")}"
    case .respond(let response): "{respond: \(response.flow)}"
    }
  }
}

extension RouteSetting.Response {
  /// As a file says it.
  var flow: String {
    let headers = headers.map {
      "{name: \(YAMLWriter.quote($0.name)), value: \(YAMLWriter.quote($0.value))}"
    }
    return "{status: \(status), body: \(YAMLWriter.quote(body)), "
      + "headers: [\(headers.joined(separator: ", "))]}"
  }
}
