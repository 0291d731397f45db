internal import HTTPCodec

/// WebSocket over HTTP/2 (RFC 8441) as HTTP/1.1 asks for it (RFC 6455 section 4.1).
///
/// A stream that is opened by extended CONNECT becomes a GET with an upgrade; the service's 101 is
/// the stream's 200, and what follows are the same bytes on both sides.
enum WebSocketRequest {
  /// Whether an extended CONNECT asks for a WebSocket; nothing else is known to have a form in
  /// HTTP/1.1.
  static func isAskedFor(by head: H2RequestHead) -> Bool {
    guard let name = head.protocolName else { return false }
    return equals(name, head.protocolLength, "websocket")
  }

  /// The field that belongs to the handshake of HTTP/1.1 alone.
  static func isAccept(_ field: HeadField, _ bytes: UnsafePointer<UInt8>) -> Bool {
    equals(bytes + Int(field.nameStart), Int(field.nameLength), "sec-websocket-accept")
  }

  /// Whether a request of HTTP/1.1 can go to a service of HTTP/2 as an extended CONNECT.
  static func isAskedFor(by view: RequestView) -> Bool {
    guard view.webSocketKey == nil else { return true }
    let upgrade = view.first(.upgrade)
    guard upgrade >= 0, view.head.method == .get, view.body.isComplete else { return false }
    let value = view.fields[upgrade]
    guard equals(view.bytes + Int(value.valueStart), Int(value.valueLength), "websocket") else {
      return false
    }
    return key(view.bytes, view.fields, Int(view.head.fieldCount)) != nil
  }

  /// The client's key, unless it is longer than any.
  static func key(
    _ bytes: UnsafePointer<UInt8>,
    _ fields: UnsafePointer<HeadField>,
    _ count: Int
  ) -> (start: UnsafePointer<UInt8>, count: Int)? {
    for index in 0..<count where isKey(fields[index], bytes) {
      let length = Int(fields[index].valueLength)
      guard length <= WebSocketAccept.longestKey else { return nil }
      return (bytes + Int(fields[index].valueStart), length)
    }
    return nil
  }

  static func isKey(_ field: HeadField, _ bytes: UnsafePointer<UInt8>) -> Bool {
    equals(bytes + Int(field.nameStart), Int(field.nameLength), "sec-websocket-key")
  }

  private static func equals(
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    _ text: StaticString
  ) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    for index in 0..<count {
      let byte = bytes[index]
      let small = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
      guard small == text.utf8Start[index] else { return false }
    }
    return true
  }

  /// Writes the fields of the upgrade, with 16 random bytes as the key.
  static func write(_ key: (UInt64, UInt64), into writer: inout ByteWriter) {
    writer.text("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ")
    // Base64: 22 digits of six bits each, the last with four bits of zeros, and the padding.
    var (high, low) = key
    for _ in 0..<21 {
      digit(UInt8(truncatingIfNeeded: high >> 58), &writer)
      high = high << 6 | low >> 58
      low = low << 6
    }
    digit(UInt8(truncatingIfNeeded: high >> 58), &writer)
    writer.text("==\r\n")
  }

  private static func digit(_ value: UInt8, _ writer: inout ByteWriter) {
    let text: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    writer.byte(text.utf8Start[Int(value & 63)])
  }
}
