internal import HTTPCodec
internal import Reactor

/// Whose share of a service a request takes: the client's address, as long as nothing better is known.
enum RequestTenant {
  /// What clients behind a Unix socket share.
  private static let unknown: UInt64 = 0

  /// A number that requests of one client have in common; not yet mixed with a secret.
  ///
  /// Behind a trusted peer it is the address that this peer saw, which it wrote last. The lower half
  /// of an IPv6 address is the client's to choose, so a network of 64 bits is one client.
  static func number(_ view: RequestView) -> UInt64 {
    if view.isTrusted, let number = forwarded(view) { return number }
    guard !view.peerIsUnix else { return unknown }
    return view.peer.isIPv4 ? view.peer.low : view.peer.high
  }

  /// The last element of the last `x-forwarded-for`, without a port; `nil` where there is none.
  private static func forwarded(_ view: RequestView) -> UInt64? {
    var index = Int(view.head.fieldCount) - 1
    while index >= 0, view.fields[index].known != .xForwardedFor { index -= 1 }
    guard index >= 0 else { return nil }
    let value = view.bytes + Int(view.fields[index].valueStart)
    var end = Int(view.fields[index].valueLength)
    var start = end
    while start > 0, value[start - 1] != UInt8(ascii: ",") { start -= 1 }
    while start < end, isSpace(value[start]) { start += 1 }
    while end > start, isSpace(value[end - 1]) { end -= 1 }
    guard end > start else { return nil }
    return hash(value + start, withoutPort(value + start, end - start))
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// The length of an address that may have a port: `192.0.2.1:80`, `[2001:db8::1]:80`.
  private static func withoutPort(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int {
    var colons = 0
    var first = count
    for index in 0..<count where text[index] == UInt8(ascii: ":") {
      if colons == 0 { first = index }
      colons += 1
    }
    if colons == 1 { return first }
    guard text[0] == UInt8(ascii: "[") else { return count }
    for index in 0..<count where text[index] == UInt8(ascii: "]") { return index + 1 }
    return count
  }

  /// FNV-1a; who may choose the bytes is trusted, and a secret is mixed in before it is used.
  private static func hash(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in 0..<count { hash = (hash ^ UInt64(text[index])) &* 0x100_0000_01B3 }
    return hash
  }
}
