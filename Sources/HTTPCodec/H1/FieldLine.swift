/// What reading one line of a field section found.
enum LineOutcome {
  /// A field line; the field is in the table and the position behind its line feed.
  case field
  /// The empty line; the position is behind it.
  case end
  /// The line goes on past the bytes that are there.
  case incomplete
  case refused(ParseFault)
}

/// One line of a field section: `name ":" OWS value OWS CRLF`.
///
/// Source: RFC 9112 section 5. A line feed alone, folding, and space before the colon are what
/// recipients disagree on, so none of what section 2.2 and 5.2 let a recipient repair is repaired.
enum FieldLine {
  /// Reads the line at `position`, whatever its kind, and moves behind it if it is whole.
  ///
  /// `field` is written only for `.field`; no byte at or behind `end` is read.
  @inline(__always)
  static func read(
    _ bytes: UnsafePointer<UInt8>,
    into field: UnsafeMutablePointer<HeadField>,
    position: inout Int,
    end: Int
  ) -> LineOutcome {
    let start = position
    guard start < end else { return .incomplete }
    // Only a byte that is no token character can end the section or make the line faulty here.
    if bytes[start] <= 0x20 { return edge(bytes, position: &position, end: end) }

    let colon = findColon(bytes, start, end)
    guard colon >= 0 else { return nameWithoutColon(bytes, start, end) }
    let length = colon &- start
    let known = KnownField.find(bytes, start: start, length: length, end: end)
    if known == .other, let fault = checkName(bytes, start, colon, end) { return .refused(fault) }

    var valueStart = colon &+ 1
    while valueStart < end, ByteClass.isBlank(bytes[valueStart]) { valueStart &+= 1 }
    let stop = endOfText(bytes, valueStart, end)
    if stop &+ 2 > end || bytes[stop] != 0x0D || bytes[stop &+ 1] != 0x0A {
      return lineEnd(bytes, stop, end)
    }
    var valueEnd = stop
    // The colon bounds the search: it is no blank.
    while ByteClass.isBlank(bytes[valueEnd &- 1]) { valueEnd &-= 1 }
    // A blank value ends where it starts, so that its length is not negative.
    if valueEnd < valueStart { valueEnd = valueStart }

    field.pointee = HeadField(
      nameStart: UInt16(truncatingIfNeeded: start),
      nameLength: UInt16(truncatingIfNeeded: length),
      valueStart: UInt16(truncatingIfNeeded: valueStart),
      valueLength: UInt16(truncatingIfNeeded: valueEnd &- valueStart),
      known: known
    )
    position = stop &+ 2
    return .field
  }

  /// The offset of the first control character other than a tab, or `end`.
  @inline(__always)
  static func endOfText(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Int {
    var position = start
    while position &+ 8 <= end {
      let hits = WordScan.controls(WordScan.load(bytes, position))
      if hits == 0 {
        position &+= 8
        continue
      }
      position &+= WordScan.index(of: hits)
      let byte = bytes[position]
      if byte != 0x09, byte < 0x20 || byte == 0x7F { return position }
      position &+= 1
    }
    while position < end {
      let byte = bytes[position]
      if byte != 0x09, byte < 0x20 || byte == 0x7F { return position }
      position &+= 1
    }
    return end
  }

  /// Whether text that stopped at `stop` was ended by CRLF (`.field`), and if not what that means.
  @inline(__always)
  static func lineEnd(_ bytes: UnsafePointer<UInt8>, _ stop: Int, _ end: Int) -> LineOutcome {
    guard stop < end else { return .incomplete }
    guard bytes[stop] == 0x0D else {
      return .refused(bytes[stop] == 0x0A ? .bareLineFeed : .malformedFieldValue)
    }
    guard stop &+ 1 < end else { return .incomplete }
    return bytes[stop &+ 1] == 0x0A ? .field : .refused(.bareCarriageReturn)
  }

  /// A line that does not start with a visible character.
  @inline(__always)
  private static func edge(
    _ bytes: UnsafePointer<UInt8>,
    position: inout Int,
    end: Int
  ) -> LineOutcome {
    switch bytes[position] {
    case 0x0D:
      guard position &+ 1 < end else { return .incomplete }
      guard bytes[position &+ 1] == 0x0A else { return .refused(.bareCarriageReturn) }
      position &+= 2
      return .end
    case 0x0A: return .refused(.bareLineFeed)
    case 0x20, 0x09: return .refused(.obsoleteFolding)
    default: return .refused(.malformedFieldName)
    }
  }

  /// The offset of the first colon, or -1; it may lie past this line, which the name's check sees.
  @inline(__always)
  private static func findColon(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ end: Int
  ) -> Int {
    var position = start
    while position &+ 8 <= end {
      let hits = WordScan.matches(WordScan.load(bytes, position), 0x3A3A_3A3A_3A3A_3A3A)
      if hits != 0 { return position &+ WordScan.index(of: hits) }
      position &+= 8
    }
    while position < end {
      if bytes[position] == 0x3A { return position }
      position &+= 1
    }
    return -1
  }

  /// The fault of a name that ends at `colon`, if it has one.
  @inline(__always)
  private static func checkName(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ colon: Int,
    _ end: Int
  ) -> ParseFault? {
    guard colon > start else { return .malformedFieldName }
    var position = start
    while position &+ 8 <= colon, WordScan.isPlain(WordScan.load(bytes, position)) {
      position &+= 8
    }
    while position < colon {
      let byte = bytes[position]
      if !ByteClass.isToken(byte) { return nameFault(byte) }
      position &+= 1
    }
    return nil
  }

  /// A line whose colon has not come: still a prefix of a name, or already faulty.
  @inline(never)
  private static func nameWithoutColon(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ end: Int
  ) -> LineOutcome {
    for position in start..<end where !ByteClass.isToken(bytes[position]) {
      return .refused(nameFault(bytes[position]))
    }
    return .incomplete
  }

  private static func nameFault(_ byte: UInt8) -> ParseFault {
    switch byte {
    case 0x20, 0x09: .spaceBeforeColon
    case 0x0A: .bareLineFeed
    default: .malformedFieldName
    }
  }
}
