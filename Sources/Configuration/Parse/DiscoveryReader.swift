internal import Yams

/// Reads where a service's endpoints come from, where no list of them is written.
enum DiscoveryReader {
  /// Which records of a name are asked for.
  private enum Kind: String, CaseIterable {
    /// Addresses of both families.
    case a, srv
  }

  private static let sources = ["file", "dns", "etcd", "consul", "kubernetes"]

  static func read(
    _ field: Field,
    _ places: inout SettingsReader.Places
  ) -> DiscoverySetting? {
    let fields = field.map(sources + ["port", "type"])
    for name in ["port", "type"] where fields["dns"] == nil {
      fields[name]?.fault("belongs to dns, the name that is asked for")
    }
    let named = sources.filter { fields[$0] != nil }
    guard let first = named.first, let source = fields[first] else {
      if case .mapping(let mapping) = field.node, mapping.isEmpty {
        field.fault("must name one source, such as {file: endpoints.yaml}")
      }
      return nil
    }
    for other in named.dropFirst() {
      fields[other]?.fault("stands beside \(first); keep one of the two")
    }
    guard named.count == 1 else { return nil }
    switch first {
    case "file": return .file(path: TLSReader.file(source, &places))
    case "dns": return dns(field, source, fields)
    default: return RegistryReader.read(first, source, &places).map { .registry($0) }
    }
  }

  private static func dns(
    _ field: Field,
    _ name: Field,
    _ fields: [String: Field]
  ) -> DiscoverySetting? {
    let text = name.text()
    if AddressReader.isIP(text) {
      name.fault("is an address; write endpoints: [\"\(text):8080\"]")
    } else if !AddressReader.isName(text), name.isScalar {
      name.fault("is no host name")
    }
    let port = fields["port"].map { UInt16($0.number(1...65_535)) }
    switch fields["type"]?.choice(Kind.self) {
    case .srv: return .services(name: text.lowercased(), port: port)
    case nil, .a:
      guard let port else {
        field.fault("needs a port, which addresses do not have; or type: srv")
        return nil
      }
      return .addresses(name: text.lowercased(), port: port)
    }
  }

  /// A service has endpoints of its own or a source of them, since whose word counts must be clear.
  static func judge(_ service: Field, endpoints: Field?, discovery: Field?) {
    switch (endpoints, discovery) {
    case (nil, nil): service.fault("a service needs a name and endpoints, or discovery")
    case (_?, let discovery?):
      discovery.fault("stands beside endpoints; keep one of the two")
    default: break
    }
  }
}
