/// What the Connection fields of one head say together.
///
/// Source: RFC 9110 section 7.6.1.
public struct ConnectionOptions: Sendable {
  /// How many fields Connection may name in a head besides the usual options.
  ///
  /// Each costs a search through the fields: unbounded, a 16 KiB head would cost a million
  /// comparisons.
  public static let mostOthers = 32

  var close = false
  var keepAlive = false
  var upgrade = false
  var others = 0

  /// Adds the options of one Connection field.
  ///
  /// In a request, naming Host or a framing field is a fault: it is an attack on whoever strips
  /// what Connection names. Some origins send it in responses, where it is passed over.
  @inline(__always)
  mutating func add(
    _ bytes: UnsafePointer<UInt8>,
    _ field: HeadField,
    isRequest: Bool
  ) -> ParseFault? {
    // By far the most frequent value, for a seventh of the list's cost.
    let start = Int(field.valueStart)
    if field.valueLength == 10,
      Token.equals(bytes, start, 0x696C_612D_7065_656B, length: 8),
      Token.equals(bytes, start &+ 8, 0x6576, length: 2)
    {
      keepAlive = true
      return nil
    }
    return addList(bytes, field, isRequest: isRequest)
  }

  @inline(never)
  private mutating func addList(
    _ bytes: UnsafePointer<UInt8>,
    _ field: HeadField,
    isRequest: Bool
  ) -> ParseFault? {
    let end = Int(field.valueStart) &+ Int(field.valueLength)
    var position = Int(field.valueStart)
    while position >= 0 {
      let element = ListElement(bytes, from: position, end: end)
      guard element.isWhole else { return .malformedConnection }
      position = element.next
      // Empty elements are legal in a list and bounded by the head.
      if element.length == 0 { continue }
      if element.length == 5, Token.equals(bytes, element.start, 0x65_736F_6C63, length: 5) {
        close = true
        continue
      }
      switch KnownField.find(bytes, start: element.start, length: element.length, end: end) {
      case .keepAlive: keepAlive = true
      case .upgrade: upgrade = true
      case .te: break
      case .host, .contentLength, .transferEncoding:
        if isRequest { return .malformedConnection }
      default:
        others &+= 1
        if others > Self.mostOthers { return .tooManyConnectionOptions }
      }
    }
    return nil
  }

  /// Whether the connection outlives the message as far as these options say.
  @inline(__always)
  func keepsAlive(minorVersion: UInt8) -> Bool { !close && (minorVersion == 1 || keepAlive) }

  /// Whether a Connection field of the head names `candidate`, so that it must not be forwarded.
  ///
  /// Worth calling only when `connectionNamesOthers` is set; at most `mostOthers` options are
  /// compared by length first, so a head cannot make this dear.
  ///
  /// - Parameters:
  ///   - candidate: A field of the same head.
  ///   - bytes: The head.
  ///   - fields: The head's field table.
  ///   - count: Fields in the table.
  /// - Returns: True when the field is for this connection only.
  public static func name(
    _ candidate: HeadField,
    _ bytes: UnsafePointer<UInt8>,
    fields: UnsafePointer<HeadField>,
    count: Int
  ) -> Bool {
    for index in 0..<count where fields[index].known == .connection {
      let end = Int(fields[index].valueStart) &+ Int(fields[index].valueLength)
      var position = Int(fields[index].valueStart)
      while position >= 0 {
        let element = ListElement(bytes, from: position, end: end)
        position = element.next
        guard element.length == Int(candidate.nameLength), element.length > 0 else { continue }
        let name = bytes + Int(candidate.nameStart)
        if Token.equalIgnoringCase(bytes + element.start, name, length: element.length) {
          return true
        }
      }
    }
    return false
  }
}
