/// A look at a client's first bytes before OpenSSL sees them.
///
/// It tells text that begins like an HTTP method from TLS, and refuses a ClientHello that announces more
/// than the bound: OpenSSL makes room for what is announced, up to 175 KB for nine bytes received.
/// What follows the length of the first message is OpenSSL's business.
/// Source: RFC 8446 sections 4 and 5.1.
struct HelloScan: BitwiseCopyable {
  /// Bytes of a ClientHello that are accepted.
  ///
  /// Browsers send 0.5 to 2 KiB, a session ticket with a
  /// client's certificate in it or key shares of post-quantum groups some KiB more.
  static let maximumHello = 16_384

  private enum Place: UInt8 { case type, major, minor, lengthHigh, lengthLow, body }

  /// Whether the scan is over.
  private(set) var isDone = false
  private var place = Place.type
  private var left = 0
  private var word: UInt32 = 0
  private var count = 0
  private var first: UInt8 = 0

  /// Looks at the next byte.
  ///
  /// - Returns: The fault that it shows, if any; nothing may be scanned after that.
  mutating func feed(_ byte: UInt8) -> TLSFault? {
    switch place {
    case .type:
      first = byte
      // Whether a letter begins a method is known after the next one.
      guard byte == 22 || Self.isLetter(byte) else { return .notTLS }
      place = .major
    case .major:
      guard first == 22 else { return Self.isLetter(byte) ? .plainHTTP : .notTLS }
      guard byte == 3 else { return .notTLS }
      place = .minor
    case .minor: place = .lengthHigh
    case .lengthHigh:
      left = Int(byte) << 8
      place = .lengthLow
    case .lengthLow:
      left |= Int(byte)
      place = left == 0 ? .type : .body
    case .body:
      word = word << 8 | UInt32(byte)
      count += 1
      left -= 1
      if left == 0 { place = .type }
      if count == 4 {
        isDone = true
        guard word >> 24 == 1 else { return .notTLS }
        if word & 0xFF_FFFF > UInt32(Self.maximumHello) { return .handshakeTooLong }
      }
    }
    return nil
  }

  private static func isLetter(_ byte: UInt8) -> Bool { byte >= 0x41 && byte <= 0x5A }
}
