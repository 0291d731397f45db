/// How a listener speaks TLS; files as the configuration's folder resolves them.
public struct TLSSetting: Sendable, Equatable {
  public struct Certificate: Sendable, Equatable {
    /// PEM: the certificate first, then its issuers.
    public var certificate: String
    /// PEM: its private key.
    public var key: String
    /// DER: an OCSP response to staple.
    public var ocsp: String?

    public init(certificate: String, key: String, ocsp: String? = nil) {
      self.certificate = certificate
      self.key = key
      self.ocsp = ocsp
    }
  }

  /// What is asked of clients.
  public enum ClientCertificates: Sendable, Equatable {
    case off
    /// A client may have none, but a bad one ends the handshake.
    case optional(authorities: String)
    case required(authorities: String)
  }

  public enum Version: String, Sendable, CaseIterable {
    case tls12 = "1.2"
    case tls13 = "1.3"
  }

  /// Chosen by the name that the client asks for; the first is the default.
  public var certificates: [Certificate]
  public var clientCertificates = ClientCertificates.off
  /// 1.2, which clients of ten years ago speak, and whose ciphers here have no known weakness.
  public var minimumVersion = Version.tls12

  public init(certificates: [Certificate]) { self.certificates = certificates }
}

/// A file that a configuration names, and where it does.
///
/// What is in it is judged by others; this is for the place that their words need.
public struct FileReference: Sendable, Equatable {
  /// As it is opened; empty for the system's authorities, which no field names.
  public var path: String
  /// The field's path, such as `listeners[0].tls.certificates[0].key`.
  public var field: String
  public var line: Int
  public var column: Int

  public init(path: String, field: String, line: Int, column: Int) {
    self.path = path
    self.field = field
    self.line = line
    self.column = column
  }
}
