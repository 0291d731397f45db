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

  @inline(__always)
  mutating func crlf() { text("\r\n") }

  mutating func decimal(_ value: UInt64) {
    var divisor: UInt64 = 1
    while value / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      byte(UInt8(48 + value / divisor % 10))
      divisor /= 10
    }
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
    var shift: Int64 = 60
    while shift >= 0 {
      byte(Self.hexDigit(UInt8(value >> UInt64(shift) & 15)))
      shift -= 4
    }
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
}
