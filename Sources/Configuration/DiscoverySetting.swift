/// Where the endpoints of a service are read from while it serves.
public enum DiscoverySetting: Sendable, Hashable {
  /// A file, as `EndpointFile` reads it, watched for changes.
  case file(path: String)

  /// What metrics and logs call the kind.
  public var kind: String {
    switch self {
    case .file: "file"
    }
  }

  /// What is asked, as an operator knows it.
  public var place: String {
    switch self {
    case .file(let path): path
    }
  }
}

extension DiscoverySetting {
  var flow: String {
    switch self {
    case .file(let path): "{file: \(YAMLWriter.quote(path))}"
    }
  }
}
