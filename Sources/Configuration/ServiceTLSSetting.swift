/// How a service is spoken to over TLS; files as the configuration's folder resolves them.
public struct ServiceTLSSetting: Sendable, Hashable {
  /// Our own certificate, for services that ask for one.
  public struct Credential: Sendable, Hashable {
    /// PEM: the certificate first, then its issuers.
    public var certificate: String
    /// PEM: its private key.
    public var key: String

    public init(certificate: String, key: String) {
      self.certificate = certificate
      self.key = key
    }
  }

  /// PEM: the authorities that are believed; `nil` for the system's own.
  public var authorities: String?
  /// The name that is asked for (SNI) and that the certificate must have; `nil` for the endpoint's.
  public var serverName: String?
  /// Names of which the certificate must have one, in place of the name asked for; or one address.
  public var names: [String] = []
  /// `sha256/` and base64: keys of which the service's chain must have one; empty for any.
  public var pins: [String] = []
  public var credential: Credential?
  /// No authority and no name is asked for; pins still hold.
  public var isInsecure = false
  public var minimumVersion = TLSSetting.Version.tls12

  public init() {}
}

/// What is spoken to a service.
public enum ServiceProtocol: String, Sendable, CaseIterable {
  /// HTTP/1.1 in clear.
  case http1
  /// HTTP/2 in cleartext by prior knowledge (RFC 9113 section 3.3).
  case h2c
  /// HTTP/1.1 over TLS.
  case https
  /// HTTP/2 over TLS; the service has to choose it by ALPN (RFC 9113 section 3.2).
  case h2
  /// Over TLS, HTTP/2 or HTTP/1.1 as the service chooses by ALPN.
  case auto

  /// Whether TLS stands below it.
  public var isSecure: Bool { self == .https || self == .h2 || self == .auto }

  /// Whether one connection may carry requests of many clients at once.
  public var isShared: Bool { self == .h2c || self == .h2 || self == .auto }
}

/// How a service is told who the client is, before anything else on the connection.
public enum ProxyPreludeVersion: String, Sendable, CaseIterable {
  /// A line of text.
  case v1
  /// Binary.
  case v2
}
