/// Reads the head of an HTTP/1 request.
///
/// One pass, without allocation or copies: the result is offsets into `bytes`. The verdict depends
/// only on the bytes and the limits. Faults are reported in the order of the bytes that prove
/// them; what concerns the head as a whole (a missing Host) comes last.
///
/// At most one empty line before the request line is passed over (RFC 9112 section 2.2).
public enum RequestParser {
  /// Parses the request head at the start of `bytes`.
  ///
  /// It begins at the first byte each time, so a caller should come back only when new bytes hold
  /// a line feed; else a peer that sends single bytes makes it quadratic.
  ///
  /// - Parameters:
  ///   - bytes: The received bytes; more than the head may be there.
  ///   - count: How many.
  ///   - limits: Bounds for this head.
  ///   - fields: Room for `limits.maximumFields` fields. Entries up to `head.fieldCount` are set
  ///     after `.complete`.
  ///   - head: Overwritten.
  /// - Returns: `.complete` with `head` and `fields` filled, or why not.
  public static func parse(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    limits: HeadLimits,
    fields: UnsafeMutablePointer<HeadField>,
    into head: inout RequestHead
  ) -> ParseOutcome {
    let end = min(count, limits.maximumBytes)
    head = RequestHead()
    var position = 0
    if end >= 1, bytes[0] == 0x0D {
      guard end >= 2 else { return .incomplete }
      guard bytes[1] == 0x0A else { return .refused(.bareCarriageReturn) }
      position = 2
    }
    switch RequestLine.read(
      bytes,
      position: &position,
      end: end,
      maximumTarget: limits.maximumTarget,
      into: &head
    ) {
    case .line: break
    case .incomplete:
      return unfinished(count, limits, isInTarget: head.methodLength > 0 && head.targetLength == 0)
    case .refused(let fault): return .refused(fault)
    }
    head.fieldsStart = UInt16(truncatingIfNeeded: position)

    var facts = RequestFacts()
    var fieldCount = 0
    while true {
      if fieldCount == limits.maximumFields {
        // No room: only the empty line may follow, which needs no entry.
        guard position < end else { return unfinished(count, limits, isInTarget: false) }
        guard bytes[position] == 0x0D else { return .refused(.tooManyFields) }
      }
      let field = fields + fieldCount
      switch FieldLine.read(bytes, into: field, position: &position, end: end) {
      case .field:
        fieldCount &+= 1
        if let fault = facts.add(bytes, field.pointee, to: &head) { return .refused(fault) }
      case .end:
        head.headLength = UInt16(truncatingIfNeeded: position)
        head.fieldCount = UInt16(truncatingIfNeeded: fieldCount)
        return facts.finish(bytes, &head)
      case .incomplete: return unfinished(count, limits, isInTarget: false)
      case .refused(let fault): return .refused(fault)
      }
    }
  }

  /// More bytes are needed: refused when the bound leaves no room for them.
  private static func unfinished(
    _ count: Int,
    _ limits: HeadLimits,
    isInTarget: Bool
  ) -> ParseOutcome {
    guard count >= limits.maximumBytes else { return .incomplete }
    return .refused(isInTarget ? .targetTooLong : .headTooLarge)
  }
}

/// What the fields of a request say, gathered line by line.
private struct RequestFacts {
  private var framing = Framing()
  private var options = ConnectionOptions()
  private var hostStart = -1
  private var host = Authority()
  private var hostFieldLength = 0
  private var hasUpgrade = false

  @inline(__always)
  mutating func add(
    _ bytes: UnsafePointer<UInt8>,
    _ field: HeadField,
    to head: inout RequestHead
  ) -> ParseFault? {
    switch field.known {
    case .host:
      if hostStart >= 0 { return .repeatedHost }
      hostStart = Int(field.valueStart)
      hostFieldLength = Int(field.valueLength)
      host = Authority(bytes, start: hostStart, length: hostFieldLength)
      return host.isValid ? nil : .malformedHost
    case .contentLength: return framing.addContentLength(bytes, field)
    case .transferEncoding:
      return framing.addTransferEncoding(bytes, field, minorVersion: head.minorVersion)
    case .connection: return options.add(bytes, field, isRequest: true)
    case .upgrade: hasUpgrade = true
    case .te: head.acceptsTrailers = head.acceptsTrailers || listsTrailers(bytes, field)
    case .expect: head.expectsContinue = head.expectsContinue || isContinue(bytes, field)
    default: break
    }
    return nil
  }

  /// Draws the conclusions once all fields are known.
  @inline(__always)
  func finish(_ bytes: UnsafePointer<UInt8>, _ head: inout RequestHead) -> ParseOutcome {
    if hostStart < 0 {
      if head.minorVersion == 1 { return .refused(.missingHost) }
    } else if head.authorityLength == 0 {
      RequestTarget.setAuthority(host, hostStart, hostStart &+ hostFieldLength, into: &head)
    } else if !RequestTarget.agrees(head, with: host, bytes, start: hostStart) {
      return .refused(.disagreeingHost)
    }
    head.contentLength = framing.contentLength
    head.isChunked = framing.isChunked
    head.keepsAlive = options.keepsAlive(minorVersion: head.minorVersion)
    head.connectionNamesOthers = options.others > 0
    head.wantsUpgrade = options.upgrade && hasUpgrade && head.minorVersion == 1
    head.expectsContinue = head.expectsContinue && head.minorVersion == 1
    return .complete
  }

  private func listsTrailers(_ bytes: UnsafePointer<UInt8>, _ field: HeadField) -> Bool {
    let end = Int(field.valueStart) &+ Int(field.valueLength)
    var position = Int(field.valueStart)
    while position >= 0 {
      let element = ListElement(bytes, from: position, end: end)
      if element.isWhole, element.length == 8,
        Token.equals(bytes, element.start, 0x7372_656C_6961_7274, length: 8)
      {
        return true
      }
      position = element.nextComma(bytes, end: end)
    }
    return false
  }

  private func isContinue(_ bytes: UnsafePointer<UInt8>, _ field: HeadField) -> Bool {
    let start = Int(field.valueStart)
    return field.valueLength == 12
      && Token.equals(bytes, start, 0x746E_6F63_2D30_3031, length: 8)
      && Token.equals(bytes, start &+ 8, 0x6575_6E69, length: 4)
  }
}
