/// What RFC 9113 section 8.2.1 demands of a field, and RFC 9110 section 5 where it is stricter.
enum H2FieldCheck {
  /// The fault of a name, if it has one.
  ///
  /// `known` is what the name means without regard to case: a known name is a token and only its
  /// case is left to check. Eight bytes behind the name must be readable.
  @inline(__always)
  static func name(
    _ bytes: UnsafePointer<UInt8>,
    _ start: Int,
    _ length: Int,
    _ known: KnownField
  ) -> H2HeadFault? {
    let end = start &+ length
    if known != .other {
      var position = start
      while position < end {
        // Small letters, digits and hyphens have the bit that capitals lack.
        let word = WordScan.loadShort(bytes, position, length: end &- position, end: end &+ 8)
        let left = end &- position
        let mask = left >= 8 ? ~UInt64(0) : (1 &<< UInt64(truncatingIfNeeded: left &* 8)) &- 1
        if ~word & 0x2020_2020_2020_2020 & mask != 0 { return .capitalFieldName }
        position &+= 8
      }
      return nil
    }
    for position in start..<end {
      let byte = bytes[position]
      guard ByteClass.isToken(byte) else { return .malformedFieldName }
      if byte &- 0x41 < 26 { return .capitalFieldName }
    }
    return nil
  }

  /// The fault of a value, if it has one.
  @inline(__always)
  static func value(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ length: Int) -> H2HeadFault? {
    guard length > 0 else { return nil }
    let end = start &+ length
    if FieldLine.endOfText(bytes, start, end) != end { return .malformedFieldValue }
    if ByteClass.isBlank(bytes[start]) || ByteClass.isBlank(bytes[end &- 1]) {
      return .paddedFieldValue
    }
    return nil
  }

  /// Whether the field belongs to one connection and must not be in HTTP/2 (section 8.2.2).
  @inline(__always)
  static func isConnectionSpecific(_ known: KnownField) -> Bool {
    switch known {
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade: true
    default: false
    }
  }

  /// Whether the bytes read `trailers` in any case.
  @inline(__always)
  static func isTrailers(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ length: Int) -> Bool {
    length == 8 && Token.equals(bytes, start, 0x7372_656C_6961_7274, length: 8)
  }

  /// A Content-Length, or -1 where it is not one number within 63 bits.
  @inline(__always)
  static func contentLength(_ value: UnsafePointer<UInt8>, _ length: Int) -> Int64 {
    guard length >= 1, length <= 19 else { return -1 }
    var sum: UInt64 = 0
    for index in 0..<length {
      let digit = value[index] &- 0x30
      guard digit < 10 else { return -1 }
      // 19 nines stay below 2^64, so only the end needs to be compared.
      sum = sum &* 10 &+ UInt64(digit)
    }
    return sum <= UInt64(Int64.max) ? Int64(truncatingIfNeeded: sum) : -1
  }
}
