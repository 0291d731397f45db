/// Makes a response head of the fields of one HEADERS frame, or says why there is none.
///
/// Source: RFC 9113 section 8.3.2.
struct H2ResponseBuilder: BitwiseCopyable {
  var block: H2FieldBlock
  /// The first fault; fields behind it are only counted.
  private(set) var fault: H2HeadFault?
  /// Fields that came behind a fault.
  private(set) var dropped = 0
  private var head = ResponseHead()

  init(block: H2FieldBlock) { self.block = block }

  /// Takes the next field.
  mutating func add(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ valueLength: Int,
    isSensitive: Bool,
    limits: HeadLimits
  ) {
    guard fault == nil else {
      dropped &+= 1
      return
    }
    do throws(H2HeadFault) {
      try block.admit(nameLength, valueLength, limits)
      if nameLength > 0, name[0] == UInt8(ascii: ":") {
        try readStatus(name, nameLength, value, valueLength)
      } else {
        if head.status == 0 { throw .missingPseudoField }
        try block.admitField(limits)
        try addRegular(name, nameLength, value, valueLength, isSensitive)
      }
    } catch {
      fault = error
    }
  }

  /// Ends the head of a response to a request with `method`.
  mutating func finish(
    endsStream: Bool,
    to method: Method
  ) throws(H2HeadFault) -> H2ResponseHead {
    if let fault { throw fault }
    if head.status == 0 { throw .missingPseudoField }
    if head.isInterim {
      if endsStream { throw .misplacedEnd }
      // RFC 9110 section 8.6: a 1xx has no Content-Length.
      if head.contentLength >= 0 { throw .disagreeingContentLength }
    }
    block.write("\r\n")
    head.headLength = UInt16(truncatingIfNeeded: block.count &- block.start)
    head.fieldCount = UInt16(truncatingIfNeeded: block.fieldCount)
    try setFraming(endsStream, method)
    var whole = H2ResponseHead(
      bytes: UnsafePointer(block.bytes + block.start),
      fields: UnsafePointer(block.fields)
    )
    whole.head = head
    whole.endsStream = endsStream
    return whole
  }

  private mutating func setFraming(_ endsStream: Bool, _ method: Method) throws(H2HeadFault) {
    let isSuccess = (200...299).contains(head.status)
    if method == .connect, isSuccess {
      head.isUpgrade = true
      return
    }
    let isBodyless =
      head.isInterim || method == .head || head.status == 204 || head.status == 304
    if isBodyless || endsStream {
      if endsStream, !isBodyless, head.contentLength > 0 { throw .disagreeingContentLength }
      return
    }
    head.framing = head.contentLength < 0 ? .chunked : head.contentLength > 0 ? .length : .none
  }

  private mutating func readStatus(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int
  ) throws(H2HeadFault) {
    guard nameLength == 7, Token.equals(name, 1, 0x7375_7461_7473, length: 6),
      H2FieldCheck.name(name, 1, 6, .other) == nil
    else { throw .unknownPseudoField }
    if head.status != 0 { throw block.fieldCount > 0 ? .latePseudoField : .repeatedPseudoField }
    guard length == 3, value[0] &- 0x31 < 5, ByteClass.isDigit(value[1]),
      ByteClass.isDigit(value[2])
    else { throw .malformedStatus }
    let status =
      UInt16(value[0] &- 0x30) &* 100 &+ UInt16(value[1] &- 0x30) &* 10
      &+ UInt16(value[2] &- 0x30)
    if status == 101 { throw .malformedStatus }
    head.status = status
    block.write("HTTP/1.1 ")
    block.write(value, 3)
    block.write(" \r\n")
    head.reasonStart = 13
    head.fieldsStart = 15
  }

  private mutating func addRegular(
    _ field: UnsafePointer<UInt8>,
    _ fieldLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    _ isSensitive: Bool
  ) throws(H2HeadFault) {
    let index = try block.add(
      field,
      fieldLength,
      value,
      length,
      isSensitive: isSensitive,
      joinsCookies: false
    )
    switch block.fields[index].known {
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade:
      throw .connectionSpecificField
    case .te:
      guard H2FieldCheck.isTrailers(value, 0, length) else { throw .malformedTE }
    case .contentLength:
      if head.contentLength >= 0 { throw .repeatedContentLength }
      head.contentLength = H2FieldCheck.contentLength(value, length)
      if head.contentLength < 0 { throw .malformedContentLength }
    default: break
    }
  }
}
