/// Where a certificate and what belongs to it lie.
public struct CertificateFiles: Hashable, Sendable {
  /// PEM: the certificate first, then its issuers up to the root, which may be left out.
  public var certificate: String
  /// PEM: the private key without passphrase; may be the same file.
  public var key: String
  /// DER: an OCSP response for the certificate, stapled while it is valid (RFC 6066 section 8).
  public var staple: String?

  public init(certificate: String, key: String, staple: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.staple = staple
  }
}
