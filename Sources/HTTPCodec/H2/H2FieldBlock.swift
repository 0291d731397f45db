/// A field section while its fields arrive, laid out as HTTP/1.1 would send it.
///
/// That layout is what every stage behind the codec works on: one form of head, whatever protocol
/// carried it, and runs of fields that can be copied at once. Lines are `name: value CRLF`.
struct H2FieldBlock: BitwiseCopyable {
  /// Room that the bytes must have: the pseudo-header fields as they came, then the section.
  ///
  /// Each part is within the bound of the list (section 6.5.2 counts 32 more for each field than
  /// its bytes, which covers what the layout adds), and 256 bytes are for what stands around them.
  static let room = 2 * HeadLimits.largestHead + 256

  var bytes: UnsafeMutablePointer<UInt8>
  var fields: UnsafeMutablePointer<HeadField>
  /// Bytes written, from `bytes`.
  var count = 0
  /// Where the section begins; offsets in the table count from here.
  var start = 0
  /// Entries in the table.
  var fieldCount = 0
  /// Fields that arrived, every crumb of a cookie counted.
  var arrived = 0
  /// The size of the list as RFC 9113 section 6.5.2 counts it.
  var listBytes = 0
  private var cookie = -1

  init(bytes: UnsafeMutablePointer<UInt8>, fields: UnsafeMutablePointer<HeadField>) {
    self.bytes = bytes
    self.fields = fields
  }

  /// Counts a line against the bound in bytes, before anything of it is kept.
  mutating func admit(
    _ nameLength: Int,
    _ valueLength: Int,
    _ limits: HeadLimits
  ) throws(H2HeadFault) {
    // Both lengths are below 2^17, and counting stops at the first fault.
    listBytes &+= nameLength &+ valueLength &+ 32
    if listBytes > limits.maximumBytes { throw .headTooLarge }
  }

  /// Counts a regular field against the bound in fields.
  mutating func admitField(_ limits: HeadLimits) throws(H2HeadFault) {
    arrived &+= 1
    if arrived > limits.maximumFields { throw .tooManyFields }
  }

  /// Copies bytes to the end.
  mutating func write(_ source: UnsafePointer<UInt8>, _ length: Int) {
    (bytes + count).update(from: source, count: length)
    count &+= length
  }

  mutating func write(_ text: StaticString) { write(text.utf8Start, text.utf8CodeUnitCount) }

  mutating func write(_ byte: UInt8) {
    bytes[count] = byte
    count &+= 1
  }

  /// Adds a field line that is known to be right.
  mutating func addLine(
    _ name: StaticString,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    _ known: KnownField
  ) {
    arrived &+= 1
    let nameStart = count
    write(name)
    write(": ")
    let valueStart = count
    write(value, length)
    write("\r\n")
    enter(nameStart, name.utf8CodeUnitCount, valueStart, length, known, isSensitive: false)
  }

  /// Checks and adds a regular field.
  ///
  /// - Returns: The entry it got. Crumbs of a cookie share one.
  mutating func add(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ valueLength: Int,
    isSensitive: Bool,
    joinsCookies: Bool
  ) throws(H2HeadFault) -> Int {
    guard nameLength > 0 else { throw .malformedFieldName }
    let nameStart = count
    write(name, nameLength)
    // The room behind the section lets eight bytes be read whatever the length.
    let known = KnownField.find(bytes, start: nameStart, length: nameLength, end: count &+ 8)
    if let fault = H2FieldCheck.name(bytes, nameStart, nameLength, known) { throw fault }
    write(": ")
    let valueStart = count
    write(value, valueLength)
    if let fault = H2FieldCheck.value(bytes, valueStart, valueLength) { throw fault }
    if known == .cookie, joinsCookies {
      if cookie >= 0 {
        count = nameStart
        join(value, valueLength, isSensitive)
        return cookie
      }
      cookie = fieldCount
    }
    write("\r\n")
    enter(nameStart, nameLength, valueStart, valueLength, known, isSensitive: isSensitive)
    return fieldCount &- 1
  }

  private mutating func enter(
    _ nameStart: Int,
    _ nameLength: Int,
    _ valueStart: Int,
    _ valueLength: Int,
    _ known: KnownField,
    isSensitive: Bool
  ) {
    fields[fieldCount] = HeadField(
      nameStart: UInt16(truncatingIfNeeded: nameStart &- start),
      nameLength: UInt16(truncatingIfNeeded: nameLength),
      valueStart: UInt16(truncatingIfNeeded: valueStart &- start),
      valueLength: UInt16(truncatingIfNeeded: valueLength),
      known: known,
      isSensitive: isSensitive
    )
    fieldCount &+= 1
  }

  /// Appends a crumb to the cookie that is there (RFC 9113 section 8.2.3).
  ///
  /// Lines that follow move up; the bounds on fields and bytes keep a hundred crumbs at a hundred
  /// moves of 16 KiB.
  private mutating func join(
    _ crumb: UnsafePointer<UInt8>,
    _ length: Int,
    _ isSensitive: Bool
  ) {
    let end = start &+ Int(fields[cookie].valueStart) &+ Int(fields[cookie].valueLength)
    let gap = length &+ 2
    (bytes + (end &+ gap)).update(from: bytes + end, count: count &- end)
    bytes[end] = UInt8(ascii: ";")
    bytes[end &+ 1] = UInt8(ascii: " ")
    (bytes + (end &+ 2)).update(from: crumb, count: length)
    count &+= gap
    fields[cookie].valueLength &+= UInt16(truncatingIfNeeded: gap)
    if isSensitive { fields[cookie].isSensitive = true }
    for index in cookie &+ 1..<fieldCount {
      fields[index].nameStart &+= UInt16(truncatingIfNeeded: gap)
      fields[index].valueStart &+= UInt16(truncatingIfNeeded: gap)
    }
  }
}
