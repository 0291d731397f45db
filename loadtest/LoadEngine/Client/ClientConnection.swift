internal import HTTPCodec
internal import TLS
internal import Units

/// One connection to the target: HTTP/1.1 with one request at a time, or a session of HTTP/2.
struct ClientConnection: BitwiseCopyable {
  enum State: UInt8 {
    case connecting
    /// TCP stands, TLS does not yet.
    case handshaking
    /// A session of HTTP/2.
    case session
    case idle
    /// Waits for a head, or for the rest of one.
    case head
    case body, chunks, trailers, untilClose
  }

  var state = State.connecting
  var keepsAlive = true
  var socket: Int32 = -1
  var tls: Unmanaged<TLSSession>?
  var http2: Unmanaged<H2Session>?
  /// The call it works for, or -1; of a session the first one of its list.
  var call: Int32 = -1
  /// Calls of a session.
  var streams: Int32 = 0
  /// A session that takes no more calls.
  var isLeaving = false
  /// Whether it is among those that take a call.
  var isListed = false
  /// Among the sessions with something to say.
  var isDirty = false
  /// A session's next neighbour there.
  var nextDirty: Int32 = -1
  /// When bytes came last.
  var heardAt = Instant(0)
  /// The beginning of a head or trailer section that is not whole yet: a block, or -1.
  var block: Int32 = -1
  var start: Int32 = 0
  var end: Int32 = 0
  /// Requests sent on it.
  var uses: UInt32 = 0
  var interims: UInt8 = 0
  /// Bytes of the present answer came.
  var hasAnswer = false
  var status: UInt16 = 0
  /// The reason that the answer gives, as a place of the account, or -1.
  var reason: Int16 = -1
  var bodyLeft: Int64 = 0
  var decoder = ChunkedDecoder(maximumExtensionBytes: 4_096)
  /// Neighbours among those that take a call.
  var previous: Int32 = -1
  var next: Int32 = -1
}
