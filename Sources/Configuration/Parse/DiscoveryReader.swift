internal import Yams

/// Reads where a service's endpoints come from, where no list of them is written.
enum DiscoveryReader {
  /// Which records of a name are asked for.
  private enum Kind: String, CaseIterable {
    /// Addresses of both families.
    case a, srv
  }

  private static let known = ["file", "dns", "port", "type"]
  private static let later = ["consul", "etcd", "kubernetes"]

  static func read(
    _ field: Field,
    _ places: inout SettingsReader.Places
  ) -> DiscoverySetting? {
    let fields = field.map(known, later: later)
    for name in ["port", "type"] where fields["dns"] == nil {
      fields[name]?.fault("belongs to dns, the name that is asked for")
    }
    switch (fields["file"], fields["dns"]) {
    case (let file?, nil): return .file(path: TLSReader.file(file, &places))
    case (nil, let name?): return dns(field, name, fields)
    case (_?, let name?): name.fault("stands beside file; keep one of the two")
    case (nil, nil):
      if case .mapping(let mapping) = field.node, mapping.isEmpty {
        field.fault("must name one source, such as {file: endpoints.yaml}")
      }
    }
    return nil
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
