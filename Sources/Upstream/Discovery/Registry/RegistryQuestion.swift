public import Units

/// What is asked of a registry, and which one.
public struct RegistryQuestion: Sendable, Hashable {
  /// Which of several ports is meant.
  public enum Port: Sendable, Hashable {
    case name(String)
    case number(Int)
  }

  public enum Subject: Sendable, Hashable {
    /// Keys of etcd that begin with a prefix.
    case etcd(prefix: String)
    /// The passing instances of a service of Consul's.
    case consul(name: String, tag: String?, datacenter: String?)
    /// The EndpointSlices of a service of Kubernetes'.
    case kubernetes(namespace: String, name: String, port: Port?)
  }

  /// The service of the configuration that is the registry.
  public var service: String
  public var subject: Subject

  public init(service: String, _ subject: Subject) {
    self.service = service
    self.subject = subject
  }

  /// The field that a token goes in.
  public func field(token: String) -> ServiceField {
    switch subject {
    case .etcd: ServiceField("authorization", token)
    case .consul: ServiceField("x-consul-token", token)
    case .kubernetes: ServiceField("authorization", "Bearer \(token)")
    }
  }

  func speaker(_ rules: RegistryRules) -> any RegistrySpeaker {
    switch subject {
    case .etcd(let prefix): EtcdSpeaker(service: service, prefix: prefix, rules: rules)
    case .consul(let name, let tag, let datacenter):
      ConsulSpeaker(service: service, name: name, tag: tag, datacenter: datacenter, rules: rules)
    case .kubernetes(let namespace, let name, let port):
      KubernetesSpeaker(
        service: service,
        namespace: namespace,
        name: name,
        port: port,
        rules: rules
      )
    }
  }
}
