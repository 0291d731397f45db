internal import Configuration
internal import Units

/// The services that may be called, and how they are named to themselves; slow plane only.
struct CallDirectory: Sendable {
  struct Service: Equatable {
    /// Its place in the process.
    var place: Int32
    /// The host that a request names unless its caller does.
    var authority: String
  }

  private var services: [String: Service] = [:]

  init() {}

  /// - Parameters:
  ///   - settings: With what is served of sources filled in.
  ///   - place: The place of a service by its name.
  init(_ settings: Settings, _ place: (String) -> Int32?) {
    for service in settings.services {
      guard let place = place(service.name) else { continue }
      services[service.name] = Service(place: place, authority: Self.authority(of: service))
    }
  }

  subscript(name: String) -> Service? { services[name] }

  /// As a client would name it that knows what the file says: what its certificate is for, else its
  /// first endpoint.
  static func authority(of service: ServiceSetting) -> String {
    if let name = service.tls?.serverName { return name }
    guard let first = service.endpoints.first else { return "localhost" }
    if case .host(let host, let port) = first, port == (service.wireProtocol.isSecure ? 443 : 80) {
      return host.contains(":") ? "[\(host)]" : host
    }
    return first.authority
  }
}
