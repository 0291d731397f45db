internal import Yams

/// A file that lists the endpoints of a service: `endpoints`, each as a configuration writes it.
public enum EndpointFile {
  public struct Entry: Sendable, Hashable {
    public var endpoint: ServiceSetting.Endpoint
    public var traits: EndpointTraits
  }

  /// Bytes of a file: as many endpoints as one may list, with 256 bytes for each.
  public static let maximumBytes = 1 << 20
  /// Endpoints of one file, an eighth of what a process can know.
  public static let maximumEndpoints = 4_096

  /// Reads and validates a text.
  ///
  /// An empty list is valid here; whether it is taken is for others to say.
  ///
  /// - Parameters:
  ///   - text: The whole file, YAML or JSON.
  ///   - file: What faults name.
  ///   - allowsUnix: Whether UNIX sockets may be listed; TLS without `serverName` has no name for
  ///     them.
  /// - Returns: The endpoints in their order, each address once.
  /// - Throws: Every fault at once.
  public static func read(
    _ text: String,
    file: String,
    allowsUnix: Bool = true
  ) throws(ConfigurationError) -> [Entry] {
    guard text.utf8.count <= maximumBytes else {
      throw ConfigurationError(file: file, problem: "has more than \(maximumBytes) bytes")
    }
    return try Field.read(text, file: file, needs: "endpoints") { root in
      guard let field = root.map(["endpoints"])["endpoints"] else {
        if root.isMap { root.fault("needs endpoints, a list such as [10.0.1.5:8080]") }
        return []
      }
      let list = field.list()
      guard list.count <= maximumEndpoints else {
        field.fault("lists \(list.count) endpoints; at most \(maximumEndpoints) are possible")
        return []
      }
      let entries = list.compactMap(BalanceReader.endpoint)
      judge(entries.map(\.field), entries.map(\.endpoint), allowsUnix: allowsUnix)
      return entries.map { Entry(endpoint: $0.endpoint, traits: $0.traits) }
    }
  }

  private static func judge(
    _ fields: [Field],
    _ endpoints: [ServiceSetting.Endpoint],
    allowsUnix: Bool
  ) {
    var first: [ServiceSetting.Endpoint: Int] = [:]
    for (index, endpoint) in endpoints.enumerated() {
      if let before = first[endpoint.canonical] {
        let line = fields[before].node.mark?.line ?? 0
        fields[index].fault("the endpoint \(endpoint) stands in line \(line) already")
      } else {
        first[endpoint.canonical] = index
      }
      if case .unix = endpoint, !allowsUnix {
        fields[index]
          .fault("a UNIX socket has no name that a certificate is for; say it in tls.serverName")
      }
    }
  }
}

extension ServiceSetting {
  /// Whether a UNIX socket can be one of its endpoints: by TLS it has no name to be verified by.
  public var allowsUnixEndpoints: Bool { hasNameToVerify }

  /// Whether the configuration itself says whom TLS is to verify, or nobody is verified.
  var hasNameToVerify: Bool {
    guard let tls else { return true }
    return tls.isInsecure || tls.serverName != nil || !tls.names.isEmpty
  }
}
