/// What reading a request line found.
enum StartLineOutcome {
  /// The line is whole; the position is behind it.
  case line
  case incomplete
  case refused(ParseFault)
}

/// `method SP request-target SP HTTP-version CRLF`, with exactly one space each.
///
/// Source: RFC 9112 section 3. Section 3 lets a recipient split at any whitespace; that is how
/// requests get smuggled, so nothing but the exact form is taken.
enum RequestLine {
  /// The longest method that is read: far beyond every registered one (17 bytes).
  static let longestMethod = 32

  @inline(__always)
  static func read(
    _ bytes: UnsafePointer<UInt8>,
    position: inout Int,
    end: Int,
    maximumTarget: Int,
    into head: inout RequestHead
  ) -> StartLineOutcome {
    switch readMethod(bytes, position: &position, end: end, into: &head) {
    case .line: break
    case let other: return other
    }
    let target = position
    var question = -1
    let stop = endOfTarget(bytes, target, end, question: &question)
    if stop &- target > maximumTarget { return .refused(.targetTooLong) }
    guard stop < end else { return .incomplete }
    guard bytes[stop] == 0x20, stop > target else { return .refused(targetFault(bytes[stop])) }
    head.targetStart = UInt16(truncatingIfNeeded: target)
    head.targetLength = UInt16(truncatingIfNeeded: stop &- target)

    position = stop &+ 1
    switch HTTPVersion.read(bytes, &position, end, minorVersion: &head.minorVersion) {
    case .line: break
    case let other: return other
    }
    switch HTTPVersion.readLineEnd(bytes, &position, end) {
    case .line: break
    case let other: return other
    }
    // Only now, so that a whole line of another version is answered with 505.
    if bytes[target] == 0x2F, head.method != .connect {
      head.form = .origin
      RequestTarget.setPath(target, stop, question, into: &head)
      return .line
    }
    return RequestTarget.readOtherForm(bytes, target, stop, question, into: &head)
  }

  @inline(__always)
  private static func readMethod(
    _ bytes: UnsafePointer<UInt8>,
    position: inout Int,
    end: Int,
    into head: inout RequestHead
  ) -> StartLineOutcome {
    let start = position
    head.methodStart = UInt16(truncatingIfNeeded: start)
    if start &+ 8 <= end {
      let word = WordScan.load(bytes, start)
      if word & 0xFFFF_FFFF == 0x2054_4547 {
        head.method = .get
        head.methodLength = 3
        position = start &+ 4
        return .line
      }
      if word & 0xFF_FFFF_FFFF == 0x20_5453_4F50 {
        head.method = .post
        head.methodLength = 4
        position = start &+ 5
        return .line
      }
    }
    var stop = start
    while stop < end, ByteClass.isToken(bytes[stop]) { stop &+= 1 }
    if stop &- start > longestMethod { return .refused(.methodTooLong) }
    guard stop < end else { return .incomplete }
    guard bytes[stop] == 0x20, stop > start else {
      return .refused(bytes[stop] == 0x0A ? .bareLineFeed : .malformedMethod)
    }
    let length = stop &- start
    head.method = length <= 7 ? Method.find(bytes, start, length, end) : .other
    head.methodLength = UInt16(truncatingIfNeeded: length)
    position = stop &+ 1
    return .line
  }

  /// The offset of the first byte that cannot be in a target, or `end`.
  ///
  /// Visible ASCII but `#`: a fragment is for the client only, and a recipient that cuts it off
  /// sees another target than one that does not.
  @inline(__always)
  static func endOfTarget(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ end: Int,
    question: inout Int
  ) -> Int {
    var position = start
    while position &+ 8 <= end {
      let word = WordScan.load(bytes, position)
      var hits = WordScan.invisible(word) | WordScan.matches(word, 0x2323_2323_2323_2323)
      if question < 0 { hits |= WordScan.matches(word, 0x3F3F_3F3F_3F3F_3F3F) }
      if hits == 0 {
        position &+= 8
        continue
      }
      position &+= WordScan.index(of: hits)
      if isTargetEnd(bytes[position]) { return position }
      if question < 0, bytes[position] == 0x3F { question = position }
      position &+= 1
    }
    while position < end {
      if isTargetEnd(bytes[position]) { return position }
      if question < 0, bytes[position] == 0x3F { question = position }
      position &+= 1
    }
    return end
  }

  @inline(__always)
  private static func isTargetEnd(_ byte: UInt8) -> Bool {
    byte <= 0x20 || byte >= 0x7F || byte == 0x23
  }

  private static func targetFault(_ byte: UInt8) -> ParseFault {
    switch byte {
    case 0x0A: .bareLineFeed
    // The line ends behind the target, as in HTTP/0.9.
    case 0x0D: .malformedVersion
    default: .malformedTarget
    }
  }
}

extension Method {
  /// Finds the method of at most 7 bytes.
  static func find(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ length: Int,
    _ end: Int
  ) -> Method {
    switch WordScan.loadShort(bytes, start, length: length, end: end) {
    case 0x0000_0000_0054_4547: .get
    case 0x0000_0000_4441_4548: .head
    case 0x0000_0000_5453_4F50: .post
    case 0x0000_0000_0054_5550: .put
    case 0x0000_4554_454C_4544: .delete
    case 0x0054_4345_4E4E_4F43: .connect
    case 0x0053_4E4F_4954_504F: .options
    case 0x0000_0045_4341_5254: .trace
    case 0x0000_0048_4354_4150: .patch
    default: .other
    }
  }
}
