/// A checked response head of HTTP/2, laid out as HTTP/1.1 would send it.
///
/// `head` and `fields` are what `ResponseParser` would have made of the same response: the reason
/// phrase is empty, and `framing` is `chunked` for a body of unknown length.
///
/// The pointers are good until the session's workspace receives again.
public struct H2ResponseHead: BitwiseCopyable {
  /// What all offsets count from.
  public var bytes: UnsafePointer<UInt8>
  /// `head.fieldCount` fields.
  public var fields: UnsafePointer<HeadField>
  public var head = ResponseHead()
  /// Whether nothing follows; gRPC calls such a response trailers-only.
  public var endsStream = false
}

/// A checked trailer section of HTTP/2, laid out as HTTP/1.1 would send it.
///
/// The pointers are good until the session's workspace receives again.
public struct H2Trailers: BitwiseCopyable {
  /// What all offsets count from.
  public var bytes: UnsafePointer<UInt8>
  /// `section.fieldCount` fields.
  public var fields: UnsafePointer<HeadField>
  public var section = TrailerSection()
}
