/// Makes a trailer section of the fields of one HEADERS frame, or says why there is none.
///
/// Source: RFC 9113 section 8.1; what RFC 9110 section 6.5.1 keeps out of trailers is refused as
/// in HTTP/1.1.
struct H2TrailerBuilder: BitwiseCopyable {
  var block: H2FieldBlock
  /// The first fault; fields behind it are only counted.
  private(set) var fault: H2HeadFault?
  /// Fields that came behind a fault.
  private(set) var dropped = 0

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
      if nameLength > 0, name[0] == UInt8(ascii: ":") { throw .forbiddenTrailer }
      try block.admitField(limits)
      let index = try block.add(
        name,
        nameLength,
        value,
        valueLength,
        isSensitive: isSensitive,
        joinsCookies: false
      )
      let known = block.fields[index].known
      if TrailerParser.isForbidden(known) { throw .forbiddenTrailer }
    } catch {
      fault = error
    }
  }

  /// Ends the section.
  mutating func finish(endsStream: Bool) throws(H2HeadFault) -> H2Trailers {
    if let fault { throw fault }
    guard endsStream else { throw .misplacedEnd }
    block.write("\r\n")
    var whole = H2Trailers(
      bytes: UnsafePointer(block.bytes + block.start),
      fields: UnsafePointer(block.fields)
    )
    whole.section.fieldCount = UInt16(truncatingIfNeeded: block.fieldCount)
    whole.section.length = UInt16(truncatingIfNeeded: block.count &- block.start)
    return whole
  }
}
