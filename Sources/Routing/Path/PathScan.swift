/// Finds out in one quick pass whether a path is beyond doubt normal already.
enum PathScan {
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// Marks the bytes of a word that equal `byte`.
  ///
  /// A byte above a hit that differs from it in the
  /// lowest bit may be marked too, which here only costs a slower look.
  @inline(__always)
  private static func marks(_ word: UInt64, _ byte: UInt8) -> UInt64 {
    let difference = word ^ (ones &* UInt64(byte))
    return (difference &- ones) & ~difference & highs
  }

  /// Whether no byte needs a closer look: no escape, no control or non-ASCII byte, no backslash,
  /// space, `#` or `?`, and no slash followed by a slash or a dot.
  static func isClean(_ path: UnsafePointer<UInt8>, count: Int) -> Bool {
    guard count >= 8 else { return isShortClean(path, count: count) }
    var index = 0
    var afterSlash: UInt64 = 0
    while index &+ 8 <= count {
      guard isClean(word(path, index), after: &afterSlash) else { return false }
      index &+= 8
    }
    guard index < count else { return true }
    // The last eight once more, as far as they were seen already.
    afterSlash = path[count &- 9] == UInt8(ascii: "/") ? 0x80 : 0
    return isClean(word(path, count &- 8), after: &afterSlash)
  }

  /// Looks at eight bytes; `afterSlash` marks in its lowest byte that a slash stands before them.
  @inline(__always)
  private static func isClean(_ word: UInt64, after afterSlash: inout UInt64) -> Bool {
    // Below 0x21, or with the high bit set.
    var odd = ((word &- ones &* 0x21) & ~word & highs) | (word & highs)
    odd |= marks(word, UInt8(ascii: "%")) | marks(word, UInt8(ascii: "\\"))
    odd |= marks(word, UInt8(ascii: "#")) | marks(word, UInt8(ascii: "?")) | marks(word, 0x7F)
    let slashes = marks(word, UInt8(ascii: "/"))
    let startsOfDoubt = slashes | marks(word, UInt8(ascii: "."))
    odd |= (slashes &<< 8 | afterSlash) & startsOfDoubt
    afterSlash = slashes &>> 56
    return odd == 0
  }

  @inline(__always)
  private static func word(_ path: UnsafePointer<UInt8>, _ index: Int) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(path + index).loadUnaligned(as: UInt64.self))
  }

  private static func isShortClean(_ path: UnsafePointer<UInt8>, count: Int) -> Bool {
    var isAfterSlash = false
    for index in 0..<count {
      switch path[index] {
      case 0...0x20, 0x7F..., UInt8(ascii: "%"), UInt8(ascii: "\\"), UInt8(ascii: "#"),
        UInt8(ascii: "?"):
        return false
      case UInt8(ascii: "/"):
        if isAfterSlash { return false }
        isAfterSlash = true
      case UInt8(ascii: "."):
        if isAfterSlash { return false }
      default:
        isAfterSlash = false
      }
    }
    return true
  }
}
