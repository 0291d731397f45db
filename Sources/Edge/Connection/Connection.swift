internal import Reactor
internal import Units

/// One client's transport, speaking HTTP/1.1; it carries one exchange at a time.
///
/// ```
/// prelude -> idle                             a balancer says who the client is
/// idle -> head -> exchange -> idle            next request
///                    |-> discard -> idle      refused, its body is being dropped
///                    |-> closing -> lingering -> gone
///                    '-> tunnel -> gone       after 101
/// ```
///
/// An idle connection holds this entry, a socket entry and a timer: no buffer, no object.
struct Connection: BitwiseCopyable {
  enum Phase: UInt8, BitwiseCopyable {
    /// A PROXY prelude is to come; who the client is, and what it may, is not known yet.
    case prelude
    /// Between requests.
    case idle
    /// A head has begun.
    case head
    /// A request is under way.
    case exchange
    /// The reply is sent; the rest of the request's body is read and dropped.
    case discard
    /// The reply is being sent; then the connection ends.
    case closing
    /// FIN is sent; the peer's bytes are dropped until it ends too, so that it sees the reply
    /// (RFC 9112 section 9.6).
    case lingering
    /// Bytes in both directions, no HTTP any more.
    case tunnel
    /// Closed; the entry is free and may be another connection's soon.
    case gone
  }

  /// The mark of a connection whose pace is not judged: it is idle.
  static let unpaced: Int64 = -1

  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt16

    /// No bytes are asked for: the upstream is slow, or a later request is waiting.
    static let paused = Flags(rawValue: 1 << 0)
    /// The peer may set forwarding fields and the request id.
    static let isTrusted = Flags(rawValue: 1 << 1)
    /// Closing waits for the peer's end after the reply.
    static let lingers = Flags(rawValue: 1 << 2)
    /// The peer sent FIN.
    static let peerEnded = Flags(rawValue: 1 << 3)
    /// The connection was counted against its address.
    static let isCounted = Flags(rawValue: 1 << 4)
    /// The peer came over a UNIX socket and has no address.
    static let peerIsUnix = Flags(rawValue: 1 << 5)
    /// The connection ends with RST: its response is not complete and nothing else would tell.
    static let resets = Flags(rawValue: 1 << 6)
    /// The next request waits until the client has read the replies before it.
    static let waitsForReader = Flags(rawValue: 1 << 7)
    /// The connection was counted against the maximum of all listeners that state none.
    static let sharesMaximum = Flags(rawValue: 1 << 8)
    /// It carries a call of the edge itself; no socket that was accepted ever has this.
    static let isInternal = Flags(rawValue: 1 << 9)
    /// Such a call, whose answer is read for as long as it lasts.
    static let isEndless = Flags(rawValue: 1 << 10)
  }

  var transport: Transport
  var timer: Int32
  var exchange: Int32
  var listener: Int32
  var phase: Phase
  var flags: Flags
  var peerPort: UInt16
  /// Requests that were begun, and how many it may carry; drawn when it came, so that connections
  /// that began together do not end together.
  var requests: Int32
  var requestBound: Int32
  var input: Input
  /// Bytes of a refused body that may still come.
  var discardLeft: Int64
  /// What the timer means now.
  var deadline: Instant
  /// When the connection has lived long enough; it ends after the request then under way.
  var retiresAt: Instant
  /// Since when the peer's pace is judged, and the bytes that had moved then.
  var paceSince: Instant
  var paceMark: Int64
  /// Bytes received and bytes queued for sending, over the connection's life.
  var bytesIn: Int64
  var bytesOut: Int64
  var peer: IPBytes
}
