internal import COpenSSL

/// What contexts of both sides have in common.
enum ContextBasics {
  /// OpenSSL's own scale: 112 bits, so no RSA below 2,048 and no SHA-1 (SSL_CTX_set_security_level).
  private static let securityLevel: Int32 = 2

  static func apply(
    _ ciphers: CipherSettings,
    _ least: TLSVersion,
    _ most: TLSVersion,
    to handle: OpaquePointer
  ) throws(TLSLoadError) {
    // The system's openssl.cnf may have set some of these; ours are meant to be the same anywhere.
    SSL_CTX_set_security_level(handle, securityLevel)
    copenssl_set_modes(handle)
    copenssl_watch_alerts(handle)
    guard least <= most, copenssl_set_versions(handle, least.wireNumber, most.wireNumber) == 1
    else { throw TLSLoadError("", .setting("versions from \(least.name) to \(most.name)")) }
    guard SSL_CTX_set_cipher_list(handle, ciphers.ciphers) == 1 else {
      throw TLSLoadError("", .setting("the cipher list \(ciphers.ciphers)"))
    }
    guard SSL_CTX_set_ciphersuites(handle, ciphers.suites) == 1 else {
      throw TLSLoadError("", .setting("the cipher suites \(ciphers.suites)"))
    }
    guard copenssl_set_groups(handle, ciphers.groups) == 1 else {
      throw TLSLoadError("", .setting("the groups \(ciphers.groups)"))
    }
    copenssl_clear_errors()
  }

  static func use(_ credential: Credential, in handle: OpaquePointer) throws(TLSLoadError) {
    let file = credential.files.certificate
    guard SSL_CTX_use_certificate(handle, credential.leaf.handle) == 1 else {
      throw OpenSSLWords.error(file)
    }
    guard SSL_CTX_use_PrivateKey(handle, credential.key.handle) == 1 else {
      throw OpenSSLWords.error(credential.files.key)
    }
    for issuer in credential.chain where copenssl_add_chain(handle, issuer.handle) != 1 {
      throw OpenSSLWords.error(file)
    }
  }
}

/// OpenSSL's own words for what went wrong.
enum OpenSSLWords {
  /// Empties the calling thread's error queue.
  static func error(_ file: String) -> TLSLoadError {
    defer { ERR_clear_error() }
    guard let text = ERR_reason_error_string(ERR_peek_error()) else {
      return TLSLoadError(file, .library("out of memory"))
    }
    return TLSLoadError(file, .library(String(cString: text)))
  }
}
