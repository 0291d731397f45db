internal import COpenSSL

/// The names in a certificate (RFC 5280 section 4.2.1.6).
struct AlternativeNames {
  var dns: [String] = []
  var uris: [String] = []
  var emails: [String] = []
  var addresses: [String] = []

  /// Names per certificate that are looked at.
  static let maximumCount = 1_000

  init(of certificate: OpaquePointer) {
    guard let names = copenssl_alternative_names(certificate) else {
      copenssl_clear_errors()
      return
    }
    defer { copenssl_free_names(names) }
    for index in 0..<min(copenssl_name_count(names), Int32(Self.maximumCount)) {
      var start: UnsafePointer<UInt8>?
      var count: Int32 = 0
      let kind = copenssl_name_at(names, index, &start, &count)
      guard let start, count > 0 else { continue }
      let bytes = UnsafeBufferPointer(start: start, count: Int(count))
      // A control character has no place in a name; NUL has been used to forge one.
      let isClean = bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F }
      switch Int(kind) {
      case Int(COPENSSL_NAME_ADDRESS): if let text = Self.address(bytes) { addresses.append(text) }
      case _ where !isClean: continue
      case Int(COPENSSL_NAME_DNS): dns.append(Self.text(bytes))
      case Int(COPENSSL_NAME_URI): uris.append(Self.text(bytes))
      case Int(COPENSSL_NAME_EMAIL): emails.append(Self.text(bytes))
      default: continue
      }
    }
  }

  private static func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self)
  }

  private static func address(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
    switch bytes.count {
    case 4: return bytes.map { String($0) }.joined(separator: ".")
    case 16:
      return stride(from: 0, to: 16, by: 2).map { index in
        String(UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]), radix: 16)
      }.joined(separator: ":")
    default: return nil
    }
  }
}
