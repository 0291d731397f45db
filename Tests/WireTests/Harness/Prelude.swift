/// Preludes of the PROXY protocol built by hand, well-formed or not.
enum Prelude {
  static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

  static func line(_ client: String, port: Int = 56_324) -> [UInt8] {
    let family = client.contains(":") ? "TCP6" : "TCP4"
    let own = client.contains(":") ? "::1" : "127.0.0.1"
    return Array("PROXY \(family) \(client) \(own) \(port) 443\r\n".utf8)
  }

  /// Version 2 with what stands behind the length as `payload`.
  static func binary(
    version: UInt8 = 0x21,
    family: UInt8 = 0x11,
    _ payload: [UInt8]
  ) -> [UInt8] {
    let length = [UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    return signature + [version, family] + length + payload
  }

  /// Version 2 for a client of IPv4, with TLVs behind the addresses.
  static func header(_ client: [UInt8], tlvs: [UInt8] = []) -> [UInt8] {
    binary(client + [127, 0, 0, 1, 0xDC, 4, 1, 0xBB] + tlvs)
  }

  static func tlv(_ kind: UInt8, _ value: [UInt8]) -> [UInt8] {
    [kind, UInt8(value.count >> 8), UInt8(value.count & 0xFF)] + value
  }

  static let local = binary(version: 0x20, family: 0, [])
}
