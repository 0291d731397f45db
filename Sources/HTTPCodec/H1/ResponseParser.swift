/// Reads HTTP/1.x response heads (RFC 9112), as strictly as requests: a service that is confused,
/// or an attacker behind it, must not be able to answer for somebody else.
public enum ResponseParser {
  /// Reads a head from the first `count` bytes.
  ///
  /// - Parameters:
  ///   - method: The request's method, which decides whether there is a body.
  ///   - fields: Room for `limits.maximumFields`.
  ///   - head: Filled in; meaningful only after `.complete`.
  public static func parse(
    _ bytes: UnsafePointer<UInt8>, count: Int, limits: HeadLimits, request method: Method,
    fields: UnsafeMutablePointer<HeadField>, into head: inout ResponseHead
  ) -> ParseOutcome {
    head = ResponseHead()
    let at: Int
    switch statusLine(bytes, min(count, limits.maximumBytes), &head) {
    case .incomplete:
      return count >= limits.maximumBytes ? .refused(.headTooLarge) : .incomplete
    case .refused(let fault): return .refused(fault)
    case .complete(let end): at = end
    }
    head.fieldsStart = UInt16(truncatingIfNeeded: at)
    var section = FieldSection()
    switch section.parse(bytes, count: count, from: at, limits: limits, fields: fields) {
    case .incomplete: return .incomplete
    case .refused(let fault): return .refused(fault)
    case .complete(let end): head.headLength = UInt16(truncatingIfNeeded: end)
    }
    head.fieldCount = UInt16(truncatingIfNeeded: section.count)
    if let fault = conclude(section, method, &head) { return .refused(fault) }
    return .complete
  }

  /// `HTTP/1.1 200 OK`; the reason may be missing, with its space or without.
  private static func statusLine(
    _ bytes: UnsafePointer<UInt8>, _ bound: Int, _ head: inout ResponseHead
  ) -> FieldSection.Outcome {
    let text: StaticString = "HTTP/1."
    for index in 0..<7 {
      guard index < bound else { return .incomplete }
      guard bytes[index] == text.utf8Start[index] else { return .refused(.malformedStatusLine) }
    }
    guard bound > 7 else { return .incomplete }
    guard bytes[7] == 0x30 || bytes[7] == 0x31 else { return .refused(.malformedStatusLine) }
    head.minorVersion = bytes[7] &- 0x30
    guard bound > 8 else { return .incomplete }
    guard bytes[8] == 0x20 else { return .refused(.malformedStatusLine) }
    var status: UInt16 = 0
    for index in 9..<12 {
      guard index < bound else { return .incomplete }
      guard ByteClass.isDigit(bytes[index]) else { return .refused(.malformedStatusLine) }
      status = status &* 10 &+ UInt16(bytes[index] &- 0x30)
    }
    // RFC 9110 section 15: codes outside 100...599 mean nothing that could be passed on.
    guard (100...599).contains(status) else { return .refused(.malformedStatusLine) }
    head.status = status
    guard bound > 12 else { return .incomplete }
    var at = 12
    if bytes[at] == 0x20 {
      at = 13
    } else if bytes[at] != 0x0D {
      return .refused(bytes[at] == 0x0A ? .bareLineFeed : .malformedStatusLine)
    }
    head.reasonStart = UInt16(truncatingIfNeeded: at)
    var stop = Scan.controlByte(bytes, from: at, count: bound)
    while stop < bound, bytes[stop] == 0x09 {
      stop = Scan.controlByte(bytes, from: stop &+ 1, count: bound)
    }
    guard stop < bound else { return .incomplete }
    guard bytes[stop] == 0x0D else {
      return .refused(bytes[stop] == 0x0A ? .bareLineFeed : .malformedStatusLine)
    }
    head.reasonLength = UInt16(truncatingIfNeeded: stop &- at)
    guard stop &+ 1 < bound else { return .incomplete }
    return bytes[stop &+ 1] == 0x0A ? .complete(stop &+ 2) : .refused(.bareCarriageReturn)
  }

  /// RFC 9112 section 6.3, in its order.
  private static func conclude(
    _ section: FieldSection, _ method: Method, _ head: inout ResponseHead
  ) -> ParseFault? {
    if section.hasTransferEncoding {
      guard section.contentLength < 0 else { return .conflictingFraming }
      guard head.minorVersion == 1 else { return .transferEncodingInHTTP10 }
    }
    head.contentLength = section.contentLength
    head.connectionNamesOthers = section.namesOthers
    head.isUpgrade = head.status == 101 || (method == .connect && head.status / 100 == 2)
    if head.isUpgrade || method == .head || head.status < 200 || head.status == 204
      || head.status == 304
    {
      head.framing = .none
    } else if section.hasTransferEncoding {
      head.framing = .chunked
    } else if section.contentLength >= 0 {
      head.framing = section.contentLength == 0 ? .none : .length
    } else {
      head.framing = .untilClose
    }
    head.keepsAlive =
      (head.minorVersion == 1 ? !section.closes : section.keepsAlive && !section.closes)
      && head.framing != .untilClose
    return nil
  }
}
