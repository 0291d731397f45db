internal import COpenSSL

/// Who the other side is, from its certificate, which has been verified.
public struct PeerIdentity: Equatable, Sendable {
  /// The subject as RFC 2253 writes it, `CN=partner,O=Example`.
  public let subject: String
  /// The issuer in the same form.
  public let issuer: String
  /// Alternative names: DNS, URI (SPIFFE among them), email and IP addresses.
  ///
  /// Entries with control
  /// characters or outside of ASCII are left out, as no rule can compare them safely.
  public let dnsNames: [String]
  public let uris: [String]
  public let emails: [String]
  public let addresses: [String]
  /// SHA-256 of the certificate in 64 hexadecimal digits.
  public let fingerprint: String
  /// The serial number in upper-case hexadecimal digits.
  public let serial: String
  /// The last second of validity, since 1970.
  ///
  /// A session may outlive it: compare it when it matters.
  public let notAfter: Int64

  init(of handle: OpaquePointer) {
    let names = AlternativeNames(of: handle)
    subject = Self.name(X509_get_subject_name(handle))
    issuer = Self.name(X509_get_issuer_name(handle))
    dnsNames = names.dns
    uris = names.uris
    emails = names.emails
    addresses = names.addresses
    var digest = [UInt8](repeating: 0, count: 32)
    let isDigested = copenssl_certificate_digest(handle, &digest) == 1
    fingerprint = isDigested ? Self.hex(digest) : ""
    serial = Self.serial(X509_get0_serialNumber(handle))
    notAfter = copenssl_seconds(X509_get0_notAfter(handle))
    copenssl_clear_errors()
  }

  private static func name(_ name: OpaquePointer?) -> String {
    guard let name, let bio = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free(bio) }
    // RFC 2253 escapes what has a meaning, control characters and bytes outside of ASCII, so the
    // text can be compared and logged.
    guard copenssl_print_name(bio, name) >= 0 else { return "" }
    var text: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 256)
    while case let count = BIO_read(bio, &block, Int32(block.count)), count > 0 {
      text += block[..<Int(count)]
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func serial(_ number: UnsafePointer<ASN1_INTEGER>?) -> String {
    guard let number, let big = ASN1_INTEGER_to_BN(number, nil) else { return "" }
    defer { BN_free(big) }
    guard let text = BN_bn2hex(big) else { return "" }
    defer { CRYPTO_free(text, #fileID, 0) }
    return String(cString: text)
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }
}
