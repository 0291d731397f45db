/// The authority of a request: a host and perhaps a port (RFC 3986 section 3.2).
///
/// Stricter than the RFC where the RFC serves nobody here: no user information, no
/// percent-encoding, no empty port.
struct Authority {
  /// Length of the host, an IPv6 literal with its brackets.
  var hostLength: Int
  /// The port, or -1.
  var port: Int32

  /// Longest host name of the DNS, in text.
  private static let maximumHost = 255

  static func parse(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Authority? {
    guard count > 0 else { return nil }
    let hostLength = bytes[0] == 0x5B ? literal(bytes, count) : name(bytes, count)
    guard hostLength > 0 else { return nil }
    guard hostLength < count else { return Authority(hostLength: hostLength, port: -1) }
    guard bytes[hostLength] == 0x3A, let port = port(bytes + hostLength + 1, count - hostLength - 1)
    else { return nil }
    return Authority(hostLength: hostLength, port: port)
  }

  private static func name(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
    var end = 0
    while end < count, ByteClass.isHost(bytes[end]) { end &+= 1 }
    return end <= maximumHost ? end : 0
  }

  /// The length of `[...]`, or 0 when it is no IPv6 address.
  private static func literal(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
    var end = 1
    var groups = 0
    var digits = 0
    var hasGap = false
    while end < count, bytes[end] != 0x5D {
      let byte = bytes[end]
      if byte == 0x3A {
        if end &+ 1 < count, bytes[end &+ 1] == 0x3A {
          guard !hasGap else { return 0 }
          hasGap = true
          if digits > 0 { groups &+= 1 }
          end &+= 1
        } else {
          guard digits > 0 else { return 0 }
          groups &+= 1
          guard end &+ 1 < count, bytes[end &+ 1] != 0x5D else { return 0 }
        }
        digits = 0
      } else if byte == 0x2E {
        let tail = dotted(bytes, count, from: end &- digits)
        guard tail > 0, groups &+ 2 <= 8, hasGap || groups == 6, groups > 0 || hasGap else {
          return 0
        }
        return tail &+ 1
      } else {
        guard ByteClass.hexValue(byte) < 16, digits < 4 else { return 0 }
        digits &+= 1
      }
      end &+= 1
    }
    guard end < count else { return 0 }
    if digits > 0 { groups &+= 1 }
    guard hasGap ? groups < 8 : groups == 8 else { return 0 }
    return end &+ 1
  }

  /// The offset of the bracket behind a dotted IPv4 tail, or 0.
  private static func dotted(_ bytes: UnsafePointer<UInt8>, _ count: Int, from start: Int) -> Int {
    var at = start
    for part in 0..<4 {
      var value = 0
      var digits = 0
      while at < count, ByteClass.isDigit(bytes[at]), digits < 3 {
        value = value &* 10 &+ Int(bytes[at] &- 0x30)
        digits &+= 1
        at &+= 1
      }
      guard digits > 0, value <= 255, at < count else { return 0 }
      if part < 3 {
        guard bytes[at] == 0x2E else { return 0 }
        at &+= 1
      }
    }
    return bytes[at] == 0x5D ? at : 0
  }

  private static func port(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int32? {
    guard count >= 1, count <= 5 else { return nil }
    var value: Int32 = 0
    for index in 0..<count {
      guard ByteClass.isDigit(bytes[index]) else { return nil }
      value = value &* 10 &+ Int32(bytes[index] &- 0x30)
    }
    return value <= 65_535 ? value : nil
  }

  /// Whether two authorities are the same but for case.
  static func isSame(
    _ a: UnsafePointer<UInt8>, _ aCount: Int, _ b: UnsafePointer<UInt8>, _ bCount: Int
  ) -> Bool {
    guard aCount == bCount else { return false }
    for index in 0..<aCount {
      let (x, y) = (a[index], b[index])
      if x != y, x | 0x20 != y | 0x20 || (x | 0x20) &- 0x61 >= 26 { return false }
    }
    return true
  }
}
