/// Reads IP addresses in text, to the letter: no octal, no abbreviations, no zones.
enum AddressText {
  /// Four decimal numbers up to 255 without zeros in front (RFC 3986 section 3.2.2).
  ///
  /// - Returns: The address, the first number in the highest place; `nil` when it is none.
  static func ipv4(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> UInt32? {
    var address: UInt32 = 0
    var position = start
    for part in 0..<4 {
      if part > 0 {
        guard position < end, bytes[position] == 0x2E else { return nil }
        position += 1
      }
      let first = position
      var value: UInt32 = 0
      while position < end, position - first < 3, case let digit = bytes[position] &- 0x30,
        digit < 10
      {
        // A zero in front would be octal to some readers.
        guard position == first || value > 0 else { return nil }
        value = value * 10 + UInt32(digit)
        position += 1
      }
      guard position > first, value < 256 else { return nil }
      address = address << 8 | value
    }
    return position == end ? address : nil
  }

  /// Groups of one to four hexadecimal digits with one `::` at most, the last two perhaps as IPv4
  /// (RFC 4291 section 2.2).
  ///
  /// - Returns: The address with port 0; `nil` when it is none.
  static func ipv6(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> ProxyAddress? {
    var groups = Groups()
    var gap: Int?
    var position = start
    if end - start >= 2, bytes[start] == 0x3A, bytes[start + 1] == 0x3A {
      gap = 0
      position = start + 2
    }
    while position < end {
      let first = position
      var value: UInt16 = 0
      while position < end, position - first < 4, let digit = hexadecimal(bytes[position]) {
        value = value << 4 | UInt16(digit)
        position += 1
      }
      guard position > first else { return nil }
      if position < end, bytes[position] == 0x2E {
        guard let tail = ipv4(bytes, first, end),
          groups.append(UInt16(tail >> 16)), groups.append(UInt16(tail & 0xFFFF))
        else { return nil }
        position = end
        break
      }
      guard groups.append(value) else { return nil }
      guard position < end else { break }
      guard bytes[position] == 0x3A, position + 1 < end else { return nil }
      position += 1
      if bytes[position] == 0x3A {
        guard gap == nil else { return nil }
        gap = groups.count
        position += 1
      }
    }
    return groups.address(gap: gap)
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }

  private struct Groups {
    private(set) var count = 0
    private var values = InlineArray<8, UInt16>(repeating: 0)

    mutating func append(_ group: UInt16) -> Bool {
      guard count < 8 else { return false }
      values[count] = group
      count += 1
      return true
    }

    /// Puts zeros at the gap, which stands for one group at least.
    func address(gap: Int?) -> ProxyAddress? {
      guard gap == nil ? count == 8 : count < 8 else { return nil }
      let front = gap ?? 8
      var address = ProxyAddress()
      for place in 0..<8 {
        let index = place < front ? place : place - (8 - count)
        let value = place < front || index >= front ? UInt64(values[index]) : 0
        address.high = address.high << 16 | address.low >> 48
        address.low = address.low << 16 | value
      }
      return address
    }
  }
}
