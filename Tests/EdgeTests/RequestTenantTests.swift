import HTTPCodec
import Reactor
import Testing

@testable import Edge

/// Which requests count as one client's.
struct RequestTenantTests {
  private static func tenant(
    _ forwarded: [String],
    peer: IPBytes = IPBytes(high: 0, low: 0xFFFF_C000_0207),
    isUnix: Bool = false,
    isTrusted: Bool = true
  ) throws -> UInt64 {
    let lines = ["GET /a HTTP/1.1", "Host: h"] + forwarded.map { "X-Forwarded-For: \($0)" }
    return try ParsedRequest.withView(lines, peer: peer, isUnix: isUnix, isTrusted: isTrusted) {
      RequestTenant.number($0)
    }
  }

  @Test func `a stranger is its address, whatever it says`() throws {
    let plain = try Self.tenant([], isTrusted: false)

    #expect(try Self.tenant(["203.0.113.9"], isTrusted: false) == plain)
    #expect(
      try Self.tenant([], peer: IPBytes(high: 0, low: 0xFFFF_C000_0208), isTrusted: false) != plain
    )
  }

  @Test func `a network of 64 bits is one client`() throws {
    func tenant(_ high: UInt64, _ low: UInt64) throws -> UInt64 {
      try Self.tenant([], peer: IPBytes(high: high, low: low), isTrusted: false)
    }

    #expect(try tenant(0x2001_0DB8_0000_0001, 5) == tenant(0x2001_0DB8_0000_0001, 6))
    #expect(try tenant(0x2001_0DB8_0000_0001, 5) != tenant(0x2001_0DB8_0000_0002, 5))
  }

  @Test(arguments: [
    ["203.0.113.9"], ["198.51.100.1, 203.0.113.9"], ["198.51.100.1,203.0.113.9 "],
    ["198.51.100.1", "203.0.113.9"], ["203.0.113.9:41000"], [", 203.0.113.9:1"],
  ])
  func `behind a trusted peer it is the address that this one saw`(_ lines: [String]) throws {
    #expect(try Self.tenant(lines) == Self.tenant(["203.0.113.9"]))
    #expect(try Self.tenant(lines) != Self.tenant(["198.51.100.1"]))
    #expect(try Self.tenant(lines) != Self.tenant([]))
  }

  @Test func `IPv6 addresses are told apart with ports and without`() throws {
    #expect(try Self.tenant(["[2001:db8::1]:80"]) == Self.tenant(["[2001:db8::1]:81"]))
    #expect(try Self.tenant(["2001:db8::1"]) != Self.tenant(["2001:db8::2"]))
  }

  @Test(arguments: [[""], [" , "], [","], ["203.0.113.9, "]])
  func `an empty element says nothing`(_ lines: [String]) throws {
    #expect(try Self.tenant(lines) == Self.tenant([]))
  }

  @Test func `those behind a Unix socket are one, unless it says who they are`() throws {
    #expect(try Self.tenant([], isUnix: true) == 0)
    #expect(try Self.tenant(["203.0.113.9"], isUnix: true) == Self.tenant(["203.0.113.9"]))
  }
}
