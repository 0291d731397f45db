internal import HTTPCodec
internal import Reactor
internal import Units

/// One client's transport that speaks HTTP/2; each of its streams is a `Connection` above it.
///
/// ```
/// open -> leaving -> going -> closing -> lingering -> gone
///   |        GOAWAY     GOAWAY   '- all is said; what is queued is being sent
///   |        for none   for the rest
///   '----------------------^  idle, or the process ends
/// ```
///
/// Streams use it through `StreamLink`; nothing that a stream is told of closes the session, so
/// that whoever is telling need not look whether the session is still there.
struct Session: BitwiseCopyable {
  enum Phase: UInt8, BitwiseCopyable {
    /// Takes requests.
    case open
    /// The client knows that it should go; requests on their way are still taken.
    case leaving
    /// No new requests; those before are finished.
    case going
    /// The last bytes are being sent.
    case closing
    /// FIN is sent; the peer's bytes are dropped until it ends too.
    case lingering
  }

  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt8

    /// In the worker's list of sessions that may have something to send.
    static let isDirty = Flags(rawValue: 1 << 0)
    /// Nothing is written until the transport has drained.
    static let waitsForReader = Flags(rawValue: 1 << 1)
    /// No block was there to write into; tried again by the timer.
    static let isStarved = Flags(rawValue: 1 << 2)
    /// Bytes were lost on the way to the transport: nothing behind them makes sense.
    static let isBroken = Flags(rawValue: 1 << 3)
    /// The peer sent FIN.
    static let peerEnded = Flags(rawValue: 1 << 4)
  }

  let transport: Transport
  let http2: Unmanaged<H2Session>
  let timer: Int32
  let listener: Int32
  var phase: Phase
  var flags: Flags
  /// What the connection was known for when it became a session: trust, address, accounting.
  let origin: Connection.Flags
  let peerPort: UInt16
  let peer: IPBytes
  /// Requests that were begun.
  var requests: Int32
  /// The list of its streams, and how many there are.
  var firstLink: Int32
  var streams: Int32
  /// The list of its streams that have something to offer, to consume or to be told.
  var firstReady: Int32
  var nextDirty: Int32
  /// Bytes that its streams have queued, all together.
  var queued: Int
  /// What the timer means now.
  var deadline: Instant
  /// Since when it has no stream.
  var idleSince: Instant
  /// When it has lived long enough.
  let retiresAt: Instant
  /// When the phase began.
  var phaseSince: Instant
  /// Since when the reader's pace is judged, and the bytes that it had taken then.
  var paceSince: Instant
  var paceMark: Int64
  /// Bytes handed to the transport.
  var bytesOut: Int64
  let openedAt: Instant
  /// When the client was heard last.
  var heardAt: Instant
  /// When it was asked by PING whether it is there, and the bytes that it had acknowledged then.
  var askedAt: Instant
  var askedMark: Int64
  /// Since when the rest of a frame or of a field section is awaited, and which one it is.
  var amidSince: Instant
  var amidNumber: UInt32
}

/// What stands between a stream's `Connection` and its session, found by the stream's index.
///
/// It begins with the request and ends when the session lets go of the stream, so it outlives the
/// connection where the end of a response is still to be sent.
struct StreamLink: BitwiseCopyable {
  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt16

    /// Received bytes are not given back to the client's window.
    static let paused = Flags(rawValue: 1 << 0)
    /// The message ends behind what is queued.
    static let finish = Flags(rawValue: 1 << 1)
    /// The session knows of the end.
    static let isEndOffered = Flags(rawValue: 1 << 2)
    /// The final head is submitted.
    static let isAnswered = Flags(rawValue: 1 << 3)
    static let wantsDrain = Flags(rawValue: 1 << 4)
    /// The client's message has ended.
    static let peerEnded = Flags(rawValue: 1 << 5)
    /// In the session's list of ready streams.
    static let isReady = Flags(rawValue: 1 << 6)
    /// We have reset it.
    static let isReset = Flags(rawValue: 1 << 7)
    /// The session has let go of it: its index means another stream soon.
    static let isGone = Flags(rawValue: 1 << 8)
  }

  /// A trailer section that waits for its place, as lines of HTTP/1.1 in a block of its own.
  struct Trailers: BitwiseCopyable {
    var block: Int32 = -1
    var count: Int32 = 0
  }

  let session: Int32
  /// Who is told, or -1 once it has no more interest.
  var connection: Int32
  var flags: Flags = []
  /// What is to be sent, as stretches of blocks.
  var first: Int32 = -1
  var last: Int32 = -1
  var queued: Int32 = 0
  var drainMark: Int32 = 0
  /// Received bytes that are not yet given back to the client's window.
  var held: Int32 = 0
  /// The client's, for the service; and the service's, for the client.
  var requestTrailers = Trailers()
  var responseTrailers = Trailers()
  /// Neighbours in the session's list.
  var previous: Int32 = -1
  var next: Int32 = -1
  var nextReady: Int32 = -1
}
