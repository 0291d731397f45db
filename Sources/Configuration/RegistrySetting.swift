/// A registry that lists the endpoints of a service, and what of it is meant.
public struct RegistrySetting: Sendable, Hashable {
  /// Which of the ports that Kubernetes lists.
  public enum Port: Sendable, Hashable {
    case name(String)
    case number(UInt16)
  }

  public enum Subject: Sendable, Hashable {
    /// Keys that begin with a prefix.
    case etcd(prefix: String)
    /// Passing instances of a service, those with a tag where one is stated.
    case consul(name: String, tag: String?, datacenter: String?)
    /// EndpointSlices of a service; without a port it must have exactly one.
    case kubernetes(namespace: String, name: String, port: Port?)
  }

  /// The service of the configuration that is the registry.
  public var service: String
  public var subject: Subject
  /// A file with what the registry knows us by, `nil` for none; read before each request.
  public var tokenFile: String?

  public init(service: String, _ subject: Subject, tokenFile: String? = nil) {
    self.service = service
    self.subject = subject
    self.tokenFile = tokenFile
  }

  /// The field of `discovery` that it stands behind.
  public var kind: String {
    switch subject {
    case .etcd: "etcd"
    case .consul: "consul"
    case .kubernetes: "kubernetes"
    }
  }

  /// What is asked for, and whom.
  var place: String {
    let subject =
      switch subject {
      case .etcd(let prefix): prefix
      case .consul(let name, let tag, let datacenter):
        name + (tag.map { " tag \($0)" } ?? "") + (datacenter.map { " in \($0)" } ?? "")
      case .kubernetes(let namespace, let name, let port):
        "\(namespace)/\(name)" + (port.map { ":\($0.text)" } ?? "")
      }
    return "\(subject) at \(service)"
  }

  var flow: String {
    var parts = ["service: \(service)"]
    switch subject {
    case .etcd(let prefix): parts.append("prefix: \(YAMLWriter.quote(prefix))")
    case .consul(let name, let tag, let datacenter):
      parts.append("name: \(YAMLWriter.quote(name))")
      if let tag { parts.append("tag: \(YAMLWriter.quote(tag))") }
      if let datacenter { parts.append("datacenter: \(YAMLWriter.quote(datacenter))") }
    case .kubernetes(let namespace, let name, let port):
      parts.append("namespace: \(YAMLWriter.quote(namespace))")
      parts.append("name: \(YAMLWriter.quote(name))")
      if let port { parts.append("port: \(YAMLWriter.quote(port.text))") }
    }
    if let tokenFile { parts.append("tokenFile: \(YAMLWriter.quote(tokenFile))") }
    return "{\(kind): {\(parts.joined(separator: ", "))}}"
  }
}

extension RegistrySetting.Port {
  var text: String {
    switch self {
    case .name(let name): name
    case .number(let number): "\(number)"
    }
  }
}
