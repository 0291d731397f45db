/// What a PROXY prelude says about the connection behind it.
public struct ProxyPrelude: Equatable, Sendable, BitwiseCopyable {
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    /// The balancer speaks for itself, as in a health check: the transport's own addresses count.
    case local
    /// The balancer does not know or does not say: the transport's own addresses count.
    case unknown
    /// `source` and `destination` are those of the client's connection.
    case address
    /// The client came over a UNIX socket and has no address.
    case unix
  }

  public var kind = Kind.unknown
  /// 1 or 2.
  public var version: UInt8 = 0
  /// The client; meaningful for `address` only.
  public var source = ProxyAddress()
  /// Where the client connected to; meaningful for `address` only.
  public var destination = ProxyAddress()

  /// An empty prelude for the parser to fill.
  @inlinable
  public init() {}
}

/// What the parser says about the bytes it has been shown, which depends on them alone, never on
/// how they were cut.
public enum ProxyOutcome: Equatable, Sendable {
  /// A prelude may be there, and more must come.
  case incomplete
  /// A prelude of so many bytes; what follows is the connection's own.
  case complete(Int)
  /// The bytes begin no prelude. To be refused where one is required.
  case absent
  /// A prelude that is malformed: the connection must be cut off.
  case refused(ProxyFault)
}
