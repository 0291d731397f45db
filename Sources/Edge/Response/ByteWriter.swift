internal import Glibc

/// Writes a head into memory with a bound; writing past it is noted, not done.
struct ByteWriter {
  let base: UnsafeMutablePointer<UInt8>
  let capacity: Int
  private(set) var count = 0
  /// Something did not fit.
  private(set) var isFull = false

  init(_ base: UnsafeMutablePointer<UInt8>, capacity: Int) {
    self.base = base
    self.capacity = capacity
  }

  @inline(__always)
  mutating func bytes(_ from: UnsafePointer<UInt8>, _ length: Int) {
    guard count &+ length <= capacity else {
      isFull = true
      return
    }
    memcpy(base + count, from, length)
    count &+= length
  }

  @inline(__always)
  mutating func text(_ text: StaticString) { bytes(text.utf8Start, text.utf8CodeUnitCount) }

  @inline(__always)
  mutating func byte(_ value: UInt8) {
    guard count < capacity else {
      isFull = true
      return
    }
    base[count] = value
    count &+= 1
  }

  /// Repeats a part of what was written.
  @inline(__always)
  mutating func again(_ part: Range<Int>) { bytes(base + part.lowerBound, part.count) }

  @inline(__always)
  mutating func crlf() { text("\r\n") }

  mutating func decimal(_ value: UInt64) {
    // Short numbers, which nearly all are, without a division by a variable.
    if value < 10 { return byte(UInt8(truncatingIfNeeded: 48 &+ value)) }
    if value < 1_000 { return shortDecimal(UInt32(truncatingIfNeeded: value)) }
    var divisor: UInt64 = 1_000
    while value / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      byte(UInt8(truncatingIfNeeded: 48 &+ value / divisor % 10))
      divisor /= 10
    }
  }

  /// A number below 256 with a byte behind it, where four bytes have room; else byte by byte.
  @inline(__always)
  mutating func octet(_ value: UInt8, then last: UInt8) {
    guard count &+ 4 <= capacity else {
      decimal(UInt64(value))
      return byte(last)
    }
    let number = UInt32(value)
    let hundreds = (number &* 41) &>> 12
    let rest = number &- hundreds &* 100
    let tens = (rest &* 205) &>> 11
    let ones = rest &- tens &* 10
    let digits = 0x30_3030 | hundreds | tens &<< 8 | ones &<< 16 | UInt32(last) &<< 24
    // Zeros in front are shifted out.
    let zeros: UInt32 = number > 99 ? 0 : number > 9 ? 1 : 2
    UnsafeMutableRawPointer(base + count)
      .storeBytes(of: (digits &>> (zeros &* 8)).littleEndian, as: UInt32.self)
    count &+= Int(4 &- zeros)
  }

  /// Two or three digits.
  @inline(__always)
  private mutating func shortDecimal(_ value: UInt32) {
    let hundreds = value / 100
    if hundreds > 0 { byte(UInt8(truncatingIfNeeded: 48 &+ hundreds)) }
    let rest = value &- hundreds &* 100
    byte(UInt8(truncatingIfNeeded: 48 &+ rest / 10))
    byte(UInt8(truncatingIfNeeded: 48 &+ rest % 10))
  }

  /// A number in a place of its own, with spaces before it; one that is wider becomes nines.
  mutating func aligned(_ value: UInt64, width: Int) {
    guard count &+ width <= capacity else {
      isFull = true
      return
    }
    var left = value
    var place = count &+ width &- 1
    base[place] = UInt8(truncatingIfNeeded: 48 &+ left % 10)
    left /= 10
    while place > count {
      place &-= 1
      base[place] = left > 0 ? UInt8(truncatingIfNeeded: 48 &+ left % 10) : UInt8(ascii: " ")
      left /= 10
    }
    if left > 0 { memset(base + count, 0x39, width) }
    count &+= width
  }

  mutating func hexadecimal(_ value: UInt64) {
    var shift = value == 0 ? 0 : (63 - value.leadingZeroBitCount) & ~3
    while shift >= 0 {
      byte(Self.hexDigit(UInt8(value >> UInt64(shift) & 15)))
      shift -= 4
    }
  }

  /// 16 digits.
  mutating func fixedHexadecimal(_ value: UInt64) {
    guard count &+ 16 <= capacity else {
      isFull = true
      return
    }
    // Eight digits at a time: spread the nibbles over the bytes of a word, then add what turns 0
    // to 15 into the letters.
    Self.spread(UInt32(truncatingIfNeeded: value >> 32), base + count)
    Self.spread(UInt32(truncatingIfNeeded: value), base + count + 8)
    count &+= 16
  }

  @inline(__always)
  private static func spread(_ value: UInt32, _ target: UnsafeMutablePointer<UInt8>) {
    var word = UInt64(value.byteSwapped)
    word = (word | word << 16) & 0x0000_FFFF_0000_FFFF
    word = (word | word << 8) & 0x00FF_00FF_00FF_00FF
    word = (word >> 4 | word << 8) & 0x0F0F_0F0F_0F0F_0F0F
    let isLetter = (word &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    word = word &+ 0x3030_3030_3030_3030 &+ isLetter &* 39
    UnsafeMutableRawPointer(target).storeBytes(of: word, as: UInt64.self)
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
}
