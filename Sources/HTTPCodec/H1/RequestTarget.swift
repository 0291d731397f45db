/// The forms of a request target besides its characters.
///
/// Source: RFC 9112 section 3.2.
enum RequestTarget {
  @inline(__always)
  static func setPath(_ start: Int, _ stop: Int, _ question: Int, into head: inout RequestHead) {
    let pathEnd = question < 0 ? stop : question
    head.pathStart = UInt16(truncatingIfNeeded: start)
    head.pathLength = UInt16(truncatingIfNeeded: pathEnd &- start)
    head.hasQuery = question >= 0
    if question >= 0 {
      head.queryStart = UInt16(truncatingIfNeeded: question &+ 1)
      head.queryLength = UInt16(truncatingIfNeeded: stop &- question &- 1)
    }
  }

  /// Reads a target that is no path: `*`, an authority for CONNECT, or an absolute URI.
  @inline(never)
  static func readOtherForm(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ stop: Int,
    _ question: Int,
    into head: inout RequestHead
  ) -> StartLineOutcome {
    if head.method == .connect {
      let authority = Authority(bytes, start: start, length: stop &- start)
      guard authority.isValid, authority.port >= 0 else { return .refused(.malformedTarget) }
      head.form = .authority
      setAuthority(authority, start, stop, into: &head)
      return .line
    }
    if bytes[start] == 0x2A, stop &- start == 1 {
      guard head.method == .options else { return .refused(.malformedTarget) }
      head.form = .asterisk
      setPath(start, stop, -1, into: &head)
      return .line
    }
    let schemeLength = schemeLength(bytes, start, stop)
    guard schemeLength > 0 else { return .refused(.malformedTarget) }
    let authorityStart = start &+ schemeLength
    var authorityEnd = authorityStart
    while authorityEnd < stop, bytes[authorityEnd] != 0x2F, authorityEnd != question {
      authorityEnd &+= 1
    }
    let length = authorityEnd &- authorityStart
    let authority = Authority(bytes, start: authorityStart, length: length)
    guard authority.isValid else { return .refused(.malformedHost) }
    head.form = .absolute
    setAuthority(authority, authorityStart, authorityEnd, into: &head)
    setPath(authorityEnd, stop, question, into: &head)
    return .line
  }

  /// The length of `http://` or `https://` at the start, or 0.
  static func schemeLength(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ stop: Int) -> Int {
    guard stop &- start >= 8 else { return 0 }
    let word = WordScan.folded(WordScan.load(bytes, start))
    if word == 0x2F2F_3A73_7074_7468 { return 8 }
    return word & 0xFF_FFFF_FFFF_FFFF == 0x2F_2F3A_7074_7468 ? 7 : 0
  }

  @inline(__always)
  static func setAuthority(
    _ authority: Authority,
    _ start: Int,
    _ stop: Int,
    into head: inout RequestHead
  ) {
    head.authorityStart = UInt16(truncatingIfNeeded: start)
    head.authorityLength = UInt16(truncatingIfNeeded: stop &- start)
    head.hostLength = UInt16(truncatingIfNeeded: authority.hostLength)
    head.port = authority.port
  }

  /// Whether a Host field at `start` names what the target named.
  ///
  /// A port that is left out means the scheme's own. For CONNECT, where the target must have a
  /// port, a Host without one agrees.
  @inline(never)
  static func agrees(
    _ head: RequestHead,
    with host: Authority,
    _ bytes: UnsafePointer<UInt8>,
    start: Int
  ) -> Bool {
    guard host.hostLength == Int(head.hostLength) else { return false }
    let named = bytes + Int(head.authorityStart)
    guard Token.equalIgnoringCase(named, bytes + start, length: host.hostLength) else {
      return false
    }
    if head.port == host.port { return true }
    if head.form == .authority { return host.port < 0 }
    let isSecure =
      schemeLength(
        bytes,
        Int(head.targetStart),
        Int(head.targetStart) + Int(head.targetLength)
      ) == 8
    let usual: Int32 = isSecure ? 443 : 80
    return (head.port < 0 ? usual : head.port) == (host.port < 0 ? usual : host.port)
  }
}
