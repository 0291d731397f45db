public import HTTPCodec

/// What a lookup needs of a request: a view of the caller's memory for as long as the lookup runs.
public struct RouteRequest {
  /// The head; host, query, method and fields are offsets into it.
  public var bytes: UnsafePointer<UInt8>
  /// The host without its port, an IPv6 literal with its brackets; length 0 when there is none.
  public var hostStart: Int
  public var hostLength: Int
  /// The path as ``PathNormaliser`` left it, or `*`.
  public var path: UnsafeBufferPointer<UInt8>
  /// The query without its question mark; length 0 when there is none.
  public var queryStart: Int
  public var queryLength: Int
  public var method: Method
  /// The method's bytes, read only when it is `other`.
  public var methodStart: Int
  public var methodLength: Int
  public var fields: UnsafePointer<HeadField>
  public var fieldCount: Int

  @inlinable
  public init(
    bytes: UnsafePointer<UInt8>,
    hostStart: Int,
    hostLength: Int,
    path: UnsafeBufferPointer<UInt8>,
    queryStart: Int,
    queryLength: Int,
    method: Method,
    methodStart: Int,
    methodLength: Int,
    fields: UnsafePointer<HeadField>,
    fieldCount: Int
  ) {
    self.bytes = bytes
    self.hostStart = hostStart
    self.hostLength = hostLength
    self.path = path
    self.queryStart = queryStart
    self.queryLength = queryLength
    self.method = method
    self.methodStart = methodStart
    self.methodLength = methodLength
    self.fields = fields
    self.fieldCount = fieldCount
  }
}

/// The answer to a lookup.
public enum RouteLookup: Equatable, Sendable {
  /// Index of the rule in the list that the table was built from.
  case route(Int32)
  /// No rule serves this host, path, header fields and query.
  case notFound
  /// Some rule would, with one of these methods; `RouteTable.writeAllow` spells them.
  case methodNotAllowed(MethodSet)
}
