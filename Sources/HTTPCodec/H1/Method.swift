/// The request method, where `get` in lower case is `other`: methods are case-sensitive.
///
/// Source: RFC 9110 section 9.3; PATCH is RFC 5789.
public enum Method: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  case get
  case head
  case post
  case put
  case delete
  case connect
  case options
  case trace
  case patch
  /// Any other token; its bytes are in the head.
  case other

  /// Whether repeating the request has the effect of sending it once (RFC 9110 section 9.2.2).
  ///
  /// `other` is not: what we do not know we do not repeat.
  @inlinable
  public var isIdempotent: Bool {
    switch self {
    case .get, .head, .put, .delete, .options, .trace: true
    case .post, .connect, .patch, .other: false
    }
  }

  /// Whether the request only reads (RFC 9110 section 9.2.1).
  @inlinable
  public var isSafe: Bool {
    switch self {
    case .get, .head, .options, .trace: true
    case .post, .put, .delete, .connect, .patch, .other: false
    }
  }

  /// The method as sent; `OTHER` for `other`, for metrics with a bounded set of labels.
  public var name: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .connect: "CONNECT"
    case .options: "OPTIONS"
    case .trace: "TRACE"
    case .patch: "PATCH"
    case .other: "OTHER"
    }
  }
}
