/// A value of a JSON text (RFC 8259), as registries say it.
///
/// Whoever wrote the text may lie in every byte, so it is read within bounds: what goes beyond them, or
/// is no JSON to the letter, is nothing at all.
public enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// A whole number that fits, `nil` for all others, which mean nothing here.
  case number(Int?)
  case string(String)
  case array([JSONValue])
  /// Members in their order; of a name that is there twice the last one counts.
  case object([Member])

  public struct Member: Sendable, Equatable {
    public var name: String
    public var value: JSONValue
  }

  /// Arrays and objects within each other; answers of registries have about ten.
  public static let maximumDepth = 32
  /// Values and names of one text: as many as 4,096 endpoints with 128 each, about 50 MiB.
  public static let maximumValues = 1 << 19

  /// Reads a whole text.
  ///
  /// - Parameter text: UTF-8, without a mark of the byte order.
  /// - Throws: What is wrong with it.
  public init(_ text: [UInt8]) throws(JSONFault) { self = try Self.read(text[...]) }

  /// The same for a part of some bytes.
  public static func read(_ text: ArraySlice<UInt8>) throws(JSONFault) -> JSONValue {
    var reader = JSONReader(text)
    return try reader.document()
  }

  /// The member of a name, `nil` where there is none, or it is `null`, or this is no object.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self,
      let value = members.last(where: { $0.name == name })?.value, value != .null
    else { return nil }
    return value
  }

  public var text: String? {
    if case .string(let text) = self { return text }
    return nil
  }

  public var number: Int? {
    if case .number(let number) = self { return number }
    return nil
  }

  public var flag: Bool? {
    if case .bool(let flag) = self { return flag }
    return nil
  }

  public var items: [JSONValue]? {
    if case .array(let items) = self { return items }
    return nil
  }

  /// A whole number in a string, as the JSON form of Protocol Buffers writes those of 64 bits, or as such.
  public var wideNumber: Int? { text.flatMap { Int($0) } ?? number }
}

/// Why a text is not read.
public enum JSONFault: Error, Sendable, Equatable {
  /// It breaks the grammar at this byte, or is no UTF-8 there.
  case malformed(at: Int)
  case tooDeep
  case tooMany

  /// What an operator is told.
  public var words: String {
    switch self {
    case .malformed(let at): "is no JSON at byte \(at)"
    case .tooDeep: "has values within each other more than \(JSONValue.maximumDepth) deep"
    case .tooMany: "has more than \(JSONValue.maximumValues) values"
    }
  }
}

/// Reads values one after the other; how deep it calls itself is bounded.
private struct JSONReader {
  private let bytes: ArraySlice<UInt8>
  private var at: Int
  private var values = 0

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    at = bytes.startIndex
  }

  mutating func document() throws(JSONFault) -> JSONValue {
    skip()
    let value = try value(depth: 0)
    skip()
    guard at == bytes.endIndex else { throw fault }
    return value
  }

  private var fault: JSONFault { .malformed(at: at - bytes.startIndex) }

  /// The next byte, 0, which no grammar has, at the end.
  private var next: UInt8 { at < bytes.endIndex ? bytes[at] : 0 }

  private mutating func skip() {
    while next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 { at += 1 }
  }

  private mutating func take(_ byte: Character) throws(JSONFault) {
    guard next == byte.asciiValue else { throw fault }
    at += 1
  }

  private mutating func count() throws(JSONFault) {
    values += 1
    guard values <= JSONValue.maximumValues else { throw .tooMany }
  }

  private mutating func value(depth: Int) throws(JSONFault) -> JSONValue {
    guard depth <= JSONValue.maximumDepth else { throw .tooDeep }
    try count()
    switch next {
    case UInt8(ascii: "{"): return try object(depth)
    case UInt8(ascii: "["): return try array(depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func object(_ depth: Int) throws(JSONFault) -> JSONValue {
    try take("{")
    var members: [JSONValue.Member] = []
    skip()
    if next == UInt8(ascii: "}") {
      at += 1
      return .object(members)
    }
    while true {
      skip()
      try count()
      let name = try string()
      skip()
      try take(":")
      skip()
      members.append(JSONValue.Member(name: name, value: try value(depth: depth + 1)))
      skip()
      if next == UInt8(ascii: "}") { break }
      try take(",")
    }
    at += 1
    return .object(members)
  }

  private mutating func array(_ depth: Int) throws(JSONFault) -> JSONValue {
    try take("[")
    var items: [JSONValue] = []
    skip()
    if next == UInt8(ascii: "]") {
      at += 1
      return .array(items)
    }
    while true {
      skip()
      items.append(try value(depth: depth + 1))
      skip()
      if next == UInt8(ascii: "]") { break }
      try take(",")
    }
    at += 1
    return .array(items)
  }

  private mutating func word(
    _ word: StaticString,
    _ value: JSONValue
  ) throws(JSONFault) -> JSONValue {
    for index in 0..<word.utf8CodeUnitCount {
      guard next == word.utf8Start[index] else { throw fault }
      at += 1
    }
    return value
  }

  /// `[-] 0 | 1-9 digits [. digits] [e [+-] digits]`; only whole ones have a value.
  private mutating func number() throws(JSONFault) -> JSONValue {
    let start = at
    if next == UInt8(ascii: "-") { at += 1 }
    if next == UInt8(ascii: "0") { at += 1 } else { try digits() }
    let whole = at
    if next == UInt8(ascii: ".") {
      at += 1
      try digits()
    }
    if next | 0x20 == UInt8(ascii: "e") {
      at += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { at += 1 }
      try digits()
    }
    guard at == whole else { return .number(nil) }
    return .number(Int(String(decoding: bytes[start..<at], as: UTF8.self)))
  }

  private mutating func digits() throws(JSONFault) {
    guard isDigit(next) else { throw fault }
    while isDigit(next) { at += 1 }
  }

  private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  private mutating func string() throws(JSONFault) -> String {
    try take("\"")
    var start = at
    var text = ""
    while true {
      guard at < bytes.endIndex, bytes[at] >= 0x20 else { throw fault }
      switch bytes[at] {
      case UInt8(ascii: "\""):
        text += try run(from: start)
        at += 1
        return text
      case UInt8(ascii: "\\"):
        text += try run(from: start)
        at += 1
        text.unicodeScalars.append(try escape())
        start = at
      default: at += 1
      }
    }
  }

  /// The bytes as they stand, which must be UTF-8.
  private func run(from start: Int) throws(JSONFault) -> String {
    guard start < at else { return "" }
    guard let text = String(validating: bytes[start..<at], as: UTF8.self) else {
      throw .malformed(at: start - bytes.startIndex)
    }
    return text
  }

  private mutating func escape() throws(JSONFault) -> Unicode.Scalar {
    let byte = next
    let scalar: Unicode.Scalar
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalar = Unicode.Scalar(byte)
    case UInt8(ascii: "b"): scalar = "\u{8}"
    case UInt8(ascii: "f"): scalar = "\u{C}"
    case UInt8(ascii: "n"): scalar = "\n"
    case UInt8(ascii: "r"): scalar = "\r"
    case UInt8(ascii: "t"): scalar = "\t"
    case UInt8(ascii: "u"):
      at += 1
      return try unicode()
    default: throw fault
    }
    at += 1
    return scalar
  }

  /// Four digits, and the second half of a pair behind the first; half a pair is no text.
  private mutating func unicode() throws(JSONFault) -> Unicode.Scalar {
    let first = try unit()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard (0xD800...0xDBFF).contains(first) else { throw fault }
    try take("\\")
    try take("u")
    let second = try unit()
    guard (0xDC00...0xDFFF).contains(second),
      let scalar = Unicode.Scalar(0x1_0000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw fault }
    return scalar
  }

  private mutating func unit() throws(JSONFault) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      let byte = next
      let digit: UInt8
      switch byte {
      case 0x30...0x39: digit = byte - 0x30
      case 0x41...0x46: digit = byte - 0x41 + 10
      case 0x61...0x66: digit = byte - 0x61 + 10
      default: throw fault
      }
      value = value << 4 | UInt32(digit)
      at += 1
    }
    return value
  }
}
