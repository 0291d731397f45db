internal import COpenSSL

/// What the handshake agreed on; meaningful once it is over.
extension TLSSession {
  /// Whether the handshake is over and nothing has failed since.
  public var isOpen: Bool {
    if case .open = phase { return true }
    return false
  }

  /// The fault that ended the session, if any.
  public var fault: TLSFault? {
    if case .failed(let fault) = phase { return fault }
    return nil
  }

  /// What is spoken inside, `nil` when ALPN agreed on nothing.
  public var applicationProtocol: ApplicationProtocol? {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &name, &count)
    return ApplicationProtocol(wireName: UnsafeBufferPointer(start: name, count: Int(count)))
  }

  public var version: TLSVersion {
    SSL_version(ssl) == TLSVersion.tls13.wireNumber ? .tls13 : .tls12
  }

  /// The suite's number (IANA "TLS Cipher Suites"), 0 before there is one.
  public var cipherNumber: UInt16 {
    guard let cipher = SSL_get_current_cipher(ssl) else { return 0 }
    return SSL_CIPHER_get_protocol_id(cipher)
  }

  /// The suite's name, such as `TLS_AES_128_GCM_SHA256`; for logs, not for every request.
  public var cipherName: String {
    guard let cipher = SSL_get_current_cipher(ssl), let name = SSL_CIPHER_standard_name(cipher)
    else { return "" }
    return String(cString: name)
  }

  /// The host name that the client asked for (SNI), as it wrote it.
  public var serverName: String? {
    guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return nil }
    return String(cString: name)
  }

  /// Whether an earlier session was resumed.
  public var isResumed: Bool { SSL_session_reused(ssl) == 1 }

  /// The alert that was sent or received last, by its number (RFC 8446 section 6), for logs.
  public var alerts: (sent: UInt8?, received: UInt8?) {
    (
      UInt8(exactly: stream.pointee.alert_sent),
      UInt8(exactly: stream.pointee.alert_received)
    )
  }

  /// Who the other side is; `nil` when it showed no certificate, or none that was verified.
  ///
  /// Made anew at each call: ask once per connection.
  public func peerIdentity() -> PeerIdentity? {
    guard case .open = phase, SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER != 0,
      SSL_get_verify_result(ssl) == Int(X509_V_OK),
      let certificate = copenssl_peer_certificate(ssl)
    else { return nil }
    return PeerIdentity(of: certificate)
  }

  /// The OCSP response that the server stapled, for a client that asked; not judged here.
  public var stapledResponse: [UInt8]? {
    var bytes: UnsafePointer<UInt8>?
    let count = copenssl_stapled(ssl, &bytes)
    guard let bytes, count > 0 else { return nil }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}
