/// Version 1 of the PROXY protocol: a line of text.
///
/// ```
/// PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n
/// PROXY UNKNOWN anything\r\n
/// ```
/// Source: "The PROXY protocol", section 2.1.
enum ProxyLine {
  /// Bytes of the longest line, CRLF among them.
  static let longest = 107

  /// - Returns: As `ProxyParser.parse`; the signature has been seen.
  static func parse(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    into prelude: inout ProxyPrelude
  ) -> ProxyOutcome {
    var end = ProxyParser.lineSignature.utf8CodeUnitCount
    while end < min(count, longest - 1), bytes[end] != 0x0D {
      // Neither a lone line feed nor NUL may hide in what a lenient reader would skip.
      guard bytes[end] >= 0x20 else { return .refused(.malformedLine) }
      end += 1
    }
    guard end < longest - 1 else { return .refused(.tooLong) }
    guard end + 1 < count else { return .incomplete }
    guard bytes[end + 1] == 0x0A else { return .refused(.malformedLine) }
    prelude.version = 1
    var words = Words(bytes: bytes, position: 6, end: end)
    guard read(&words, into: &prelude) else { return .refused(.malformedLine) }
    return .complete(end + 2)
  }

  private static func read(_ words: inout Words, into prelude: inout ProxyPrelude) -> Bool {
    if words.take("UNKNOWN") {
      // What follows must be ignored, provided that it is another word.
      return words.isAtEnd || words.takeSpace()
    }
    let isIPv6: Bool
    if words.take("TCP4 ") {
      isIPv6 = false
    } else if words.take("TCP6 ") {
      isIPv6 = true
    } else {
      return false
    }
    prelude.kind = .address
    guard let source = words.address(isIPv6: isIPv6), words.takeSpace(),
      let destination = words.address(isIPv6: isIPv6), words.takeSpace(),
      let sourcePort = words.port(), words.takeSpace(),
      let destinationPort = words.port(), words.isAtEnd
    else { return false }
    prelude.source = ProxyAddress(high: source.high, low: source.low, port: sourcePort)
    prelude.destination = ProxyAddress(
      high: destination.high,
      low: destination.low,
      port: destinationPort
    )
    return true
  }

  /// The line's words, taken one after the other; exactly one space is between them.
  private struct Words {
    let bytes: UnsafePointer<UInt8>
    var position: Int
    let end: Int

    var isAtEnd: Bool { position == end }

    mutating func takeSpace() -> Bool {
      guard position < end, bytes[position] == 0x20 else { return false }
      position += 1
      return true
    }

    mutating func take(_ text: StaticString) -> Bool {
      let count = text.utf8CodeUnitCount
      guard end - position >= count else { return false }
      for index in 0..<count where bytes[position + index] != text.utf8Start[index] {
        return false
      }
      position += count
      return true
    }

    mutating func address(isIPv6: Bool) -> ProxyAddress? {
      var stop = position
      while stop < end, bytes[stop] != 0x20 { stop += 1 }
      defer { position = stop }
      return isIPv6
        ? AddressText.ipv6(bytes, position, stop)
        : AddressText.ipv4(bytes, position, stop).map { ProxyAddress(ipv4: $0, port: 0) }
    }

    /// A decimal number up to 65,535, without zeros in front.
    mutating func port() -> UInt16? {
      let start = position
      var value = 0
      while position < end, case let digit = bytes[position] &- 0x30, digit < 10 {
        guard position - start < 5, position == start || value > 0 else { return nil }
        value = value * 10 + Int(digit)
        position += 1
      }
      return position > start ? UInt16(exactly: value) : nil
    }
  }
}
