/// SHA-256 of a public key with its kind, the SPKI pin of RFC 7469 section 2.4.
public struct KeyPin: Hashable, Sendable {
  let digest: [UInt8]

  /// - Parameter digest: 32 bytes; `nil` is returned for any other number.
  public init?(digest: [UInt8]) {
    guard digest.count == 32 else { return nil }
    self.digest = digest
  }

  /// - Parameter text: 64 hexadecimal digits, or `sha256/` and base64, as other tools print it.
  public init?(_ text: String) {
    let base = text.hasPrefix("sha256/") ? Self.base64(text.dropFirst(7)) : Self.hexadecimal(text)
    guard let base else { return nil }
    self.init(digest: base)
  }

  private static func hexadecimal(_ text: String) -> [UInt8]? {
    let digits = text.compactMap(\.hexDigitValue)
    guard digits.count == 64, text.utf8.count == 64 else { return nil }
    return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }

  private static func base64(_ text: Substring) -> [UInt8]? {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    let bytes = Array(text.utf8)
    // 32 bytes are 43 digits and one for padding.
    guard bytes.count == 44, bytes[43] == 0x3D else { return nil }
    var result: [UInt8] = []
    var word: UInt32 = 0
    var bits = 0
    for byte in bytes.dropLast() {
      guard let value = alphabet.firstIndex(of: byte) else { return nil }
      word = word << 6 | UInt32(value)
      bits += 6
      if bits >= 8 {
        bits -= 8
        result.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
      }
    }
    return result
  }
}
