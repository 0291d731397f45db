internal import Glibc

/// A place in the bytes of a report; never behind their end.
struct LoadReportCursor: BitwiseCopyable {
  let bytes: UnsafePointer<UInt8>
  let count: Int
  var at = 0

  init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
    self.bytes = bytes
    self.count = max(0, count)
  }

  var isAtEnd: Bool { at >= count }

  /// The byte at hand, 0 behind the end: none of the forms has one.
  var byte: UInt8 { at < count ? bytes[at] : 0 }

  static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
  }

  mutating func skipSpace() { while !isAtEnd, Self.isSpace(bytes[at]) { at += 1 } }

  /// Passes one byte, if it is this one.
  mutating func take(_ wanted: UInt8) -> Bool {
    guard !isAtEnd, bytes[at] == wanted else { return false }
    at += 1
    return true
  }

  /// Passes the name of a form and the space behind it.
  mutating func take(prefix: StaticString) -> Bool {
    let length = prefix.utf8CodeUnitCount
    guard count - at > length, matches(at, length, prefix), Self.isSpace(bytes[at + length]) else {
      return false
    }
    at += length
    skipSpace()
    return true
  }

  /// Whether `length` bytes at `start` are a name.
  func matches(_ start: Int, _ length: Int, _ name: StaticString) -> Bool {
    guard length == name.utf8CodeUnitCount, start + length <= count else { return false }
    for index in 0..<length where bytes[start + index] != name.utf8Start[index] { return false }
    return true
  }

  func matches(_ start: Int, _ length: Int, _ name: LoadMetricName) -> Bool {
    guard let wanted = name.bytes, length == name.count, start + length <= count else {
      return false
    }
    for index in 0..<length where bytes[start + index] != wanted[index] { return false }
    return true
  }

  /// Passes a decimal number: digits, a fraction, an exponent, each as JSON has it.
  ///
  /// - Returns: The number, infinite where it is too large, or `nil` where there is none.
  mutating func number() -> Double? {
    let isNegative = take(UInt8(ascii: "-"))
    var digits: UInt64 = 0
    var exponent = 0
    var hasDigits = false
    while let digit = digit() {
      hasDigits = true
      // Beyond these a double knows no more of it than its size.
      if digits < Self.mostDigits { digits = digits * 10 + digit } else { exponent += 1 }
    }
    if take(UInt8(ascii: ".")) {
      while let digit = digit() {
        hasDigits = true
        guard digits < Self.mostDigits else { continue }
        digits = digits * 10 + digit
        exponent -= 1
      }
    }
    guard hasDigits else { return nil }
    if byte | 0x20 == UInt8(ascii: "e") {
      at += 1
      guard let written = self.exponent() else { return nil }
      exponent += written
    }
    let value = Self.scaled(digits, exponent)
    return isNegative ? -value : value
  }

  private static let mostDigits: UInt64 = 100_000_000_000_000_000

  private mutating func digit() -> UInt64? {
    guard !isAtEnd, bytes[at] >= 0x30, bytes[at] <= 0x39 else { return nil }
    at += 1
    return UInt64(bytes[at - 1] - 0x30)
  }

  private mutating func exponent() -> Int? {
    let isNegative = take(UInt8(ascii: "-"))
    if !isNegative { _ = take(UInt8(ascii: "+")) }
    var value: Int?
    while let digit = digit() { value = min((value ?? 0) * 10 + Int(digit), 9_999) }
    return value.map { isNegative ? -$0 : $0 }
  }

  private static func scaled(_ digits: UInt64, _ exponent: Int) -> Double {
    guard digits != 0 else { return 0 }
    // Powers of ten up to the 22nd are exact, so a division by one is off by a rounding at most.
    guard exponent < 0 else { return Double(digits) * pow(10, Double(exponent)) }
    guard exponent < -300 else { return Double(digits) / pow(10, Double(-exponent)) }
    return Double(digits) / 1e300 / pow(10, Double(-exponent - 300))
  }
}
