/// A set of byte values.
struct ByteSet: Hashable, Sendable {
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  init() {}

  init(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { insert(byte) }
  }

  init(_ text: StaticString) {
    self.init(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  var isEmpty: Bool { words.0 | words.1 | words.2 | words.3 == 0 }

  func contains(_ byte: UInt8) -> Bool {
    let bit: UInt64 = 1 << UInt64(byte & 63)
    return switch byte >> 6 {
    case 0: words.0 & bit != 0
    case 1: words.1 & bit != 0
    case 2: words.2 & bit != 0
    default: words.3 & bit != 0
    }
  }

  mutating func insert(_ byte: UInt8) {
    let bit: UInt64 = 1 << UInt64(byte & 63)
    switch byte >> 6 {
    case 0: words.0 |= bit
    case 1: words.1 |= bit
    case 2: words.2 |= bit
    default: words.3 |= bit
    }
  }

  mutating func formUnion(_ other: ByteSet) {
    words.0 |= other.words.0
    words.1 |= other.words.1
    words.2 |= other.words.2
    words.3 |= other.words.3
  }

  var inverted: ByteSet {
    var result = self
    result.words = (~words.0, ~words.1, ~words.2, ~words.3)
    return result
  }

  static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
  static let spaces = ByteSet(" \t\n\u{b}\u{c}\r")
  static let wordCharacters: ByteSet = {
    var set = digits
    set.formUnion(ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z")))
    set.formUnion(ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z")))
    set.insert(UInt8(ascii: "_"))
    return set
  }()
  static let allButNewline = ByteSet("\n").inverted

  static func == (a: ByteSet, b: ByteSet) -> Bool { a.words == b.words }

  func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }
}
