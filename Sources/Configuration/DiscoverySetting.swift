/// Where the endpoints of a service are read from while it serves.
public enum DiscoverySetting: Sendable, Hashable {
  /// A file, as `EndpointFile` reads it, watched for changes.
  case file(path: String)
  /// The addresses of a name, all with one port.
  case addresses(name: String, port: UInt16)
  /// The SRV records of a name (RFC 2782), and a port in place of theirs where one is stated.
  case services(name: String, port: UInt16?)
  /// A registry that is a service of the configuration itself.
  case registry(RegistrySetting)

  /// What metrics and logs call the kind.
  public var kind: String {
    switch self {
    case .file: "file"
    case .addresses: "dns"
    case .services: "dns-srv"
    case .registry(let registry): registry.kind
    }
  }

  /// What is asked, as an operator knows it.
  public var place: String {
    switch self {
    case .file(let path): path
    case .addresses(let name, let port): "\(name):\(port)"
    case .services(let name, nil): name
    case .services(let name, let port?): "\(name):\(port)"
    case .registry(let registry): registry.place
    }
  }
}

extension DiscoverySetting {
  var flow: String {
    switch self {
    case .file(let path): "{file: \(YAMLWriter.quote(path))}"
    case .addresses(let name, let port): "{dns: \(YAMLWriter.quote(name)), port: \(port), type: a}"
    case .services(let name, let port):
      "{dns: \(YAMLWriter.quote(name))\(port.map { ", port: \($0)" } ?? ""), type: srv}"
    case .registry(let registry): registry.flow
    }
  }
}
