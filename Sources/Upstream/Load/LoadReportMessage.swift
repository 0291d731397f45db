/// The bytes that base64 stands for, decoded where they are read (RFC 4648 sections 4 and 5).
///
/// Both alphabets, with padding or without: senders differ.
struct Base64View: BitwiseCopyable {
  private let text: UnsafePointer<UInt8>
  let count: Int

  init?(_ text: UnsafePointer<UInt8>, _ length: Int) {
    var length = max(0, length)
    var padding = 0
    while padding < 2, length > 0, text[length - 1] == UInt8(ascii: "=") {
      length -= 1
      padding += 1
    }
    // One character alone is less than a byte.
    guard length % 4 != 1, padding == 0 || (length + padding) % 4 == 0 else { return nil }
    for index in 0..<length where Self.value(text[index]) == nil { return nil }
    self.text = text
    count = length / 4 * 3 + max(0, length % 4 - 1)
  }

  /// A byte in `0..<count`.
  subscript(index: Int) -> UInt8 {
    let first = index / 3 * 4 + index % 3
    let high = UInt16(Self.value(text[first]) ?? 0)
    let low = UInt16(Self.value(text[first + 1]) ?? 0)
    // The byte begins 0, 2 or 4 bits behind the first of 6.
    let pair = high << 6 | low
    return UInt8(truncatingIfNeeded: pair >> UInt16(4 - 2 * (index % 3)))
  }

  private static func value(_ character: UInt8) -> UInt8? {
    switch character {
    case 0x41...0x5A: character - 0x41
    case 0x61...0x7A: character - 0x61 + 26
    case 0x30...0x39: character - 0x30 + 52
    case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
    case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
    default: nil
    }
  }
}

extension LoadReportReader {
  /// Reads the message itself: `OrcaLoadReport` in the encoding of protocol buffers.
  mutating func readMessage(_ bytes: Base64View) throws(LoadReportFault) {
    var message = MessageCursor(bytes, in: 0..<bytes.count)
    while let field = try message.next() {
      switch field {
      case (1, .double(let value)): try take(value, as: .cpu)
      case (2, .double(let value)): try take(value, as: .memory)
      case (3, .integer(let value)): try take(Double(value), as: .wholeRate)
      case (6, .double(let value)): try take(value, as: .rate)
      case (7, .double(let value)): try take(value, as: .errors)
      case (8, .bytes(let range)): try takeNamed(MessageCursor(bytes, in: range))
      case (9, .double(let value)): try take(value, as: .application)
      default: break
      }
    }
  }

  /// An entry of the map of named metrics: a name and a number, which may be left out where it is 0.
  private mutating func takeNamed(_ entry: MessageCursor) throws(LoadReportFault) {
    guard !metric.isNone else { return }
    var entry = entry
    var isWanted = false
    var number = 0.0
    while let field = try entry.next() {
      switch field {
      case (1, .bytes(let range)): isWanted = isMetric(entry.bytes, range)
      case (2, .double(let value)): number = value
      default: break
      }
    }
    if isWanted { try take(number, as: .named) }
  }

  private func isMetric(_ bytes: Base64View, _ range: Range<Int>) -> Bool {
    guard let name = metric.bytes, range.count == metric.count else { return false }
    for index in 0..<range.count where bytes[range.lowerBound + index] != name[index] {
      return false
    }
    return true
  }
}

/// Walks the fields of a message.
private struct MessageCursor: BitwiseCopyable {
  enum Value {
    case integer(UInt64)
    case double(Double)
    case bytes(Range<Int>)
    case word
  }

  let bytes: Base64View
  private var at: Int
  private let end: Int

  init(_ bytes: Base64View, in range: Range<Int>) {
    self.bytes = bytes
    at = range.lowerBound
    end = range.upperBound
  }

  /// The next field's number and value; `nil` at the end.
  mutating func next() throws(LoadReportFault) -> (UInt64, Value)? {
    guard at < end else { return nil }
    let key = try integer()
    switch key & 7 {
    case 0: return (key >> 3, .integer(try integer()))
    case 1: return (key >> 3, .double(Double(bitPattern: try fixed(8))))
    case 2:
      let length = try integer()
      guard length <= UInt64(end - at) else { throw .malformed }
      let start = at
      at += Int(length)
      return (key >> 3, .bytes(start..<at))
    case 5:
      _ = try fixed(4)
      return (key >> 3, .word)
    default: throw .malformed
    }
  }

  private mutating func fixed(_ length: Int) throws(LoadReportFault) -> UInt64 {
    guard end - at >= length else { throw .malformed }
    var value: UInt64 = 0
    for index in 0..<length { value |= UInt64(bytes[at + index]) << UInt64(8 * index) }
    at += length
    return value
  }

  private mutating func integer() throws(LoadReportFault) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard at < end else { throw .malformed }
      let byte = bytes[at]
      at += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw .malformed
  }
}
