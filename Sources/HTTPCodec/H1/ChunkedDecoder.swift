/// Finds the data in a chunked body, over any cuts of its bytes.
///
/// ```
///        digits          ;              CR           LF, size > 0
/// size ---------> size --> extension ------> sizeEnd ------------> data
///   ^              |          CR                |                    | all there
///   |              +--------------------------> | LF, size = 0       v
///   +------------------ LF -- dataLineFeed <-- CR ------------- dataEnd
///                                               v
///                                             ended (trailers follow)
/// ```
///
/// A size is 1 to 16 hexadecimal digits, at most 2^63 - 1, with nothing around it; line ends are
/// CRLF. A lone line feed in an extension or behind data is the stuff of smuggling and refused.
/// Source: RFC 9112 section 7.1.
public struct ChunkedDecoder: Sendable, BitwiseCopyable {
  /// What the decoder found next.
  public enum Step: Equatable, Sendable {
    /// All bytes are used up.
    case needMore
    /// `count` bytes of data, at least 1, at offset `start`; the offset has moved behind them.
    case data(start: Int, count: Int)
    /// The last chunk's line is over; at the offset `TrailerParser` takes over.
    case trailersBegin
    /// The bytes are no chunked body; the answer stays the same from now on.
    case refused(ParseFault)
  }

  private enum State: UInt8 {
    case size, `extension`, sizeEnd, data, dataEnd, dataLineFeed, ended, refused
  }

  private var state = State.size
  private var fault = ParseFault.malformedChunkSize
  private var digits: UInt8 = 0
  private var size: UInt64 = 0
  /// Extension bytes not yet paid for by data.
  private var extensionBytes = 0
  private let maximumExtensionBytes: Int

  /// Starts at the first chunk's size.
  ///
  /// - Parameter maximumExtensionBytes: How many bytes of extensions may come beyond the number of
  ///   data bytes, at any point of the body. A bound per chunk alone would let a peer send
  ///   endless one-byte chunks with long extensions.
  public init(maximumExtensionBytes: Int) {
    precondition(maximumExtensionBytes >= 0, "unvalidated settings")
    self.maximumExtensionBytes = maximumExtensionBytes
  }

  /// Bytes of the present chunk's data that have not come yet.
  public var remainingInChunk: Int { state == .data ? Int(size) : 0 }

  /// Takes the next step through `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: Received bytes.
  ///   - count: How many.
  ///   - offset: Where to go on, in `0...count`; moved behind what was used.
  /// - Returns: What was found; call again until it is something other than data.
  public mutating func next(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    offset: inout Int
  ) -> Step {
    while true {
      switch state {
      case .ended: return .trailersBegin
      case .refused: return .refused(fault)
      case .data:
        guard offset < count else { return .needMore }
        let start = offset
        let taken = Int(min(size, UInt64(count &- offset)))
        size &-= UInt64(taken)
        offset &+= taken
        if size == 0 { state = .dataEnd }
        return .data(start: start, count: taken)
      default:
        guard offset < count else { return .needMore }
        if let fault = advance(bytes[offset]) {
          state = .refused
          self.fault = fault
          return .refused(fault)
        }
        offset &+= 1
      }
    }
  }

  /// Takes one byte outside of data.
  @inline(__always)
  private mutating func advance(_ byte: UInt8) -> ParseFault? {
    switch state {
    case .size:
      let digit = ByteClass.hexValue(byte)
      if digit < 16 {
        // 16 digits cannot overflow 64 bits; the bound to 63 is checked once they are all there.
        guard digits < 16 else { return .malformedChunkSize }
        digits &+= 1
        size = size &<< 4 | UInt64(digit)
        return size > UInt64(Int.max) ? .malformedChunkSize : nil
      }
      guard digits > 0 else { return byte == 0x0A ? .bareLineFeed : .malformedChunkSize }
      switch byte {
      case 0x0D: state = .sizeEnd
      case 0x3B:
        state = .extension
        return countExtensionByte()
      case 0x0A: return .bareLineFeed
      default: return .malformedChunkSize
      }
    case .extension:
      if byte == 0x0D {
        state = .sizeEnd
        return nil
      }
      guard byte >= 0x20 || byte == 0x09, byte < 0x7F else {
        return byte == 0x0A ? .bareLineFeed : .malformedChunkExtension
      }
      return countExtensionByte()
    case .sizeEnd:
      guard byte == 0x0A else { return .bareCarriageReturn }
      digits = 0
      state = size == 0 ? .ended : .data
      extensionBytes = max(0, extensionBytes &- Int(size))
    case .dataEnd:
      guard byte == 0x0D else { return byte == 0x0A ? .bareLineFeed : .malformedChunkEnd }
      state = .dataLineFeed
    case .dataLineFeed:
      guard byte == 0x0A else { return .bareCarriageReturn }
      state = .size
    case .data, .ended, .refused: break
    }
    return nil
  }

  @inline(__always)
  private mutating func countExtensionByte() -> ParseFault? {
    extensionBytes &+= 1
    return extensionBytes > maximumExtensionBytes ? .chunkExtensionTooLong : nil
  }
}
