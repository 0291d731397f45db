/// How the end of a response body is found (RFC 9112 section 6.3).
public enum BodyFraming: UInt8, Sendable, BitwiseCopyable {
  /// There is no body.
  case none
  /// `contentLength` bytes.
  case length
  /// Chunks.
  case chunked
  /// Everything until the upstream closes.
  case untilClose
}

/// A parsed response head: offsets into its buffer and what the fields mean for the connection.
///
/// All offsets count from the pointer given to the parser. Values are meaningful only after
/// `.complete`.
public struct ResponseHead: Sendable, BitwiseCopyable {
  /// The status code, in `100...599`.
  public var status: UInt16 = 0
  /// Offset of the reason phrase.
  public var reasonStart: UInt16 = 0
  /// Length of the reason phrase in bytes, often 0.
  public var reasonLength: UInt16 = 0
  /// Offset of the first field line, or of the empty line when there is none.
  public var fieldsStart: UInt16 = 0
  /// Length of the head through its empty line; the body starts here.
  public var headLength: UInt16 = 0
  /// Fields in the table.
  public var fieldCount: UInt16 = 0
  /// Content-Length in bytes, or -1; with framing `none` it only describes the resource.
  public var contentLength: Int64 = -1
  /// 0 or 1.
  public var minorVersion: UInt8 = 1
  /// How the body ends.
  public var framing = BodyFraming.none
  /// Whether the connection may carry another request afterwards.
  public var keepsAlive = true
  /// Whether the connection becomes a byte tunnel: 101, or a 2xx to CONNECT.
  public var isUpgrade = false
  /// Whether Connection names fields besides close, keep-alive, upgrade and te.
  public var connectionNamesOthers = false

  /// Whether this is a 1xx other than 101: the final response follows.
  @inlinable
  public var isInterim: Bool { status < 200 && status != 101 }

  /// An empty head for the parser to fill.
  @inlinable
  public init() {}
}
