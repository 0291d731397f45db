internal import HTTPCodec
internal import Reactor
internal import Units

/// A transport that speaks HTTP/2, of a client or to an endpoint.
///
/// Each stream of a client's is a `Connection` above it, each of a service's an
/// `UpstreamConnection`; what only the latter have stands in `ServiceSession`.
///
/// ```
/// connecting     towards services only
///   v
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
    /// Requests may be queued; nothing is sent yet.
    case connecting
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
    /// It leads to a service: the edge is the client.
    static let isUpstream = Flags(rawValue: 1 << 5)
    /// In the worker's list of sessions that hold much, see `relieve`.
    static let isHeavy = Flags(rawValue: 1 << 6)
    /// Its client was told that it may have fewer streams than the listener says.
    static let isNarrowed = Flags(rawValue: 1 << 7)
  }

  let transport: Transport
  let http2: Unmanaged<H2Session>
  let timer: Int32
  /// The listener that took it, -1 towards services.
  let listener: Int32
  var phase: Phase
  var flags: Flags
  /// What the connection was known for when it became a session: trust, address, accounting.
  let origin: Connection.Flags
  let peerPort: UInt16
  let peer: IPBytes
  /// Requests that were begun, and how many it may carry.
  var requests: Int32
  var requestBound: Int32
  /// The list of its streams, and how many there are.
  var firstLink: Int32
  var streams: Int32
  /// The list of its streams that have something to offer, to consume or to be told.
  var firstReady: Int32
  var nextDirty: Int32
  /// Bytes that its streams have queued, all together.
  var queued: Int
  /// Bytes that came, until there are enough of them for reads of many blocks at once.
  var bytesIn: Int32 = 0
  /// Bytes that were dropped since the peer's fault ended it.
  var dropped: Int32 = 0
  /// Body bytes of its streams that were sent; since when fewer than `Worker.heldProgress` more were,
  /// and how many they were then.
  var bodyOut: Int64 = 0
  var heldSince = Instant.never
  var heldMark: Int64 = 0
  var nextHeavy: Int32 = -1
  /// The block that small bodies of its streams share, or -1, and where its free part begins.
  var sharedBlock: Int32 = -1
  var sharedEnd: Int32 = 0
  /// What the timer means now.
  var deadline: Instant
  /// Since when it has no stream.
  var idleSince: Instant
  /// What its idle times are shortened by, see `Worker.jittered`; drawn once, as they are looked
  /// at again and again.
  var jitter: UInt8 = 255
  /// When it has lived long enough.
  let retiresAt: Instant
  /// When the phase began.
  var phaseSince: Instant
  /// Since when the reader's pace is judged, and the bytes that it had taken then.
  var paceSince: Instant
  var paceMark: Int64
  /// Bytes handed to the transport.
  var bytesOut: Int64
  /// When our last SETTINGS were sent.
  var settingsAt: Instant
  /// When the client was heard last.
  var heardAt: Instant
  /// When it was asked by PING whether it is there, and the bytes that it had acknowledged then.
  var askedAt: Instant
  var askedMark: Int64
  /// Since when the rest of a frame or of a field section is awaited, and which one it is.
  var amidSince: Instant
  var amidNumber: UInt32
}

/// What stands between a stream's owner and its session, found by the stream's index.
///
/// It begins with the request and ends when the session lets go of the stream, so it outlives the
/// owner where the end of a message is still to be sent.
struct StreamLink: BitwiseCopyable {
  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt16

    /// Received bytes are not given back to the peer's window.
    static let paused = Flags(rawValue: 1 << 0)
    /// The message ends behind what is queued.
    static let finish = Flags(rawValue: 1 << 1)
    /// The session knows of the end.
    static let isEndOffered = Flags(rawValue: 1 << 2)
    /// Our final head, of a response or of the request, is submitted.
    static let isAnswered = Flags(rawValue: 1 << 3)
    static let wantsDrain = Flags(rawValue: 1 << 4)
    /// The peer's message has ended.
    static let peerEnded = Flags(rawValue: 1 << 5)
    /// In the session's list of ready streams.
    static let isReady = Flags(rawValue: 1 << 6)
    /// We have reset it.
    static let isReset = Flags(rawValue: 1 << 7)
    /// The session has let go of it: its index means another stream soon.
    static let isGone = Flags(rawValue: 1 << 8)
    /// It leads to a service: `receiver` is an `UpstreamConnection`.
    static let isUpstream = Flags(rawValue: 1 << 9)
    /// What the peer sent was no valid message.
    static let isMalformed = Flags(rawValue: 1 << 10)
  }

  /// A trailer section that waits for its place, as lines of HTTP/1.1 in a block of its own.
  struct Trailers: BitwiseCopyable {
    var block: Int32 = -1
    var count: Int32 = 0
  }

  let session: Int32
  /// The `Connection` or `UpstreamConnection` that is told, or -1 once it has no more interest.
  var receiver: Int32
  var flags: Flags = []
  /// What is to be sent.
  var outgoing = StretchQueue()
  var drainMark: Int32 = 0
  /// Received bytes that are not yet given back to the peer's window.
  var held: Int32 = 0
  /// Those of the peer's message, and those of ours.
  var incomingTrailers = Trailers()
  var outgoingTrailers = Trailers()
  /// Neighbours in the session's list.
  var previous: Int32 = -1
  var next: Int32 = -1
  var nextReady: Int32 = -1
}
