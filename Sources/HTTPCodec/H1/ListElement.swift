/// One element of a comma-separated list: a token, perhaps with something behind it.
///
/// Source: RFC 9110 section 5.6.1.
struct ListElement {
  /// Offset of the token.
  let start: Int
  /// Length of the token, 0 if the element does not start with one.
  let length: Int
  /// Whether nothing but whitespace stands behind the token.
  private(set) var isWhole: Bool
  /// Offset behind the comma that ends the element, or -1 at the end of the list.
  private(set) var next: Int
  private var position: Int

  /// Reads the element that begins at `from`, before `end`.
  @inline(__always)
  init(_ bytes: UnsafePointer<UInt8>, from: Int, end: Int) {
    var position = from
    while position < end, ByteClass.isBlank(bytes[position]) { position &+= 1 }
    start = position
    while position < end, ByteClass.isToken(bytes[position]) { position &+= 1 }
    length = position &- start
    while position < end, ByteClass.isBlank(bytes[position]) { position &+= 1 }
    self.position = position
    isWhole = position == end || bytes[position] == 0x2C
    next = position < end ? position &+ 1 : -1
  }

  /// Offset behind the next comma whatever stands before it, or -1; for lists that need not be valid.
  func nextComma(_ bytes: UnsafePointer<UInt8>, end: Int) -> Int {
    if isWhole { return next }
    var position = position
    while position < end, bytes[position] != 0x2C { position &+= 1 }
    return position < end ? position &+ 1 : -1
  }

  /// Passes over `;` parameters up to a comma; false if something else stands there.
  ///
  /// A quoted string counts as malformed: no transfer coding in use has one, and a comma inside it
  /// is a classic for disagreement.
  mutating func skipParameters(_ bytes: UnsafePointer<UInt8>, end: Int) -> Bool {
    guard position < end, bytes[position] == 0x3B else { return false }
    while position < end, bytes[position] != 0x2C {
      if bytes[position] == 0x22 { return false }
      position &+= 1
    }
    next = position < end ? position &+ 1 : -1
    return true
  }
}

/// Comparisons of single tokens.
enum Token {
  /// Whether the bytes read `chunked` in any case.
  @inline(__always)
  static func isChunked(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ length: Int) -> Bool {
    length == 7 && equals(bytes, start, 0x0064_656B_6E75_6863, length: 7)
  }

  /// Whether `length` bytes, at most 8, equal a folded word of as many.
  @inline(__always)
  static func equals(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ word: UInt64,
    length: Int
  ) -> Bool {
    let found = WordScan.loadShort(bytes, start, length: length, end: start &+ length)
    return WordScan.folded(found) == word
  }

  /// Whether two runs of bytes are equal apart from the case of ASCII letters.
  @inline(__always)
  static func equalIgnoringCase(
    _ left: UnsafePointer<UInt8>,
    _ right: UnsafePointer<UInt8>,
    length: Int
  ) -> Bool {
    for index in 0..<length {
      let a = left[index]
      let b = right[index]
      if a == b { continue }
      guard a ^ b == 0x20, (a | 0x20) &- 0x61 < 26 else { return false }
    }
    return true
  }
}
