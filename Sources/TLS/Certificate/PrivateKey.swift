internal import COpenSSL

/// A private key, parsed.
final class PrivateKey: @unchecked Sendable {
  /// What clients distinguish when a server has several certificates for a name.
  enum Kind: UInt8 { case rsa, elliptic, edwards }

  /// What every client still accepts (NIST SP 800-131A; security level 2 of OpenSSL).
  static let leastRSABits: Int32 = 2_048
  static let leastCurveBits: Int32 = 224

  let handle: OpaquePointer
  let kind: Kind

  init(in file: FileBytes) throws(TLSLoadError) {
    handle = try file.withReader { bio throws(TLSLoadError) in
      var isEncrypted: Int32 = 0
      if let key = copenssl_read_key(bio, &isEncrypted) { return key }
      throw TLSLoadError(file.path, isEncrypted != 0 ? .encryptedKey : .noKey)
    }
    let bits = EVP_PKEY_get_bits(handle)
    switch Int(copenssl_key_kind(handle)) {
    case Int(COPENSSL_KEY_RSA):
      kind = .rsa
      guard bits >= Self.leastRSABits else {
        throw TLSLoadError(file.path, .weakKey("RSA with \(bits) bits"))
      }
    case Int(COPENSSL_KEY_EC):
      kind = .elliptic
      guard bits >= Self.leastCurveBits else {
        throw TLSLoadError(file.path, .weakKey("a curve of \(bits) bits"))
      }
    case Int(COPENSSL_KEY_EDWARDS): kind = .edwards
    default: throw TLSLoadError(file.path, .weakKey("neither RSA, ECDSA nor Ed25519"))
    }
  }

  deinit { EVP_PKEY_free(handle) }

  /// Whether this is the certificate's key.
  func fits(_ certificate: Certificate) -> Bool {
    defer { copenssl_clear_errors() }
    return X509_check_private_key(certificate.handle, handle) == 1
  }
}
