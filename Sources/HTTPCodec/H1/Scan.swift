/// Searches that look at eight bytes at a time.
///
/// Source: the word tricks of Mycroft (1987) and "Bit Twiddling Hacks": a byte below a bound
/// borrows into its own high bit.
enum Scan {
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// The first byte from `offset` that may not stand in a field value: below 0x20 or 0x7F.
  ///
  /// A tab is reported too; it is rare and the caller steps over it.
  @inline(__always)
  static func controlByte(
    _ bytes: UnsafePointer<UInt8>, from offset: Int, count: Int
  ) -> Int {
    var at = offset
    while at &+ 8 <= count {
      let word = UnsafeRawPointer(bytes + at).loadUnaligned(as: UInt64.self)
      let below = (word &- ones &* 0x20) & ~word
      let delete = word ^ (ones &* 0x7F)
      let found = (below | ((delete &- ones) & ~delete)) & highs
      if found != 0 {
        // Borrows can mark bytes above a real hit, never below it: the lowest mark is exact.
        return at &+ found.trailingZeroBitCount >> 3
      }
      at &+= 8
    }
    while at < count, bytes[at] >= 0x20, bytes[at] != 0x7F { at &+= 1 }
    return at
  }

  /// The first byte from `offset` that may not stand in a request target: below 0x21, or above
  /// 0x7E.
  @inline(__always)
  static func targetEnd(_ bytes: UnsafePointer<UInt8>, from offset: Int, count: Int) -> Int {
    var at = offset
    while at &+ 8 <= count {
      let word = UnsafeRawPointer(bytes + at).loadUnaligned(as: UInt64.self)
      let below = (word &- ones &* 0x21) & ~word
      let above = (word &+ ones) | word
      let found = (below | above) & highs
      if found != 0 { break }
      at &+= 8
    }
    while at < count, bytes[at] > 0x20, bytes[at] < 0x7F { at &+= 1 }
    return at
  }

  /// Whether bytes equal a lower-case text, without regard to their case.
  @inline(__always)
  static func equals(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    let other = text.utf8Start
    for index in 0..<count {
      let byte = bytes[index]
      let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
      if lower != other[index] { return false }
    }
    return true
  }
}
