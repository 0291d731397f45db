/// How a service is spoken to over TLS.
public struct TLSClientSettings: Sendable {
  /// What makes a server believed.
  public enum Verification: Sendable {
    /// A certificate for the host that one of these authorities issued.
    case authorities(TrustStore)
    /// One of the pinned keys, whoever issued the certificate and whatever it names.
    case pinnedKeysOnly
    /// Nothing: anybody on the way can read and change everything.
    case insecure
  }

  public var verification: Verification
  /// Keys of which the server's chain must have one, beside the verification; empty for any.
  public var pins: [KeyPin] = []
  /// Names of which the server's certificate must have one, in place of the host's own.
  public var names: [String] = []
  /// The name sent in place of the host (RFC 6066 section 3).
  public var serverName: String?
  /// Our own certificate, for servers that ask for one.
  public var certificate: CertificateFiles?
  public var minimumVersion = TLSVersion.tls12
  public var maximumVersion = TLSVersion.tls13
  public var ciphers = CipherSettings()
  /// What we offer, the best first; empty for no offer.
  public var applicationProtocols: [ApplicationProtocol] = []
  /// Whether the server's OCSP response is asked for.
  public var asksForStaple = false

  public init(verification: Verification) { self.verification = verification }
}
