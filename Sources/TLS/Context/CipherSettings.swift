/// Which ciphers and groups are offered, in OpenSSL's words.
public struct CipherSettings: Hashable, Sendable {
  /// What TLS 1.2 offers.
  ///
  /// Forward secrecy and AEAD only, ECDSA before RSA, the cheapest first; what Mozilla's
  /// "intermediate" has, less finite-field Diffie-Hellman, which costs a server ten times as much.
  public var ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
    + ":ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    + ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
  /// What TLS 1.3 offers.
  ///
  /// A client that puts ChaCha20 first has no AES in hardware and gets it.
  public var suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
  /// Key exchange, both versions.
  public var groups = "X25519:P-256:P-384"

  public init() {}
}
