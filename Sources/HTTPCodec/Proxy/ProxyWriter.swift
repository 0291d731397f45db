/// Writes PROXY preludes, for services that want to know who the client is.
public enum ProxyWriter {
  /// Room that is enough for any prelude written here: a line of version 1.
  public static let maximumBytes = 107

  /// Writes a line of version 1.
  ///
  /// - Parameters:
  ///   - source: The client; `nil` when there is none with an address, which gives `UNKNOWN`.
  ///   - destination: Where the client connected to. Is one of the two IPv6, both are written so.
  ///   - output: Room for `maximumBytes`.
  /// - Returns: Bytes written.
  public static func version1(
    source: ProxyAddress?,
    destination: ProxyAddress,
    into output: UnsafeMutablePointer<UInt8>
  ) -> Int {
    var text = ProxyOutput(output)
    guard let source else {
      text.add("PROXY UNKNOWN\r\n")
      return text.count
    }
    let isIPv4 = source.isIPv4 && destination.isIPv4
    text.add(isIPv4 ? "PROXY TCP4 " : "PROXY TCP6 ")
    text.addText(source, isIPv4: isIPv4)
    text.add(" ")
    text.addText(destination, isIPv4: isIPv4)
    text.add(" ")
    text.addNumber(Int(source.port), radix: 10)
    text.add(" ")
    text.addNumber(Int(destination.port), radix: 10)
    text.add("\r\n")
    return text.count
  }

  /// Writes a header of version 2 for a stream.
  ///
  /// - Parameters:
  ///   - source: The client; `nil` when there is none with an address, which gives `LOCAL`.
  ///   - destination: Where the client connected to. Is one of the two IPv6, both are written so.
  ///   - hasChecksum: Whether a CRC-32C is added.
  ///   - output: Room for `maximumBytes`.
  /// - Returns: Bytes written: 16, 28 or 52, and 7 more with a checksum.
  public static func version2(
    source: ProxyAddress?,
    destination: ProxyAddress,
    hasChecksum: Bool = false,
    into output: UnsafeMutablePointer<UInt8>
  ) -> Int {
    var header = ProxyOutput(output)
    header.add(ProxyParser.binarySignature)
    let isIPv4 = source?.isIPv4 == true && destination.isIPv4
    let addressBytes = source == nil ? 0 : isIPv4 ? 12 : 36
    header.addBig(source == nil ? 0x20 : 0x21, bytes: 1)
    header.addBig(source == nil ? 0x00 : isIPv4 ? 0x11 : 0x21, bytes: 1)
    header.addBig(UInt64(addressBytes + (hasChecksum ? 7 : 0)), bytes: 2)
    if let source {
      header.addWords(source, isIPv4: isIPv4)
      header.addWords(destination, isIPv4: isIPv4)
      header.addBig(UInt64(source.port), bytes: 2)
      header.addBig(UInt64(destination.port), bytes: 2)
    }
    if hasChecksum {
      header.addBig(UInt64(ProxyHeader.checksumType), bytes: 1)
      header.addBig(4, bytes: 2)
      var sum = CRC32C()
      sum.add(output, count: header.count)
      sum.addZeros(4)
      header.addBig(UInt64(sum.value), bytes: 4)
    }
    return header.count
  }
}

/// Bytes behind one another.
private struct ProxyOutput {
  private let start: UnsafeMutablePointer<UInt8>
  private(set) var count = 0

  init(_ start: UnsafeMutablePointer<UInt8>) { self.start = start }

  mutating func add(_ text: StaticString) {
    (start + count).update(from: text.utf8Start, count: text.utf8CodeUnitCount)
    count += text.utf8CodeUnitCount
  }

  /// The lowest bytes of a word, the highest of them first.
  mutating func addBig(_ word: UInt64, bytes: Int) {
    for index in 0..<bytes {
      start[count] = UInt8(truncatingIfNeeded: word >> UInt64((bytes - 1 - index) * 8))
      count += 1
    }
  }

  mutating func addNumber(_ number: Int, radix: Int) {
    var divisor = 1
    while number / divisor >= radix { divisor *= radix }
    while divisor > 0 {
      let digit = UInt8(truncatingIfNeeded: number / divisor % radix)
      start[count] = digit < 10 ? 0x30 + digit : 0x61 + digit - 10
      count += 1
      divisor /= radix
    }
  }

  mutating func addWords(_ address: ProxyAddress, isIPv4: Bool) {
    if !isIPv4 { addBig(address.high, bytes: 8) }
    addBig(address.low, bytes: isIPv4 ? 4 : 8)
  }

  /// IPv6 with all eight groups: every reader takes them, and no rule for shortening is needed.
  mutating func addText(_ address: ProxyAddress, isIPv4: Bool) {
    guard !isIPv4 else {
      for index in 0..<4 {
        addNumber(Int(address.low >> UInt64((3 - index) * 8) & 0xFF), radix: 10)
        if index < 3 { add(".") }
      }
      return
    }
    for index in 0..<8 {
      let word = index < 4 ? address.high : address.low
      addNumber(Int(word >> UInt64((3 - index % 4) * 16) & 0xFFFF), radix: 16)
      if index < 7 { add(":") }
    }
  }
}
