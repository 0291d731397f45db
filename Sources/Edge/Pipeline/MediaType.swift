internal import HTTPCodec

/// The few media types that change how a response is relayed.
enum MediaType {
  /// The kind of a response that may last for hours; `nil` for any other.
  static func stream(_ view: ResponseView) -> StreamKind? {
    for index in 0..<Int(view.head.fieldCount) where view.fields[index].known == .contentType {
      let value = view.bytes + Int(view.fields[index].valueStart)
      let count = Int(view.fields[index].valueLength)
      if begins(value, count, "text/event-stream") { return .eventStream }
      return begins(value, count, "application/grpc") ? .call : nil
    }
    return nil
  }

  /// Whether it is a call of gRPC: `application/grpc`, or that with a `+` and the encoding.
  static func isGRPC(
    _ bytes: UnsafePointer<UInt8>,
    _ fields: UnsafePointer<HeadField>,
    _ count: Int
  ) -> Bool {
    for index in 0..<count where fields[index].known == .contentType {
      let value = bytes + Int(fields[index].valueStart)
      let length = Int(fields[index].valueLength)
      guard begins(value, length, "application/grpc") else { return false }
      return length == 16 || value[16] == UInt8(ascii: "+") || value[16] == UInt8(ascii: ";")
    }
    return false
  }

  private static func begins(
    _ value: UnsafePointer<UInt8>,
    _ count: Int,
    _ prefix: StaticString
  ) -> Bool {
    guard count >= prefix.utf8CodeUnitCount else { return false }
    // From its end, where types of one kind differ.
    for index in (0..<prefix.utf8CodeUnitCount).reversed()
    where value[index] | 0x20 != prefix.utf8Start[index] | 0x20 {
      return false
    }
    return true
  }
}
