internal import COpenSSL

/// One certificate, parsed.
///
/// OpenSSL's certificates are counted references with locks of their own, hence `@unchecked`.
final class Certificate: @unchecked Sendable {
  /// Certificates read from one file: chains have 2 to 4, the system's authorities about 150.
  static let mostInFile = 2_000

  let handle: OpaquePointer

  /// Takes over one reference.
  init(_ handle: OpaquePointer) { self.handle = handle }

  deinit { X509_free(handle) }

  /// All certificates of a file in PEM form, at least one, in their order.
  static func all(in file: FileBytes, most: Int) throws(TLSLoadError) -> [Certificate] {
    try file.withReader { bio throws(TLSLoadError) in
      var found: [Certificate] = []
      copenssl_clear_errors()
      while let handle = copenssl_read_certificate(bio) {
        found.append(Certificate(handle))
        guard found.count <= most else { throw TLSLoadError(file.path, .chainTooLong(most)) }
      }
      guard copenssl_is_no_pem(ERR_peek_last_error()) != 0 else {
        throw TLSLoadError(file.path, .malformedCertificate)
      }
      guard !found.isEmpty else { throw TLSLoadError(file.path, .noCertificate) }
      return found
    }
  }

  /// SHA-256 of the certificate in DER form.
  var fingerprint: [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    return copenssl_certificate_digest(handle, &digest) == 1 ? digest : []
  }

  /// First and last second of validity since 1970.
  var validity: (from: Int64, until: Int64) {
    (
      copenssl_seconds(X509_get0_notBefore(handle)),
      copenssl_seconds(X509_get0_notAfter(handle))
    )
  }

  /// Whether `other` is issued by this certificate, as far as names and key usage tell.
  func issued(_ other: Certificate) -> Bool { X509_check_issued(handle, other.handle) == X509_V_OK }
}
