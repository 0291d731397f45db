/// Version 2 of the PROXY protocol: a binary header.
///
/// ```
/// signature (12) | version, command (1) | family, transport (1) | length (2) | addresses | TLVs
/// ```
/// Source: "The PROXY protocol", section 2.2.
enum ProxyHeader {
  /// Bytes before the addresses.
  static let fixedBytes = 16
  /// The TLV with the checksum, PP2_TYPE_CRC32C.
  static let checksumType: UInt8 = 0x03

  /// - Returns: As `ProxyParser.parse`; the part of the signature that is there has been seen.
  static func parse(
    _ bytes: UnsafePointer<UInt8>,
    count: Int,
    maximumBytes: Int,
    into prelude: inout ProxyPrelude
  ) -> ProxyOutcome {
    guard count >= fixedBytes else { return .incomplete }
    guard bytes[12] >> 4 == 2 else { return .refused(.unsupportedVersion) }
    guard bytes[12] & 0xF <= 1 else { return .refused(.unsupportedCommand) }
    let length = Int(bytes[14]) << 8 | Int(bytes[15])
    let end = fixedBytes + length
    guard end <= maximumBytes else { return .refused(.tooLong) }
    guard count >= end else { return .incomplete }
    prelude.version = 2
    guard bytes[12] & 0xF == 1 else {
      // LOCAL: whatever else it carries must be ignored.
      prelude.kind = .local
      return .complete(end)
    }
    if let fault = readAddresses(bytes, end: end, into: &prelude) { return .refused(fault) }
    return .complete(end)
  }

  private static func readAddresses(
    _ bytes: UnsafePointer<UInt8>,
    end: Int,
    into prelude: inout ProxyPrelude
  ) -> ProxyFault? {
    let family = bytes[13] >> 4
    let transport = bytes[13] & 0xF
    guard family <= 3, transport <= 2 else { return .unsupportedFamily }
    // Where either is unspecified, where the TLVs begin is not specified either.
    if family == 0 || transport == 0 { return nil }
    guard transport == 1 else { return .unsupportedFamily }
    let size = family == 1 ? 12 : family == 2 ? 36 : 216
    guard end - fixedBytes >= size else { return .shortAddresses }
    let start = bytes + fixedBytes
    switch family {
    case 1:
      prelude.kind = .address
      prelude.source = .init(ipv4: UInt32(truncatingIfNeeded: big(start, 4)), port: port(start + 8))
      prelude.destination = .init(
        ipv4: UInt32(truncatingIfNeeded: big(start + 4, 4)),
        port: port(start + 10)
      )
    case 2:
      prelude.kind = .address
      prelude.source = .init(high: big(start, 8), low: big(start + 8, 8), port: port(start + 32))
      prelude.destination = .init(
        high: big(start + 16, 8),
        low: big(start + 24, 8),
        port: port(start + 34)
      )
    default: prelude.kind = .unix
    }
    return checkExtensions(bytes, from: fixedBytes + size, end: end)
  }

  /// Walks over the TLVs, each at least three bytes, and compares the checksum if there is one.
  private static func checkExtensions(
    _ bytes: UnsafePointer<UInt8>,
    from start: Int,
    end: Int
  ) -> ProxyFault? {
    var position = start
    var checksumAt: Int?
    while position < end {
      guard end - position >= 3 else { return .malformedExtension }
      let length = Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
      guard end - position - 3 >= length else { return .malformedExtension }
      if bytes[position] == checksumType {
        guard length == 4, checksumAt == nil else { return .malformedExtension }
        checksumAt = position + 3
      }
      position += 3 + length
    }
    guard let checksumAt else { return nil }
    // The sum is taken over the whole header with zeros in its own place.
    var sum = CRC32C()
    sum.add(bytes, count: checksumAt)
    sum.addZeros(4)
    sum.add(bytes + checksumAt + 4, count: end - checksumAt - 4)
    return UInt64(sum.value) == big(bytes + checksumAt, 4) ? nil : .wrongChecksum
  }

  private static func big(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<count { value = value << 8 | UInt64(bytes[index]) }
    return value
  }

  private static func port(_ bytes: UnsafePointer<UInt8>) -> UInt16 {
    UInt16(bytes[0]) << 8 | UInt16(bytes[1])
  }
}
