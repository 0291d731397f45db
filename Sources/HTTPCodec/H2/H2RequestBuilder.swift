/// Makes a request head of the fields of one HEADERS frame, or says why there is none.
///
/// ```
/// pseudo --regular field--> regular --finish--> head
///    |                         |
///    '------ fault ------------'--> faulty: the rest is counted and dropped
/// ```
///
/// Pseudo-header fields may come in any order, so their values are kept as they came and the
/// request line is written when the first regular field, or the end, shows that all are there.
/// Source: RFC 9113 section 8.3.1, RFC 8441 section 4.
struct H2RequestBuilder: BitwiseCopyable {
  /// A value kept as it came.
  private struct Kept: BitwiseCopyable {
    var start = -1
    var length = 0
    var isThere: Bool { start >= 0 }
  }

  /// What CONNECT may do.
  struct Rules: BitwiseCopyable {
    var limits: HeadLimits
    var allowsConnect: Bool
    var allowsExtendedConnect: Bool
  }

  var block: H2FieldBlock
  /// The first fault; fields behind it are only counted.
  private(set) var fault: H2HeadFault?
  /// Whether a field behind the fault, or the one that is at fault, said HEAD.
  private var saidHead = false
  /// Fields that came behind a fault.
  private(set) var dropped = 0
  private var method = Kept()
  private var scheme = Kept()
  private var authority = Kept()
  private var path = Kept()
  private var name = Kept()
  private var hasLine = false
  private var hasHost = false
  /// The field that is Host, written from `:authority` or sent.
  private var hostEntry = 0
  private var head = RequestHead()
  private var schemeKind = H2Scheme.none
  private var priority = H2Priority()

  init(block: H2FieldBlock) { self.block = block }

  /// Takes the next field.
  mutating func add(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ valueLength: Int,
    isSensitive: Bool,
    rules: Rules
  ) {
    guard fault == nil else {
      dropped &+= 1
      noteMethod(name, nameLength, value, valueLength)
      return
    }
    do throws(H2HeadFault) {
      try block.admit(nameLength, valueLength, rules.limits)
      if nameLength > 0, name[0] == UInt8(ascii: ":") {
        try keep(name, nameLength, value, valueLength)
      } else {
        if !hasLine { try writeLine(rules) }
        try block.admitField(rules.limits)
        try addRegular(name, nameLength, value, valueLength, isSensitive)
      }
    } catch {
      fault = error
      noteMethod(name, nameLength, value, valueLength)
    }
  }

  private mutating func noteMethod(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int
  ) {
    guard nameLength == 7, H2RequestBuilder.equals(name, ":method") else { return }
    if length == 4, H2RequestBuilder.equals(value, "HEAD") { saidHead = true }
  }

  /// Whether HEAD was asked for: known of an oversized request too, which is answered.
  var isHead: Bool {
    if saidHead { return true }
    guard method.isThere, method.length == 4 else { return false }
    return H2RequestBuilder.equals(block.bytes + method.start, "HEAD")
  }

  /// Ends the head.
  mutating func finish(endsStream: Bool, rules: Rules) throws(H2HeadFault) -> H2RequestHead {
    if let fault { throw fault }
    if !hasLine { try writeLine(rules) }
    if !hasHost { throw .missingAuthority }
    if head.form == .authority, head.contentLength >= 0 { throw .malformedConnect }
    if endsStream, head.contentLength > 0 { throw .disagreeingContentLength }
    // Crumbs of a cookie may have moved Host since it was read.
    head.authorityStart = block.fields[hostEntry].valueStart
    block.write("\r\n")
    head.headLength = UInt16(truncatingIfNeeded: block.count &- block.start)
    head.fieldCount = UInt16(truncatingIfNeeded: block.fieldCount)
    head.isChunked = !endsStream && head.contentLength < 0
    var whole = H2RequestHead(
      bytes: UnsafePointer(block.bytes + block.start),
      fields: UnsafePointer(block.fields)
    )
    whole.head = head
    whole.scheme = schemeKind
    whole.priority = priority
    whole.endsStream = endsStream
    if name.isThere {
      whole.protocolName = UnsafePointer(block.bytes + name.start)
      whole.protocolLength = name.length
    }
    return whole
  }

  // MARK: - Pseudo-header fields

  private mutating func keep(
    _ field: UnsafePointer<UInt8>,
    _ fieldLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int
  ) throws(H2HeadFault) {
    if hasLine { throw .latePseudoField }
    let kept = Kept(start: block.count, length: length)
    switch fieldLength {
    case 7 where H2RequestBuilder.equals(field, ":method"): try set(&method, kept)
    case 7 where H2RequestBuilder.equals(field, ":scheme"): try set(&scheme, kept)
    case 10 where H2RequestBuilder.equals(field, ":authority"): try set(&authority, kept)
    case 5 where H2RequestBuilder.equals(field, ":path"): try set(&path, kept)
    case 9 where H2RequestBuilder.equals(field, ":protocol"): try set(&name, kept)
    default: throw .unknownPseudoField
    }
    block.write(value, length)
  }

  private func set(_ place: inout Kept, _ kept: Kept) throws(H2HeadFault) {
    if place.isThere { throw .repeatedPseudoField }
    place = kept
  }

  private static func equals(_ field: UnsafePointer<UInt8>, _ text: StaticString) -> Bool {
    for index in 0..<text.utf8CodeUnitCount where field[index] != text.utf8Start[index] {
      return false
    }
    return true
  }

  // MARK: - The request line

  /// Judges the pseudo-header fields and writes `method SP target SP HTTP/1.1` and Host.
  private mutating func writeLine(_ rules: Rules) throws(H2HeadFault) {
    hasLine = true
    try readMethod(rules)
    let target = head.method == .connect && !name.isThere ? authority : path
    block.start = block.count
    block.write(block.bytes + method.start, method.length)
    block.write(UInt8(ascii: " "))
    head.targetStart = UInt16(truncatingIfNeeded: block.count &- block.start)
    head.targetLength = UInt16(truncatingIfNeeded: target.length)
    if head.form != .authority { try readPath(rules.limits) }
    block.write(block.bytes + target.start, target.length)
    block.write(" HTTP/1.1\r\n")
    head.fieldsStart = UInt16(truncatingIfNeeded: block.count &- block.start)
    if authority.isThere { try writeHost() }
  }

  private mutating func readMethod(_ rules: Rules) throws(H2HeadFault) {
    guard method.isThere else { throw .missingPseudoField }
    let length = method.length
    guard length > 0, length <= RequestLine.longestMethod else { throw .malformedMethod }
    for index in 0..<length where !ByteClass.isToken(block.bytes[method.start &+ index]) {
      throw .malformedMethod
    }
    head.methodLength = UInt16(truncatingIfNeeded: length)
    head.method =
      length <= 7
      ? Method.find(block.bytes, method.start, length, method.start &+ length) : .other
    if head.method == .connect {
      try readConnect(rules)
    } else if name.isThere {
      throw .malformedProtocol
    }
    if head.form != .authority {
      guard scheme.isThere, path.isThere else { throw .missingPseudoField }
      try readScheme()
    }
  }

  private mutating func readConnect(_ rules: Rules) throws(H2HeadFault) {
    if name.isThere {
      guard rules.allowsExtendedConnect, name.length > 0 else { throw .malformedProtocol }
      for index in 0..<name.length where !ByteClass.isToken(block.bytes[name.start &+ index]) {
        throw .malformedProtocol
      }
      guard authority.isThere else { throw .missingAuthority }
      return
    }
    guard !scheme.isThere, !path.isThere, authority.isThere else { throw .malformedConnect }
    guard rules.allowsConnect else { throw .connectNotEnabled }
    head.form = .authority
  }

  private mutating func readScheme() throws(H2HeadFault) {
    if scheme.length == 4, Token.equals(block.bytes, scheme.start, 0x7074_7468, length: 4) {
      schemeKind = .http
    } else if scheme.length == 5,
      Token.equals(block.bytes, scheme.start, 0x73_7074_7468, length: 5)
    {
      schemeKind = .https
    } else {
      throw .malformedScheme
    }
  }

  private mutating func readPath(_ limits: HeadLimits) throws(H2HeadFault) {
    let end = path.start &+ path.length
    guard path.length > 0 else { throw .malformedPath }
    var question = -1
    guard RequestLine.endOfTarget(block.bytes, path.start, end, question: &question) == end else {
      throw .malformedPath
    }
    if path.length > limits.maximumTarget { throw .pathTooLong }
    let shift = Int(head.targetStart) &- path.start
    if block.bytes[path.start] == UInt8(ascii: "/") {
      head.form = .origin
      RequestTarget.setPath(
        path.start &+ shift,
        end &+ shift,
        question < 0 ? -1 : question &+ shift,
        into: &head
      )
      return
    }
    guard path.length == 1, block.bytes[path.start] == UInt8(ascii: "*"), head.method == .options
    else { throw .malformedPath }
    head.form = .asterisk
    RequestTarget.setPath(path.start &+ shift, end &+ shift, -1, into: &head)
  }

  /// Writes Host from `:authority`.
  private mutating func writeHost() throws(H2HeadFault) {
    let parsed = Authority(block.bytes, start: authority.start, length: authority.length)
    guard parsed.isValid else { throw .malformedAuthority }
    if head.form == .authority, parsed.port < 0 { throw .malformedConnect }
    hasHost = true
    let source = UnsafePointer(block.bytes + authority.start)
    block.addLine("host", source, authority.length, .host)
    setAuthority(parsed, entry: 0)
  }

  private mutating func setAuthority(_ authority: Authority, entry: Int) {
    hostEntry = entry
    let start = Int(block.fields[entry].valueStart)
    RequestTarget.setAuthority(
      authority,
      start,
      start &+ Int(block.fields[entry].valueLength),
      into: &head
    )
  }

  // MARK: - Regular fields

  private mutating func addRegular(
    _ field: UnsafePointer<UInt8>,
    _ fieldLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    _ isSensitive: Bool
  ) throws(H2HeadFault) {
    let before = block.count
    let index = try block.add(
      field,
      fieldLength,
      value,
      length,
      isSensitive: isSensitive,
      joinsCookies: true
    )
    switch block.fields[index].known {
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade:
      throw .connectionSpecificField
    case .te:
      guard H2FieldCheck.isTrailers(value, 0, length) else { throw .malformedTE }
      head.acceptsTrailers = true
    case .contentLength:
      if head.contentLength >= 0 { throw .repeatedContentLength }
      head.contentLength = H2FieldCheck.contentLength(value, length)
      if head.contentLength < 0 { throw .malformedContentLength }
    case .host: try addHost(index, before: before)
    case .expect:
      head.expectsContinue =
        length == 12 && Token.equals(value, 0, 0x746E_6F63_2D30_3031, length: 8)
        && Token.equals(value, 8, 0x6575_6E69, length: 4)
    case .other where fieldLength == 8:
      if Token.equals(field, 0, 0x7974_6972_6F69_7270, length: 8) {
        priority = H2Priority(parsing: value, count: length)
      }
    default: break
    }
  }

  /// Judges a Host field, which is entry `index` and began at `before`.
  private mutating func addHost(_ index: Int, before: Int) throws(H2HeadFault) {
    let field = block.fields[index]
    let start = block.start &+ Int(field.valueStart)
    let parsed = Authority(block.bytes, start: start, length: Int(field.valueLength))
    guard parsed.isValid else { throw .malformedAuthority }
    guard hasHost else {
      hasHost = true
      setAuthority(parsed, entry: index)
      return
    }
    // Without `:authority` this is the second Host; with it, one may repeat what it says.
    guard authority.isThere, hostFields == 0 else { throw .repeatedHost }
    hostFields = 1
    guard agrees(parsed, start) else { throw .disagreeingHost }
    block.fieldCount = index
    block.count = before
  }

  private var hostFields = 0

  /// Whether a Host at `start` names what `:authority` named; a port left out is the scheme's own.
  private func agrees(_ host: Authority, _ start: Int) -> Bool {
    guard host.hostLength == Int(head.hostLength) else { return false }
    let named = block.bytes + (block.start &+ Int(head.authorityStart))
    guard Token.equalIgnoringCase(named, block.bytes + start, length: host.hostLength) else {
      return false
    }
    if head.port == host.port { return true }
    if head.form == .authority { return host.port < 0 }
    let usual: Int32 = schemeKind == .https ? 443 : 80
    return (head.port < 0 ? usual : head.port) == (host.port < 0 ? usual : host.port)
  }
}
