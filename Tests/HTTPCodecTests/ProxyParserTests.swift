import HTTPCodec
import Testing

struct ProxyParserTests {
  /// What a parser makes of bytes in a buffer of exactly their size.
  private func parse(
    _ bytes: [UInt8],
    maximumBytes: Int = ProxyParser.defaultMaximumBytes
  ) -> (ProxyOutcome, ProxyPrelude) {
    var prelude = ProxyPrelude()
    let outcome = withExactBuffer(bytes) {
      ProxyParser.parse($0, count: bytes.count, maximumBytes: maximumBytes, into: &prelude)
    }
    return (outcome, prelude)
  }

  /// The outcome of all bytes, after checking that every prefix agrees with it.
  private func outcome(_ bytes: [UInt8]) -> ProxyOutcome {
    let whole = parse(bytes).0
    for count in 0..<bytes.count {
      let part = parse(Array(bytes[..<count])).0
      switch whole {
      case .complete(let length): #expect(part == (count < length ? .incomplete : whole))
      default: #expect(part == .incomplete || part == whole, "\(count) of \(bytes.count)")
      }
    }
    return whole
  }

  private static let signature: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]

  private static func header(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
  }

  private static let ipv4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0x01, 0xBB]
  private static let ipv6: [UInt8] =
    [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
    + [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [2] + [0xDC, 0x04, 0x01, 0xBB]

  private static let client4 = ProxyAddress(ipv4: 0xC000_0201, port: 56_324)
  private static let server4 = ProxyAddress(ipv4: 0xC633_6402, port: 443)
  private static let client6 = ProxyAddress(high: 0x2001_0DB8_0000_0000, low: 1, port: 56_324)
  private static let server6 = ProxyAddress(high: 0x2001_0DB8_0000_0000, low: 2, port: 443)

  // MARK: - Version 1

  @Test(arguments: [
    ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", client4, server4),
    (
      "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", ProxyAddress(ipv4: 0, port: 0),
      ProxyAddress(ipv4: 0xFFFF_FFFF, port: 65_535)
    ),
    ("PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 56324 443\r\n", client6, server6),
    ("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443\r\n", client4, server4),
    ("PROXY TCP6 :: ::1 1 2\r\n", ProxyAddress(port: 1), ProxyAddress(low: 1, port: 2)),
    (
      "PROXY TCP6 1:2:3:4:5:6:7:: 1::3:4:5:6:7:8 1 2\r\n",
      ProxyAddress(high: 0x1_0002_0003_0004, low: 0x5_0006_0007_0000, port: 1),
      ProxyAddress(high: 0x1_0000_0003_0004, low: 0x5_0006_0007_0008, port: 2)
    ),
    (
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::2:3:4:5:6:7:8 65535 65535\r\n",
      ProxyAddress(high: .max, low: .max, port: 65_535),
      ProxyAddress(high: 0x2_0003_0004, low: 0x5_0006_0007_0008, port: 65_535)
    ),
  ])
  func `a line gives both addresses`(
    _ line: String,
    _ source: ProxyAddress,
    _ destination: ProxyAddress
  ) {
    let bytes = Array((line + "GET / HTTP/1.1\r\n").utf8)

    #expect(outcome(bytes) == .complete(line.utf8.count))
    let prelude = parse(bytes).1
    #expect(prelude.kind == .address && prelude.version == 1)
    #expect(prelude.source == source && prelude.destination == destination)
  }

  @Test(arguments: [
    "PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n",
    "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "PROXY UNKNOWN a\u{E9}b c\r\n",
  ])
  func `an unknown client has no address`(_ line: String) {
    let bytes = Array((line + "x").utf8)

    #expect(outcome(bytes) == .complete(line.utf8.count))
    #expect(parse(bytes).1.kind == .unknown)
  }

  @Test(arguments: [
    "PROXY \r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4\r\n", "PROXY TCP4 \r\n",
    "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY UNKNOWNS\r\n", "PROXY UNIX a b\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n",
    "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n",
    "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
    "PROXY TCP4 1.2.3.1000 1.2.3.4 1 2\r\n", "PROXY TCP4 1..3.4 1.2.3.4 1 2\r\n",
    "PROXY TCP4 1.2.3.-4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 99999999999999999999\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 00 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n",
    "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", "PROXY TCP6 1::2::3 ::1 1 2\r\n",
    "PROXY TCP6 ::: ::1 1 2\r\n", "PROXY TCP6 :1 ::1 1 2\r\n", "PROXY TCP6 1: ::1 1 2\r\n",
    "PROXY TCP6 12345:: ::1 1 2\r\n", "PROXY TCP6 g:: ::1 1 2\r\n",
    "PROXY TCP6 1:2:3:4:5:6:7::8 ::1 1 2\r\n", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "PROXY TCP6 [::1] ::1 1 2\r\n", "PROXY TCP6 ::1.2.3.4:1 ::1 1 2\r\n",
    "PROXY TCP6 1:2:3:4:5:6:7:1.2.3.4 ::1 1 2\r\n", "PROXY TCP6 ::1.2.3 ::1 1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "PROXY UNKNOWN a\nb\r\n", "PROXY UNKNOWN\rx",
    "PROXY UNKNOWN \u{0}\r\n",
  ])
  func `a malformed line is refused over every cut`(_ line: String) {
    #expect(outcome(Array(line.utf8)) == .refused(.malformedLine), "\(line)")
  }

  @Test func `a line has 107 bytes at most`() {
    let longest = "PROXY UNKNOWN " + String(repeating: "x", count: 91)

    #expect(outcome(Array((longest + "\r\n").utf8)) == .complete(107))
    #expect(outcome(Array((longest + "x\r\n").utf8)) == .refused(.tooLong))
    #expect(outcome(Array(longest.utf8)) == .incomplete)
    #expect(outcome(Array((longest + "x").utf8)) == .refused(.tooLong))
  }

  // MARK: - Version 2

  @Test func `a header gives both addresses`() {
    let cases: [([UInt8], UInt8, ProxyAddress, ProxyAddress)] = [
      (Self.ipv4, 0x11, Self.client4, Self.server4), (Self.ipv6, 0x21, Self.client6, Self.server6),
    ]
    for (addresses, family, source, destination) in cases {
      let bytes = Self.header(0x21, family, addresses)

      #expect(outcome(bytes + [1, 2, 3]) == .complete(bytes.count))
      let prelude = parse(bytes).1
      #expect(prelude.kind == .address && prelude.version == 2)
      #expect(prelude.source == source && prelude.destination == destination)
    }
  }

  @Test func `headers without an address of the client are told apart`() {
    let cases: [([UInt8], ProxyPrelude.Kind)] = [
      (Self.header(0x20, 0x00, []), .local),
      (Self.header(0x20, 0x11, Self.ipv4), .local),
      (Self.header(0x20, 0xFF, [1, 2, 3]), .local),
      (Self.header(0x21, 0x00, []), .unknown),
      (Self.header(0x21, 0x00, [9, 9, 9]), .unknown),
      (Self.header(0x21, 0x10, Self.ipv4), .unknown),
      (Self.header(0x21, 0x01, Self.ipv4), .unknown),
      (Self.header(0x21, 0x31, [UInt8](repeating: 0x2F, count: 216)), .unix),
    ]
    for (bytes, kind) in cases {
      #expect(outcome(bytes + [0]) == .complete(bytes.count))
      let prelude = parse(bytes).1
      #expect(prelude.kind == kind && prelude.source == ProxyAddress())
    }
  }

  @Test func `extensions are skipped within their bounds`() {
    func with(_ extensions: [UInt8]) -> ProxyOutcome {
      outcome(Self.header(0x21, 0x11, Self.ipv4 + extensions))
    }

    #expect(with([0x04, 0, 0]) == .complete(31))
    #expect(with([0x02, 0, 3, 0x61, 0x2E, 0x62, 0x04, 0, 1, 0, 0xEA, 0, 0]) == .complete(41))
    for bad: [UInt8] in [
      [0x04], [0x04, 0], [0x04, 0, 1], [0x04, 0xFF, 0xFF, 0], [0x04, 0, 0, 0x04],
      [0x03, 0, 3, 0, 0, 0], [0x03, 0, 5, 0, 0, 0, 0, 0], [0x03, 0, 0],
    ] {
      #expect(with(bad) == .refused(.malformedExtension), "\(bad)")
    }
    let sum = [0x03, 0, 4, 0, 0, 0, 0] as [UInt8]
    #expect(with(sum + sum) == .refused(.malformedExtension))
    #expect(with(sum) == .refused(.wrongChecksum))
  }

  @Test func `a checksum covers every byte of the header`() {
    var room = [UInt8](repeating: 0, count: ProxyWriter.maximumBytes)
    let count = ProxyWriter.version2(
      source: Self.client4,
      destination: Self.server4,
      hasChecksum: true,
      into: &room
    )
    let good = Array(room[..<count])
    #expect(outcome(good) == .complete(35))

    for index in 16..<28 {
      var bad = good
      bad[index] ^= 0x10
      #expect(parse(bad).0 == .refused(.wrongChecksum), "byte \(index)")
    }
    // Behind the sum as well, and the value itself.
    for index in 31..<35 {
      var bad = good
      bad[index] ^= 1
      #expect(parse(bad).0 == .refused(.wrongChecksum))
    }
  }

  @Test func `a checksum is the one that others compute`() {
    // "123456789" in a TLV, summed by another implementation: CRC-32C of the 38 bytes below with
    // zeros in place of the sum.
    var bytes = Self.header(
      0x21,
      0x11,
      Self.ipv4 + [0x03, 0, 4, 0, 0, 0, 0] + [0x05, 0, 9] + Array("123456789".utf8)
    )
    let sum = referenceSum(bytes)
    for index in 0..<4 { bytes[31 + index] = UInt8(sum >> (24 - index * 8) & 0xFF) }

    #expect(referenceSum(Array("123456789".utf8)) == 0xE306_9283, "the check value of CRC-32C")
    #expect(outcome(bytes) == .complete(47))
  }

  /// By polynomial division, the highest bit first, as unlike the implementation as can be.
  private func referenceSum(_ bytes: [UInt8]) -> UInt32 {
    func mirrored<T: FixedWidthInteger>(_ value: T) -> T {
      (0..<T.bitWidth).reduce(0) { $0 | (value >> T($1) & 1) << T(T.bitWidth - 1 - $1) }
    }
    var remainder: UInt32 = .max
    for byte in bytes {
      remainder ^= UInt32(mirrored(byte)) << 24
      for _ in 0..<8 {
        let carries = remainder >> 31 == 1
        remainder <<= 1
        if carries { remainder ^= 0x1EDC_6F41 }
      }
    }
    return mirrored(~remainder)
  }

  @Test func `a malformed header is refused over every cut`() {
    let cases: [([UInt8], ProxyFault)] = [
      (Self.header(0x11, 0x11, Self.ipv4), .unsupportedVersion),
      (Self.header(0x31, 0x11, Self.ipv4), .unsupportedVersion),
      (Self.header(0x01, 0x11, Self.ipv4), .unsupportedVersion),
      (Self.header(0x22, 0x11, Self.ipv4), .unsupportedCommand),
      (Self.header(0x2F, 0x11, Self.ipv4), .unsupportedCommand),
      (Self.header(0x21, 0x41, Self.ipv4), .unsupportedFamily),
      (Self.header(0x21, 0x13, Self.ipv4), .unsupportedFamily),
      (Self.header(0x21, 0x12, Self.ipv4), .unsupportedFamily),
      (Self.header(0x21, 0xF0, Self.ipv4), .unsupportedFamily),
      (Self.header(0x21, 0x11, Array(Self.ipv4.dropLast())), .shortAddresses),
      (Self.header(0x21, 0x11, []), .shortAddresses),
      (Self.header(0x21, 0x21, Array(Self.ipv6.dropLast())), .shortAddresses),
      (Self.header(0x21, 0x31, [UInt8](repeating: 0, count: 215)), .shortAddresses),
    ]
    for (bytes, fault) in cases { #expect(outcome(bytes) == .refused(fault), "\(bytes)") }
  }

  @Test func `a header over the bound is refused before its bytes come`() {
    let large = Self.header(0x20, 0, [UInt8](repeating: 0, count: 4_096 - 16))
    let tooLarge = Self.header(0x20, 0, [UInt8](repeating: 0, count: 4_096 - 15))

    #expect(parse(large).0 == .complete(4_096))
    #expect(parse(Array(tooLarge.prefix(16))).0 == .refused(.tooLong))
    #expect(parse(Array(large.prefix(16)), maximumBytes: 100).0 == .refused(.tooLong))
    #expect(parse(Self.signature + [0x21, 0x11, 0xFF, 0xFF]).0 == .refused(.tooLong))
  }

  // MARK: - No prelude

  @Test(arguments: [
    "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}", "POST / HTTP/1.1",
    "PROXYX", "PROXY\r\n", "proxy TCP4", "\r\n\r\nGET", "\n", "\r\n\r\n\u{0}\r\nQUIT\r",
    "PUT /", "PROPFIND /",
  ])
  func `what begins otherwise is no prelude`(_ text: String) {
    #expect(outcome(Array(text.utf8)) == .absent)
  }

  @Test func `nothing yet may become a prelude`() { #expect(parse([]).0 == .incomplete) }
}
