internal import Yams

/// Reads where a service's endpoints come from, where no list of them is written.
enum DiscoveryReader {
  private static let known = ["file"]
  private static let later = ["consul", "etcd", "kubernetes", "dns", "port", "type"]

  static func read(
    _ field: Field,
    _ places: inout SettingsReader.Places
  ) -> DiscoverySetting? {
    let fields = field.map(known, later: later)
    guard let file = fields["file"] else {
      if case .mapping(let mapping) = field.node, mapping.isEmpty {
        field.fault("must name one source, such as {file: endpoints.yaml}")
      }
      return nil
    }
    return .file(path: TLSReader.file(file, &places))
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
