/// Hashes and compares byte strings by words, without calls and without allocating.
enum Bytes {
  @inline(__always)
  private static func word(_ bytes: UnsafePointer<UInt8>) -> UInt64 {
    UnsafeRawPointer(bytes).loadUnaligned(as: UInt64.self)
  }

  /// The last `count` bytes, fewer than eight; equal strings of one length give equal words.
  @inline(__always)
  private static func tail(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
    if count >= 4 {
      let low = UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self)
      let high = UnsafeRawPointer(bytes + (count &- 4)).loadUnaligned(as: UInt32.self)
      return UInt64(low) | UInt64(high) &<< 32
    }
    if count == 0 { return 0 }
    return UInt64(bytes[0]) | UInt64(bytes[count &>> 1]) &<< 8 | UInt64(bytes[count &- 1]) &<< 16
  }

  /// Turns `A` to `Z` into lower case in each byte of a word.
  @inline(__always)
  static func lowerCased(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let low = word & (ones &* 0x7F)
    let isPastZ = low &+ ones &* (0x7F - 0x5A)
    let isFromA = low &+ ones &* (0x80 - 0x41)
    return word | ((isFromA ^ isPastZ) & ~word & (ones &* 0x80)) &>> 2
  }

  @inline(__always)
  private static func mixed(_ hash: UInt64, _ word: UInt64) -> UInt64 {
    let product = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return product.high ^ product.low
  }

  /// A hash of the bytes, in lower case when `ignoringCase`.
  @inline(__always)
  static func hash(
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    seed: Int32,
    ignoringCase: Bool
  ) -> UInt32 {
    var hash = UInt64(truncatingIfNeeded: seed) &* 0xD6E8_FEB8_6659_FD93
    hash ^= UInt64(truncatingIfNeeded: count) &+ 0xA076_1D64_78BD_642F
    var index = 0
    while index &+ 8 <= count {
      let next = word(bytes + index)
      hash = mixed(hash, ignoringCase ? lowerCased(next) : next)
      index &+= 8
    }
    let last = tail(bytes + index, count &- index)
    hash = mixed(hash, ignoringCase ? lowerCased(last) : last)
    return UInt32(truncatingIfNeeded: hash ^ hash &>> 32)
  }

  /// Whether both are equal; when `ignoringCase`, `pattern` is in lower case already.
  @inline(__always)
  static func equal(
    _ bytes: UnsafePointer<UInt8>,
    _ pattern: UnsafePointer<UInt8>,
    _ count: Int,
    ignoringCase: Bool = false
  ) -> Bool {
    var index = 0
    while index &+ 8 <= count {
      let mine = word(bytes + index)
      if (ignoringCase ? lowerCased(mine) : mine) != word(pattern + index) { return false }
      index &+= 8
    }
    let mine = tail(bytes + index, count &- index)
    return (ignoringCase ? lowerCased(mine) : mine) == tail(pattern + index, count &- index)
  }

  /// The index of the next slash at or after `start`, or `count`.
  @inline(__always)
  static func nextSlash(_ bytes: UnsafePointer<UInt8>, from start: Int, count: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var index = start
    while index &+ 8 <= count {
      let difference = UInt64(littleEndian: word(bytes + index)) ^ (ones &* 0x2F)
      let hits = (difference &- ones) & ~difference & (ones &* 0x80)
      if hits != 0 { return index &+ hits.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    while index < count, bytes[index] != UInt8(ascii: "/") { index &+= 1 }
    return index
  }
}
