/// The form of a request target (RFC 9112 section 3.2).
public enum TargetForm: UInt8, Sendable, BitwiseCopyable {
  /// `/path?query`
  case origin
  /// `http://host/path?query`
  case absolute
  /// `host:port`, for CONNECT only.
  case authority
  /// `*`, for OPTIONS only.
  case asterisk
}

/// A parsed request head: offsets into its buffer and what the fields mean for the connection.
///
/// All offsets count from the pointer given to the parser. Values are meaningful only after
/// `.complete`.
public struct RequestHead: Sendable, BitwiseCopyable {
  /// The method, when it is one of the well-known ones.
  public var method = Method.other
  /// The form of the target.
  public var form = TargetForm.origin
  /// Offset of the method: 0, or 2 when an empty line came first.
  public var methodStart: UInt16 = 0
  /// Length of the method in bytes.
  public var methodLength: UInt16 = 0
  /// Offset of the whole target.
  public var targetStart: UInt16 = 0
  /// Length of the whole target in bytes.
  public var targetLength: UInt16 = 0
  /// Offset of the path as sent.
  public var pathStart: UInt16 = 0
  /// Length of the path; 0 for authority-form and for an absolute-form without a path.
  public var pathLength: UInt16 = 0
  /// Offset of the query, behind its question mark.
  public var queryStart: UInt16 = 0
  /// Length of the query, without the question mark.
  public var queryLength: UInt16 = 0
  /// Offset of the effective authority: the target's own if it has one, otherwise Host's.
  public var authorityStart: UInt16 = 0
  /// Length of the effective authority with its port; 0 only for HTTP/1.0 without Host.
  public var authorityLength: UInt16 = 0
  /// Length of the host at the start of the authority, an IPv6 literal with its brackets.
  public var hostLength: UInt16 = 0
  /// Offset of the first field line, or of the empty line when there is none.
  public var fieldsStart: UInt16 = 0
  /// Length of the head through its empty line; the body starts here.
  public var headLength: UInt16 = 0
  /// Fields in the table.
  public var fieldCount: UInt16 = 0
  /// The authority's port, in `0...65535`, or -1 without one.
  public var port: Int32 = -1
  /// The body's length in bytes, or -1 without Content-Length.
  public var contentLength: Int64 = -1
  /// 0 or 1.
  public var minorVersion: UInt8 = 1
  /// Whether the target has a question mark.
  public var hasQuery = false
  /// Whether the body is chunked.
  public var isChunked = false
  /// Whether the client wants another request on this connection (RFC 9112 section 9.3).
  public var keepsAlive = true
  /// Whether the client waits for `100 Continue`; never in HTTP/1.0.
  public var expectsContinue = false
  /// Whether Connection names `upgrade` and Upgrade is there; never in HTTP/1.0.
  public var wantsUpgrade = false
  /// Whether Connection names fields besides close, keep-alive, upgrade and te.
  public var connectionNamesOthers = false
  /// Whether TE lists `trailers`.
  public var acceptsTrailers = false

  /// An empty head for the parser to fill.
  @inlinable
  public init() {}
}
