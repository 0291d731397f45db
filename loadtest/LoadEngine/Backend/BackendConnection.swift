internal import HTTPCodec
internal import Units

/// One client of the simulated service, or of its control API.
struct BackendConnection: BitwiseCopyable {
  enum State: UInt8 {
    /// Reads a head.
    case head
    /// Reads a body to its end.
    case body, chunks, trailers
    /// A session of HTTP/2; its requests are entries of their own.
    case session
    /// Its request is inside the service.
    case inside
    /// Its request is never answered.
    case hanging
    /// Its answer goes out in pieces.
    case dribbling
    /// Everything is queued; closed when it is sent.
    case closing
    /// The client left, its request is still worked on.
    case gone
  }

  var state = State.head
  var isControl = false
  var keepsAlive = true
  var isHead = false
  /// A request came on it, so it speaks HTTP/1.1.
  var hasBegun = false
  var isPost = false
  var socket: Int32 = -1
  /// Unread bytes: a block, or -1, and the stretch of it.
  var block: Int32 = -1
  var start: Int32 = 0
  var end: Int32 = 0
  /// Blocks that came while the block was still in use, in `Backend.pending`.
  var firstPending: Int32 = -1
  var lastPending: Int32 = -1
  var pendingCount: Int32 = 0
  var timer: Int32 = -1
  /// A place in the settings' routes, or -1.
  var route: Int32 = -1
  /// Of a body that has a length.
  var bodyLeft: Int64 = 0
  var decoder = ChunkedDecoder(maximumExtensionBytes: 4_096)
  /// Pieces of a slow answer that are still to be sent.
  var piecesLeft: Int32 = 0
  var isPaused = false

  // HTTP/2: what a session has, and what each of its requests has.

  var http2: Unmanaged<H2Session>?
  /// A session's first request.
  var firstChild: Int32 = -1
  /// In the list of sessions with something to say, and the next there.
  var isDirty = false
  var nextDirty: Int32 = -1
  /// A request's session, or -1 for a connection; its stream, and neighbours among the requests.
  var session: Int32 = -1
  var stream: Int32 = -1
  var previousChild: Int32 = -1
  var nextChild: Int32 = -1
  var isGRPC = false
  /// Bytes of the answer's body that were sent, and what it is.
  var sent: Int64 = 0
  var answer = BackendAnswers.Kind.served
}

/// A received block that waits for the answer to an earlier request.
struct PendingBlock: BitwiseCopyable {
  var block: Int32
  var count: Int32
  var next: Int32
}
