/// Reads escapes and bracketed classes.
enum RegexClassParser {
  /// Reads the escape at `index`.
  ///
  /// - Returns: What it stands for; `byte` when it is one character.
  static func escape(
    _ text: [UInt8],
    at index: inout Int
  ) throws(RegexFault) -> (set: ByteSet, byte: UInt8?) {
    guard index + 1 < text.count else {
      throw RegexFault(column: index + 1, message: "nothing follows the backslash; write \\\\")
    }
    let byte = text[index + 1]
    defer { index += 2 }
    switch byte {
    case UInt8(ascii: "d"): return (.digits, nil)
    case UInt8(ascii: "D"): return (ByteSet.digits.inverted, nil)
    case UInt8(ascii: "w"): return (.wordCharacters, nil)
    case UInt8(ascii: "W"): return (ByteSet.wordCharacters.inverted, nil)
    case UInt8(ascii: "s"): return (.spaces, nil)
    case UInt8(ascii: "S"): return (ByteSet.spaces.inverted, nil)
    case _ where ByteSet.wordCharacters.contains(byte):
      throw RegexFault(
        column: index + 1,
        message: "\\\(Character(Unicode.Scalar(byte))) is not understood;"
          + " there are \\d \\w \\s, their capitals, and escaped punctuation"
      )
    default: return (ByteSet([byte]), byte)
    }
  }

  /// Reads the class whose `[` stands at `index`.
  static func parse(_ text: [UInt8], at index: inout Int) throws(RegexFault) -> ByteSet {
    let start = index
    index += 1
    var set = ByteSet()
    var isNegated = false
    if index < text.count, text[index] == UInt8(ascii: "^") {
      isNegated = true
      index += 1
    }
    while true {
      guard index < text.count else {
        throw RegexFault(column: start + 1, message: "this [ is never closed")
      }
      if text[index] == UInt8(ascii: "]") { break }
      let itemStart = index
      let (item, low) = try self.item(text, at: &index)
      // A dash before the closing bracket is itself.
      guard index + 1 < text.count, text[index] == UInt8(ascii: "-"),
        text[index + 1] != UInt8(ascii: "]")
      else {
        set.formUnion(item)
        continue
      }
      index += 1
      let (_, high) = try self.item(text, at: &index)
      guard let low, let high, low <= high else {
        throw RegexFault(
          column: itemStart + 1,
          message: "a range runs from a lower to a higher character; write \\- for the dash"
        )
      }
      set.formUnion(ByteSet(low...high))
    }
    index += 1
    if isNegated { set = set.inverted }
    guard !set.isEmpty else {
      throw RegexFault(column: start + 1, message: "the class holds nothing; write \\] for ]")
    }
    return set
  }

  private static func item(
    _ text: [UInt8],
    at index: inout Int
  ) throws(RegexFault) -> (set: ByteSet, byte: UInt8?) {
    let byte = text[index]
    if byte == UInt8(ascii: "\\") { return try escape(text, at: &index) }
    if byte == UInt8(ascii: "["), index + 1 < text.count, text[index + 1] == UInt8(ascii: ":") {
      throw RegexFault(
        column: index + 1,
        message: "named classes are not understood; write \\d, \\w, \\s or ranges"
      )
    }
    index += 1
    return (ByteSet([byte]), byte)
  }
}
