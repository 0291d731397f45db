/// Reads the head of an HTTP/1 response.
///
/// As strict as `RequestParser`: an upstream that can be made to send two readings of one response
/// poisons the pool for everybody. Differences: no empty line may come first, and a status line may
/// end right behind its code, which many servers send and nobody can misread.
public enum ResponseParser {
  /// Parses the response head at the start of `bytes`.
  ///
  /// It begins at the first byte each time, so a caller should come back only when new bytes hold
  /// a line feed.
  ///
  /// - Parameters:
  ///   - bytes: The received bytes; more than the head may be there.
  ///   - count: How many.
  ///   - method: The method of the request that this answers.
  ///   - limits: Bounds for this head; the one for targets does not apply.
  ///   - fields: Room for `limits.maximumFields` fields. Entries up to `head.fieldCount` are set
  ///     after `.complete`.
  ///   - head: Overwritten.
  /// - Returns: `.complete` with `head` and `fields` filled, or why not.
  public static func parse(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    request method: Method,
    limits: HeadLimits,
    fields: UnsafeMutablePointer<HeadField>,
    into head: inout ResponseHead
  ) -> ParseOutcome {
    let end = min(count, limits.maximumBytes)
    let isFull = count >= limits.maximumBytes
    head = ResponseHead()
    var position = 0
    switch StatusLine.read(bytes, position: &position, end: end, into: &head) {
    case .line: break
    case .incomplete: return isFull ? .refused(.headTooLarge) : .incomplete
    case .refused(let fault): return .refused(fault)
    }
    head.fieldsStart = UInt16(truncatingIfNeeded: position)

    var framing = Framing()
    var options = ConnectionOptions()
    var fieldCount = 0
    while true {
      if fieldCount == limits.maximumFields, position < end, bytes[position] != 0x0D {
        return .refused(.tooManyFields)
      }
      let field = fields + fieldCount
      switch FieldLine.read(bytes, into: field, position: &position, end: end) {
      case .field:
        fieldCount &+= 1
        var fault: ParseFault?
        switch field.pointee.known {
        case .contentLength: fault = framing.addContentLength(bytes, field.pointee)
        case .transferEncoding:
          fault = framing.addTransferEncoding(
            bytes,
            field.pointee,
            minorVersion: head.minorVersion
          )
        case .connection: fault = options.add(bytes, field.pointee, isRequest: false)
        default: break
        }
        if let fault { return .refused(fault) }
      case .end:
        head.headLength = UInt16(truncatingIfNeeded: position)
        head.fieldCount = UInt16(truncatingIfNeeded: fieldCount)
        head.connectionNamesOthers = options.others > 0
        head.keepsAlive = options.keepsAlive(minorVersion: head.minorVersion)
        conclude(framing, method, &head)
        return .complete
      case .incomplete: return isFull ? .refused(.headTooLarge) : .incomplete
      case .refused(let fault): return .refused(fault)
      }
    }
  }

  /// Finds how the body ends (RFC 9112 section 6.3, in its order).
  @inline(__always)
  private static func conclude(
    _ framing: Framing,
    _ method: Method,
    _ head: inout ResponseHead
  ) {
    head.contentLength = framing.contentLength
    let status = head.status
    if status == 101 || (method == .connect && status / 100 == 2) {
      head.isUpgrade = true
      head.keepsAlive = false
      return
    }
    if status < 200 || status == 204 {
      // Neither may announce a body (RFC 9110 sections 8.6 and 15.3.5). We expect none, but bytes
      // of one would be taken for the next response, so the connection is not used again.
      if framing.isChunked || framing.contentLength > 0 { head.keepsAlive = false }
      return
    }
    if status == 304 || method == .head { return }
    if framing.isChunked {
      head.framing = .chunked
    } else if framing.contentLength >= 0 {
      head.framing = framing.contentLength == 0 ? .none : .length
    } else {
      head.framing = .untilClose
      head.keepsAlive = false
    }
  }
}

/// `HTTP-version SP status-code [ SP [ reason-phrase ] ] CRLF`.
///
/// Source: RFC 9112 section 4. Codes from 600 up have no meaning that a recipient could act on
/// (RFC 9110 section 15) and are refused with those below 100.
private enum StatusLine {
  @inline(__always)
  static func read(
    _ bytes: UnsafePointer<UInt8>,
    position: inout Int,
    end: Int,
    into head: inout ResponseHead
  ) -> StartLineOutcome {
    switch HTTPVersion.read(bytes, &position, end, minorVersion: &head.minorVersion) {
    case .line: break
    case let other: return other
    }
    guard position < end else { return .incomplete }
    guard bytes[position] == 0x20 else { return .refused(.malformedStatusLine) }
    var status: UInt16 = 0
    for index in 1...3 {
      guard position &+ index < end else { return .incomplete }
      let digit = bytes[position &+ index] &- 0x30
      guard digit < 10, index > 1 || (1...5).contains(digit) else {
        return .refused(.malformedStatusLine)
      }
      status = status &* 10 &+ UInt16(digit)
    }
    head.status = status
    position &+= 4
    guard position < end else { return .incomplete }
    switch bytes[position] {
    case 0x20: position &+= 1
    case 0x0D: break
    case 0x0A: return .refused(.bareLineFeed)
    default: return .refused(.malformedStatusLine)
    }
    let stop = FieldLine.endOfText(bytes, position, end)
    switch FieldLine.lineEnd(bytes, stop, end) {
    case .field: break
    case .refused(let fault): return .refused(fault)
    default: return .incomplete
    }
    head.reasonStart = UInt16(truncatingIfNeeded: position)
    head.reasonLength = UInt16(truncatingIfNeeded: stop &- position)
    position = stop &+ 2
    return .line
  }
}
