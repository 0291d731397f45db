public import Units

/// How a listener speaks TLS.
public struct TLSServerSettings: Hashable, Sendable {
  /// What is asked of clients.
  public enum ClientCertificates: Hashable, Sendable {
    /// None is asked for.
    case off
    /// One is asked for; a client may have none, but a bad one ends the handshake.
    case optional(authorities: String)
    /// Without one that the authorities in this file issued, the handshake ends.
    case required(authorities: String)
  }

  /// Certificates, the default first.
  ///
  /// For a name with several, one of each kind of key is used.
  public var certificates: [CertificateFiles]
  public var clientCertificates: ClientCertificates
  public var minimumVersion: TLSVersion
  public var maximumVersion = TLSVersion.tls13
  public var ciphers = CipherSettings()
  /// What is spoken inside, by our own preference.
  ///
  /// A client that offers others only is refused, one that offers none is
  /// taken for HTTP/1.1. Empty: the extension is ignored.
  public var applicationProtocols: [ApplicationProtocol] = [.http2, .http1]
  /// Whether a client that names a host without certificate is refused; otherwise it gets the
  /// default certificate, and its own check fails with a better message than ours could be.
  public var refusesUnknownNames = false
  /// How long a session may be resumed.
  ///
  /// Long enough for clients that come back, short enough that
  /// what was verified at its start still holds.
  public var sessionLifetime = Nanoseconds.seconds(7_200)
  /// Tickets after a full TLS 1.3 handshake, 0...8; a resumed one gets one.
  ///
  /// Two, as browsers use
  /// each once and open a second connection.
  public var tickets = 2
  /// Bytes of a client's certificates; a chain of three takes 3 to 6 KiB.
  public var maximumPeerChain = ByteCount.kibibytes(32)

  public init(
    certificates: [CertificateFiles],
    clientCertificates: ClientCertificates = .off,
    minimumVersion: TLSVersion = .tls12
  ) {
    self.certificates = certificates
    self.clientCertificates = clientCertificates
    self.minimumVersion = minimumVersion
  }
}
