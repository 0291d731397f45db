/// A look at a client's first bytes before OpenSSL sees them.
///
/// It tells text that begins like an HTTP method from TLS, and refuses a ClientHello that announces more
/// than the bound: OpenSSL makes room for what is announced, up to 175 KB for nine bytes received.
/// Whoever bounds handshakes can ask it when the whole ClientHello is there, before there is a
/// session. What follows the length of the first message is OpenSSL's business.
/// Source: RFC 8446 sections 4 and 5.1.
public struct HelloScan: BitwiseCopyable, Sendable {
  /// Bytes of a ClientHello that are accepted.
  ///
  /// Browsers send 0.5 to 2 KiB, a session ticket with a
  /// client's certificate in it or key shares of post-quantum groups some KiB more.
  static let maximumHello = 16_384

  private enum Place: UInt8 { case type, major, minor, lengthHigh, lengthLow, body }

  private var place = Place.type
  private var first: UInt8 = 0
  /// Bytes of the message's header that were seen.
  private var count: UInt8 = 0
  /// Bytes that are missing of the record.
  private var left: Int32 = 0
  /// The message's header: its type, and in the lower 24 bits its length.
  private var word: UInt32 = 0
  /// Bytes that are missing of the message, once its header was seen.
  private var missing: Int32 = 0

  public init() {}

  /// Whether the message's header was seen, and is acceptable.
  var isDone: Bool { count == 4 }

  /// Looks at the next bytes.
  ///
  /// - Parameters:
  ///   - bytes: What follows the bytes of the call before.
  ///   - total: How many there are.
  /// - Returns: Whether a handshake has something to do: the whole ClientHello has come, or bytes
  ///   that none begins with.
  public mutating func isReady(after bytes: UnsafePointer<UInt8>, count total: Int) -> Bool {
    var index = 0
    while index < total {
      if isDone, missing == 0 { return true }
      if isDone, place == .body {
        let part = min(left, missing, Int32(clamping: total - index))
        left -= part
        missing -= part
        index += Int(part)
        if left == 0 { place = .type }
      } else {
        if feed(bytes[index]) != nil { return true }
        index += 1
      }
    }
    return isDone && missing == 0
  }

  /// Looks at the next byte, until the message's header is over.
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
      left = Int32(byte) << 8
      place = .lengthLow
    case .lengthLow:
      left |= Int32(byte)
      place = left == 0 ? .type : .body
    case .body:
      word = word << 8 | UInt32(byte)
      count += 1
      left -= 1
      if left == 0 { place = .type }
      if isDone {
        guard word >> 24 == 1 else { return .notTLS }
        missing = Int32(word & 0xFF_FFFF)
        if missing > Int32(Self.maximumHello) { return .handshakeTooLong }
      }
    }
    return nil
  }

  private static func isLetter(_ byte: UInt8) -> Bool { byte >= 0x41 && byte <= 0x5A }
}
