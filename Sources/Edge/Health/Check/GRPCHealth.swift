/// The messages of gRPC's health protocol, which are small enough to be read and written here.
///
/// Source: `grpc.health.v1` (health.proto), the wire format of Protocol Buffers, and gRPC over HTTP/2.
enum GRPCHealth {
  /// Bytes of an answer that are looked at; a true one has seven.
  static let mostBytes = 1_024
  private static let prefix = 5

  /// A HealthCheckRequest with the prefix that every message has: no compression, its length.
  ///
  /// `service`: At most 256 bytes, empty for the server as a whole.
  static func request(service: String) -> [UInt8] {
    var message: [UInt8] = []
    let name = Array(service.utf8)
    if !name.isEmpty {
      // Field 1, a string.
      message = [0x0A]
      var count = name.count
      while count > 0x7F {
        message.append(UInt8(count & 0x7F) | 0x80)
        count >>= 7
      }
      message.append(UInt8(count))
      message += name
    }
    let length = UInt32(message.count)
    return [0] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + message
  }

  /// Whether the body of an answer is one HealthCheckResponse that says SERVING.
  static func isServing(_ body: [UInt8]) -> Bool {
    guard body.count >= prefix, body[0] == 0 else { return false }
    let length = body[1..<prefix].reduce(0) { $0 << 8 | Int($1) }
    guard length == body.count - prefix else { return false }
    return status(body[prefix...]) == 1
  }

  /// The value of field 1, 0 where it is not there; `nil` for what is no message.
  private static func status(_ message: ArraySlice<UInt8>) -> UInt64? {
    var rest = message
    var found: UInt64 = 0
    while !rest.isEmpty {
      guard let key = varint(&rest), key >> 3 > 0 else { return nil }
      switch key & 7 {
      case 0:
        guard let value = varint(&rest) else { return nil }
        if key >> 3 == 1 { found = value }
      case 1, 5:
        let count = key & 7 == 1 ? 8 : 4
        guard rest.count >= count else { return nil }
        rest = rest.dropFirst(count)
      case 2:
        guard let count = varint(&rest), count <= UInt64(rest.count) else { return nil }
        rest = rest.dropFirst(Int(count))
      default: return nil
      }
    }
    return found
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for index in 0..<10 {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << UInt64(7 * index)
      if byte < 0x80 { return value }
    }
    return nil
  }
}
