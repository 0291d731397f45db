/// The fixed part of one access log record; bytes of variable length are appended to it.
///
/// It stays plain data of a fixed layout: a ring copies it as bytes.
public struct AccessRecord: Sendable {
  /// The end of the exchange, in nanoseconds since 1970 (wall clock).
  public var time: Int64 = 0
  /// From the first byte of the request to the last of the response, in nanoseconds.
  public var latency: Int64 = 0
  /// Time in the queue in nanoseconds, negative when there was none.
  public var queued: Int64 = -1
  /// Time that the caller allowed in nanoseconds, negative when it did not say.
  public var deadline: Int64 = -1
  /// Bytes of the request and of the response as they went over the downstream connection.
  public var bytesIn: UInt64 = 0
  public var bytesOut: UInt64 = 0
  public var configVersion: UInt64 = 0
  public var route = NameID.none
  /// The service, and which version and endpoint of it.
  public var upstream = NameID.none
  public var upstreamVersion = NameID.none
  public var endpoint = NameID.none
  public var priorityClass = NameID.none
  public var listener = NameID.none
  public var shedReason = NameID.none
  public var error = NameID.none
  /// Why the route's fallback stood in for its service.
  public var fallback = NameID.none
  public var client = ClientAddress()
  /// The code sent downstream, 499 when the client went away, 0 when there was none.
  public var status: UInt16 = 0
  public var attempts: UInt8 = 0
  public var wire = WireProtocol.http11
  public var isRateLimited = false
  public var isHedged = false

  @inlinable
  public init() {}
}

/// The protocol that a request came in.
public enum WireProtocol: UInt8, Sendable {
  case http10
  case http11
  case http2
}

/// The address of a peer as plain data.
public struct ClientAddress: Sendable {
  /// In network order: IPv4 in the first 4 bytes of `high`, IPv6 in all 16.
  public var high: UInt64 = 0
  public var low: UInt64 = 0
  public var family = Family.none

  public enum Family: UInt8, Sendable {
    /// Not known, or a Unix socket.
    case none
    case ipv4
    case ipv6
  }

  @inlinable
  public init() {}

  /// From the 4 bytes of an IPv4 or the 16 of an IPv6 address in network order; none otherwise.
  @inlinable
  public init(bytes: UnsafeRawBufferPointer) {
    switch bytes.count {
    case 4:
      family = .ipv4
      high = UInt64(bytes.loadUnaligned(as: UInt32.self).bigEndian) << 32
    case 16:
      family = .ipv6
      high = bytes.loadUnaligned(as: UInt64.self).bigEndian
      low = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian
    default: break
    }
  }
}

/// The bytes of variable length that a record may carry.
public enum AccessField: UInt8, Sendable, CaseIterable {
  /// The method as the client wrote it.
  case method
  /// The normalised path without its query, which may name persons.
  case path
  case requestId
  case traceId
  case tenantId
  /// The subject of the client's certificate, which was verified.
  case clientSubject
  /// Its alternative names, a line feed between two.
  case clientNames
}
