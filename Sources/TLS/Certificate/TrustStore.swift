internal import COpenSSL
internal import Glibc

/// Authorities that are believed, parsed once and shared by any number of contexts.
public final class TrustStore: @unchecked Sendable {
  /// Where systems keep all authorities in one file.
  ///
  /// A folder with a file for each would be read
  /// while a handshake waits, on the worker's thread.
  private static let systemBundles = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
  ]

  /// The file the authorities came from.
  public let file: String
  /// The file's content, for noticing changes.
  public let watch: CertificateWatch
  let handle: OpaquePointer
  let authorities: [Certificate]
  let digest: [UInt8]

  /// Loads a bundle in PEM form.
  public convenience init(file: String) throws(TLSLoadError) {
    var reading = FileReading()
    try self.init(file: file, &reading)
  }

  init(file: String, _ reading: inout FileReading) throws(TLSLoadError) {
    self.file = file
    var own = FileReading()
    let bytes = try own.read(file)
    _ = try reading.read(file)
    authorities = try Certificate.all(in: bytes, most: Certificate.mostInFile)
    digest = bytes.digest
    watch = CertificateWatch(own)
    guard let store = X509_STORE_new() else { throw TLSLoadError(file, .library("out of memory")) }
    handle = store
    for authority in authorities { X509_STORE_add_cert(store, authority.handle) }
    copenssl_clear_errors()
  }

  deinit { X509_STORE_free(handle) }

  /// Loads the system's authorities: the file that `SSL_CERT_FILE` names, or the first that is
  /// found where systems have it.
  public static func system() throws(TLSLoadError) -> TrustStore {
    if let named = getenv("SSL_CERT_FILE") { return try TrustStore(file: String(cString: named)) }
    let found = systemBundles.first { access($0, R_OK) == 0 }
    return try TrustStore(file: found ?? systemBundles[0])
  }
}
