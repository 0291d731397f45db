/// Searches through eight bytes at a time.
///
/// Each mask has the high bit of a byte set where the condition may hold. Carries can set it above
/// a true hit by mistake, never clear it, and never below: so the lowest hit is to be looked at and
/// the search resumed behind it. Measured against byte loops at a fifth of their time.
enum WordScan {
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// Eight bytes from `offset`, the first in the lowest place.
  @inline(__always)
  static func load(_ bytes: UnsafePointer<UInt8>, _ offset: Int) -> UInt64 {
    let word = UnsafeRawPointer(bytes + offset).loadUnaligned(as: UInt64.self)
    return UInt64(littleEndian: word)
  }

  /// The `length` bytes from `offset`, at most 8, with zeros behind; reads nothing before `end`'s
  /// other side.
  @inline(__always)
  static func loadShort(
    _ bytes: UnsafePointer<UInt8>,
    _ offset: Int,
    length: Int,
    end: Int
  ) -> UInt64 {
    if offset &+ 8 <= end {
      let word = load(bytes, offset)
      return length >= 8 ? word : word & ((1 &<< UInt64(truncatingIfNeeded: length &* 8)) &- 1)
    }
    var word: UInt64 = 0
    for index in 0..<length {
      word |= UInt64(bytes[offset &+ index]) &<< UInt64(truncatingIfNeeded: index &* 8)
    }
    return word
  }

  /// The word with capital letters made small; every other byte stays what it is, except that
  /// `@[\]^_` and bytes with the high bit may change into one another and never into a letter or
  /// a hyphen.
  @inline(__always)
  static func folded(_ word: UInt64) -> UInt64 {
    word | ((word & 0x4040_4040_4040_4040) &>> 1)
  }

  /// Where a byte equals the one repeated in `pattern`.
  @inline(__always)
  static func matches(_ word: UInt64, _ pattern: UInt64) -> UInt64 {
    let difference = word ^ pattern
    return (difference &- ones) & ~difference & highs
  }

  /// Where a byte is a control character: below a space, or DEL.
  @inline(__always)
  static func controls(_ word: UInt64) -> UInt64 {
    ((word &- 0x2020_2020_2020_2020) | (word &+ ones)) & ~word & highs
  }

  /// Where a byte is no visible ASCII character.
  @inline(__always)
  static func invisible(_ word: UInt64) -> UInt64 {
    ((word &- 0x2121_2121_2121_2121) | (word &+ ones) | word) & highs
  }

  /// How many bytes lie below the lowest hit.
  @inline(__always)
  static func index(of hits: UInt64) -> Int { hits.trailingZeroBitCount &>> 3 }

  /// Whether every byte is an ASCII letter or a hyphen, which most field names are made of.
  @inline(__always)
  static func isPlain(_ word: UInt64) -> Bool {
    // With bit 5 set, letters are 0x61...0x7A and a hyphen stays; no sum passes its byte, as all
    // bytes are below 0x80 once `word & highs` is known to be 0.
    let small = folded(word)
    let letters = (small &+ 0x1F1F_1F1F_1F1F_1F1F) & ~(small &+ 0x0505_0505_0505_0505)
    let hyphen = small ^ 0x2D2D_2D2D_2D2D_2D2D
    let hyphens = ~(hyphen &+ 0x7F7F_7F7F_7F7F_7F7F)
    return word & highs == 0 && (letters | hyphens) & highs == highs
  }
}
