internal import Reactor

/// How many connections each client has: an address of IPv4, or a network of IPv6.
///
/// A client of IPv6 has at least a /64 to itself (RFC 6177 section 2, RFC 7421) and takes another of
/// its 2^64 addresses for each connection, if it likes: counted one by one they would bound nobody.
/// Addresses within one link are the exception, since all of its machines are in one /64 there.
struct AddressCounts {
  private var counts: [IPBytes: Int32] = [:]

  /// Clients that have a connection.
  var clients: Int { counts.count }

  mutating func reserve(_ address: IPBytes, below maximum: Int) -> Bool {
    let client = Self.client(address)
    let count = counts[client, default: 0]
    guard Int(count) < maximum else { return false }
    counts[client] = count + 1
    return true
  }

  /// Nothing below zero: an address that has nothing reserved is left alone.
  mutating func giveBack(_ address: IPBytes) {
    let client = Self.client(address)
    guard let count = counts[client] else { return }
    counts[client] = count > 1 ? count - 1 : nil
  }

  /// What an address is counted as.
  private static func client(_ address: IPBytes) -> IPBytes {
    // fe80::/10, RFC 4291 section 2.5.6.
    let isLinkLocal = address.high >> 54 == 0xFE80 >> 6
    guard !address.isIPv4, !isLinkLocal else { return address }
    return IPBytes(high: address.high, low: 0)
  }
}
