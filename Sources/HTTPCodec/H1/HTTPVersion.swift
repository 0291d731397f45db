/// The version in a start line: `HTTP/1.0` or `HTTP/1.1`, in capitals.
///
/// Other minor versions are refused although RFC 9110 section 2.5 would take 1.2 for 1.1: none
/// exists, so whoever sends one is not a client. Source: RFC 9112 section 2.3.
enum HTTPVersion {
  /// Reads eight bytes of version and moves behind them.
  @inline(__always)
  static func read(
    _ bytes: UnsafePointer<UInt8>,
    _ position: inout Int,
    _ end: Int,
    minorVersion: inout UInt8
  ) -> StartLineOutcome {
    if position &+ 8 <= end {
      let word = WordScan.load(bytes, position)
      // The two differ in the lowest bit of the last byte.
      if word & ~(1 &<< 56) == 0x302E_312F_5054_5448 {
        minorVersion = UInt8(truncatingIfNeeded: word &>> 56) & 1
        position &+= 8
        return .line
      }
    }
    return fault(bytes, position, end)
  }

  /// Reads the CRLF at the end of a start line and moves behind it.
  @inline(__always)
  static func readLineEnd(
    _ bytes: UnsafePointer<UInt8>,
    _ position: inout Int,
    _ end: Int
  ) -> StartLineOutcome {
    guard position < end else { return .incomplete }
    guard bytes[position] == 0x0D else {
      return .refused(bytes[position] == 0x0A ? .bareLineFeed : .malformedVersion)
    }
    guard position &+ 1 < end else { return .incomplete }
    guard bytes[position &+ 1] == 0x0A else { return .refused(.bareCarriageReturn) }
    position &+= 2
    return .line
  }

  /// Bytes that are not a whole version of ours: a prefix of one, or faulty.
  @inline(never)
  private static func fault(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ end: Int
  ) -> StartLineOutcome {
    let letters: UInt64 = 0x2F_5054_5448
    for index in 0..<8 {
      guard start &+ index < end else { return .incomplete }
      let byte = bytes[start &+ index]
      let isRight =
        switch index {
        case 5, 7: ByteClass.isDigit(byte)
        case 6: byte == 0x2E
        default: byte == UInt8(truncatingIfNeeded: letters &>> UInt64(index &* 8))
        }
      guard isRight else { return .refused(byte == 0x0A ? .bareLineFeed : .malformedVersion) }
    }
    let major = bytes[start &+ 5] &- 0x30
    return .refused(major >= 2 ? .unsupportedVersion : .malformedVersion)
  }
}
