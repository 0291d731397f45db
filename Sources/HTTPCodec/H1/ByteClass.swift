/// Which grammar a byte belongs to, by one load from read-only memory.
///
/// The table is a string literal because that is laid out by the compiler: a global array would be
/// built on first use and checked for that on every access.
enum ByteClass {
  /// One letter for each byte, whose low bits are: 1 for token characters (RFC 9110 section 5.6.2)
  /// and 2 for the characters of a registered name that we accept (see `Authority`).
  private static var table: StaticString {
    """
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@\
    @A@AAAAA@@AA@CC@\
    CCCCCCCCCC@@@@@@\
    @CCCCCCCCCCCCCCC\
    CCCCCCCCCCC@@@AC\
    ACCCCCCCCCCCCCCC\
    CCCCCCCCCCC@A@C@\
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@
    """
  }

  /// Whether the byte may stand in a method, a field name or another token.
  @inline(__always)
  static func isToken(_ byte: UInt8) -> Bool { table.utf8Start[Int(byte)] & 1 != 0 }

  /// Whether the byte may stand in a registered name.
  @inline(__always)
  static func isHost(_ byte: UInt8) -> Bool { table.utf8Start[Int(byte)] & 2 != 0 }

  /// Whether the byte is optional whitespace: a space or a tab.
  @inline(__always)
  static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// Whether the byte is a decimal digit.
  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  /// The value of a hexadecimal digit in either case, or 255.
  @inline(__always)
  static func hexValue(_ byte: UInt8) -> UInt8 {
    let digit = byte &- 0x30
    if digit < 10 { return digit }
    let letter = (byte | 0x20) &- 0x61
    return letter < 6 ? letter &+ 10 : 255
  }
}
