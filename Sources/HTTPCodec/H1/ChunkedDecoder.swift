/// Finds the data in a chunked body (RFC 9112 section 7.1), at whatever places the bytes were cut.
///
/// ```
/// size -> extension -> sizeEnd -> data -> dataEnd -> dataFeed -> size
///                          '-> (size 0) trailers begin
/// ```
///
/// Strict: no sign, no space, no bare line feed, no number that does not fit. Extensions are
/// skipped within a bound; line ends inside them are refused, since others read them differently.
public struct ChunkedDecoder: Sendable, BitwiseCopyable {
  /// What the next bytes are.
  public enum Step: Sendable, Equatable {
    /// All bytes are used; more are needed.
    case needMore
    /// Content, as a range of the bytes given.
    case data(start: Int, count: Int)
    /// The last chunk's line is over: what follows is for `TrailerParser`.
    case trailersBegin
    case refused(ParseFault)
  }

  private enum State: UInt8, BitwiseCopyable {
    case size, extensionText, sizeFeed, data, dataReturn, dataFeed, ended
  }

  /// Digits of a size that always fit 63 bits.
  private static let maximumDigits: UInt8 = 15

  private var left: UInt64 = 0
  private var extensionLeft: UInt32
  private var state = State.size
  private var digits: UInt8 = 0

  /// - Parameter maximumExtensionBytes: Bytes of extensions in the whole body.
  public init(maximumExtensionBytes: Int) {
    extensionLeft = UInt32(clamping: maximumExtensionBytes)
  }

  /// Looks at the bytes from `offset` and moves it.
  public mutating func next(
    _ bytes: UnsafePointer<UInt8>, count: Int, offset: inout Int
  ) -> Step {
    while offset < count {
      let byte = bytes[offset]
      switch state {
      case .data:
        let start = offset
        let length = Int(min(UInt64(count &- offset), left))
        left &-= UInt64(length)
        offset &+= length
        if left == 0 { state = .dataReturn }
        return .data(start: start, count: length)
      case .size:
        if let fault = readSize(byte) { return .refused(fault) }
      case .extensionText:
        if let fault = readExtension(byte) { return .refused(fault) }
      case .sizeFeed:
        guard byte == 0x0A else { return .refused(.malformedChunkEnd) }
        digits = 0
        guard left > 0 else {
          state = .ended
          offset &+= 1
          return .trailersBegin
        }
        state = .data
      case .dataReturn:
        guard byte == 0x0D else { return .refused(.malformedChunkEnd) }
        state = .dataFeed
      case .dataFeed:
        guard byte == 0x0A else { return .refused(.malformedChunkEnd) }
        state = .size
      case .ended:
        return .trailersBegin
      }
      offset &+= 1
    }
    return .needMore
  }

  private mutating func readSize(_ byte: UInt8) -> ParseFault? {
    let value = ByteClass.hexValue(byte)
    if value < 16 {
      guard digits < Self.maximumDigits else { return .malformedChunkSize }
      left = left << 4 | UInt64(value)
      digits &+= 1
      return nil
    }
    guard digits > 0 else { return .malformedChunkSize }
    switch byte {
    case 0x0D: state = .sizeFeed
    case 0x3B: return beginExtension()
    default: return .malformedChunkSize
    }
    return nil
  }

  private mutating func beginExtension() -> ParseFault? {
    guard extensionLeft > 0 else { return .chunkExtensionTooLong }
    extensionLeft &-= 1
    state = .extensionText
    return nil
  }

  private mutating func readExtension(_ byte: UInt8) -> ParseFault? {
    if byte == 0x0D {
      state = .sizeFeed
      return nil
    }
    guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else { return .malformedChunkExtension }
    guard extensionLeft > 0 else { return .chunkExtensionTooLong }
    extensionLeft &-= 1
    return nil
  }
}
