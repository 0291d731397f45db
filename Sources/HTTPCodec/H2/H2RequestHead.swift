/// The scheme of a request (RFC 9110 section 4.2).
public enum H2Scheme: UInt8, Sendable, BitwiseCopyable {
  /// `:scheme` was left out: a CONNECT.
  case none
  case http
  case https
}

/// A checked request head of HTTP/2, laid out as HTTP/1.1 would send it.
///
/// `head` and `fields` are what `RequestParser` would have made of the same request, with these
/// differences: Host comes first and is the authority's, whether it came as `:authority` or as
/// Host; crumbs of a cookie are one field; `isChunked` says that a body of unknown length follows;
/// nothing belongs to the connection. With extended CONNECT the method is CONNECT and the target
/// is a path.
///
/// The pointers are good until the session's workspace receives again.
public struct H2RequestHead: BitwiseCopyable {
  /// What all offsets count from.
  public var bytes: UnsafePointer<UInt8>
  /// `head.fieldCount` fields.
  public var fields: UnsafePointer<HeadField>
  public var head = RequestHead()
  public var scheme = H2Scheme.none
  /// What the client asks for in a Priority field, or the default.
  public var priority = H2Priority()
  /// Whether the request has no body and no trailers.
  public var endsStream = false
  /// The value of `:protocol`, for extended CONNECT (RFC 8441), or `nil`.
  public var protocolName: UnsafePointer<UInt8>?
  /// Its length in bytes.
  public var protocolLength = 0
}
