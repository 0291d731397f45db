/// An IP address and a port, as a PROXY prelude carries them.
///
/// The address is two words, IPv4 in its IPv6-mapped form (RFC 4291 section 2.5.5.2).
public struct ProxyAddress: Hashable, Sendable, BitwiseCopyable {
  public var high: UInt64
  public var low: UInt64
  public var port: UInt16

  @inlinable
  public init(high: UInt64 = 0, low: UInt64 = 0, port: UInt16 = 0) {
    self.high = high
    self.low = low
    self.port = port
  }

  @inlinable
  public init(ipv4: UInt32, port: UInt16) {
    self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(ipv4), port: port)
  }

  @inlinable public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
}
