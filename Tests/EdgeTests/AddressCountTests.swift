import Reactor
import Testing

@testable import Edge

/// Who is one client to the bound on connections from one.
struct AddressCountTests {
  private static func bytes(_ text: String) throws -> IPBytes {
    try #require(KernelAddress(ip: text, port: 0)).ip
  }

  @Test(arguments: [
    // Hosts of one /64 are one client, however many addresses they take.
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
    ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
    // Every address of IPv4 is one, also in the mapped form: all of them lie in one /64.
    ("192.0.2.1", "192.0.2.2", false),
    ("192.0.2.1", "::ffff:192.0.2.1", true),
    ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
    ("::ffff:192.0.2.1", "::1", false),
    // So do all machines of a link.
    ("fe80::1", "fe80::2", false),
    ("febf::1", "febf::2", false),
    ("fec0::1", "fec0::2", true),
    ("fd00::1", "fd00::2", true),
  ])
  func `addresses share a bound or have one each`(
    one: String,
    other: String,
    areOne: Bool
  ) throws {
    var counts = AddressCounts()
    let (one, other) = (try Self.bytes(one), try Self.bytes(other))

    let (isFirst, isSecond) = (counts.reserve(one, below: 1), counts.reserve(other, below: 1))
    #expect(isFirst)
    #expect(isSecond == !areOne)
    #expect(counts.clients == (areOne ? 1 : 2))

    counts.giveBack(one)
    if !areOne { counts.giveBack(other) }
    #expect(counts.clients == 0)
    let isAgain = counts.reserve(other, below: 1)
    #expect(isAgain)
  }

  @Test func `a client that takes addresses in turns leaves nothing behind`() throws {
    var counts = AddressCounts()
    let base = try Self.bytes("2001:db8::")

    for low in 0..<10_000 {
      let address = IPBytes(high: base.high, low: UInt64(low) &* 0x9E37_79B9_7F4A_7C15)
      let isFirst = counts.reserve(address, below: 2)
      let isSecond = counts.reserve(IPBytes(high: base.high, low: ~address.low), below: 2)
      let isThird = counts.reserve(address, below: 2)
      #expect(isFirst && isSecond && !isThird)
      counts.giveBack(address)
      counts.giveBack(address)
    }

    #expect(counts.clients == 0)
  }
}
