/// A checked `host [":" port]`.
///
/// The host is an IPv6 literal in brackets, or letters, digits, `-`, `.`, `_` and `~`. RFC 3986
/// also allows percent escapes and sub-delimiters in a name; no name in DNS has them, and what one
/// recipient decodes or splits there another does not, so they are refused. So are user
/// information, zone identifiers, IPvFuture and a colon without digits.
///
/// Source: RFC 3986 section 3.2, RFC 9110 section 7.2.
struct Authority {
  /// Length of the host with brackets; 0 when the text is no authority.
  var hostLength = 0
  /// In `0...65535`, or -1 without one.
  var port: Int32 = -1

  var isValid: Bool { hostLength > 0 }

  /// No authority.
  @inline(__always)
  init() {}

  @inline(__always)
  init(_ bytes: UnsafePointer<UInt8>, start: Int, length: Int) {
    let text = bytes + start
    var position = 0
    if length > 0, text[0] == 0x5B {
      position = IPv6Literal.length(text, length)
    } else {
      while position < length, ByteClass.isHost(text[position]) { position &+= 1 }
    }
    if position == length || position == 0 {
      hostLength = position
      return
    }
    guard text[position] == 0x3A else { return }
    let digits = length &- position &- 1
    guard digits >= 1, digits <= 5 else { return }
    var number: Int32 = 0
    for index in position &+ 1..<length {
      guard ByteClass.isDigit(text[index]) else { return }
      number = number &* 10 &+ Int32(text[index] &- 0x30)
    }
    guard number <= 65_535 else { return }
    port = number
    hostLength = position
  }
}

/// The literal form of an IPv6 address in brackets.
enum IPv6Literal {
  /// The length of the literal at the start of `text` with both brackets, or 0.
  ///
  /// Source: RFC 3986 section 3.2.2, `"[" IPv6address "]"`.
  static func length(_ text: UnsafePointer<UInt8>, _ limit: Int) -> Int {
    var position = 1
    var groups = 0
    var compressed = false
    if limit >= 3, text[1] == 0x3A {
      guard text[2] == 0x3A else { return 0 }
      compressed = true
      position = 3
    }
    while position < limit, text[position] != 0x5D {
      let start = position
      while position < limit, ByteClass.hexValue(text[position]) < 16 { position &+= 1 }
      if position < limit, text[position] == 0x2E {
        // The last 32 bits may be written as an IPv4 address.
        position = endOfIPv4(text, start, limit)
        groups &+= 2
        guard position > 0, position < limit, text[position] == 0x5D else { return 0 }
        break
      }
      guard position > start, position &- start <= 4, position < limit else { return 0 }
      groups &+= 1
      if text[position] == 0x5D { break }
      guard text[position] == 0x3A, position &+ 1 < limit else { return 0 }
      position &+= 1
      if text[position] == 0x3A {
        if compressed { return 0 }
        compressed = true
        position &+= 1
      } else if text[position] == 0x5D {
        return 0
      }
    }
    guard position < limit, compressed ? groups <= 7 : groups == 8 else { return 0 }
    return position &+ 1
  }

  /// The offset behind the dotted quad at `start`, or 0.
  private static func endOfIPv4(_ text: UnsafePointer<UInt8>, _ start: Int, _ limit: Int) -> Int {
    var position = start
    for octet in 0..<4 {
      if octet > 0 {
        guard position < limit, text[position] == 0x2E else { return 0 }
        position &+= 1
      }
      let first = position
      var number = 0
      while position < limit, position &- first < 3, ByteClass.isDigit(text[position]) {
        number = number &* 10 &+ Int(text[position] &- 0x30)
        position &+= 1
      }
      let digits = position &- first
      guard digits >= 1, number <= 255, digits == 1 || text[first] != 0x30 else { return 0 }
    }
    return position
  }
}
