/// The four forms of a request target (RFC 9112 section 3.2).
extension RequestParser {
  static func readTarget(
    _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> ParseFault? {
    if head.method == .connect { return readAuthorityForm(bytes, start, end, &head) }
    switch bytes[start] {
    case UInt8(ascii: "/"):
      return readPath(bytes, start, end, &head)
    case UInt8(ascii: "*"):
      guard end &- start == 1, head.method == .options else { return .malformedTarget }
      head.form = .asterisk
      return nil
    default:
      return readAbsoluteForm(bytes, start, end, &head)
    }
  }

  private static func readAuthorityForm(
    _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> ParseFault? {
    guard let authority = Authority.parse(bytes + start, end &- start), authority.port >= 0 else {
      return .malformedTarget
    }
    head.form = .authority
    note(authority, start, end &- start, &head)
    return nil
  }

  private static func readAbsoluteForm(
    _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> ParseFault? {
    var at = start
    if end &- start > 7, Scan.equals(bytes + start, 7, "http://") {
      at &+= 7
    } else if end &- start > 8, Scan.equals(bytes + start, 8, "https://") {
      at &+= 8
    } else {
      return .malformedTarget
    }
    let authorityStart = at
    while at < end, bytes[at] != UInt8(ascii: "/"), bytes[at] != UInt8(ascii: "?") { at &+= 1 }
    guard let authority = Authority.parse(bytes + authorityStart, at &- authorityStart) else {
      return .malformedTarget
    }
    head.form = .absolute
    note(authority, authorityStart, at &- authorityStart, &head)
    return readPath(bytes, at, end, &head)
  }

  private static func note(
    _ authority: Authority, _ start: Int, _ length: Int, _ head: inout RequestHead
  ) {
    head.authorityStart = UInt16(truncatingIfNeeded: start)
    head.authorityLength = UInt16(truncatingIfNeeded: length)
    head.hostLength = UInt16(truncatingIfNeeded: authority.hostLength)
    head.port = authority.port
  }

  /// Path and query; a fragment has no place in a request.
  private static func readPath(
    _ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> ParseFault? {
    var at = start
    while at < end, bytes[at] != UInt8(ascii: "?") {
      guard bytes[at] != UInt8(ascii: "#") else { return .malformedTarget }
      at &+= 1
    }
    head.pathStart = UInt16(truncatingIfNeeded: start)
    head.pathLength = UInt16(truncatingIfNeeded: at &- start)
    guard at < end else { return nil }
    head.hasQuery = true
    head.queryStart = UInt16(truncatingIfNeeded: at &+ 1)
    head.queryLength = UInt16(truncatingIfNeeded: end &- at &- 1)
    at &+= 1
    while at < end {
      guard bytes[at] != UInt8(ascii: "#") else { return .malformedTarget }
      at &+= 1
    }
    return nil
  }
}
