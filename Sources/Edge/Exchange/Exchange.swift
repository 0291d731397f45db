internal import HTTPCodec
internal import Units
internal import Upstream

/// One request and its response.
///
/// ```
/// queued -> connecting -> waiting -> relaying -> done
///    ^          ^            |           '-> tunnel -> done
///    |          |- repeat ---|
///    '----------'- backoff <-'
/// ```
struct Exchange: BitwiseCopyable {
  enum Phase: UInt8, BitwiseCopyable {
    /// It waits in its class's queue.
    case queued
    /// An attempt failed; it waits until it is time for another.
    case backoff
    /// An upstream connection is being opened.
    case connecting
    /// The request is sent or being sent; no response head yet.
    case waiting
    /// The response head is passed on.
    case relaying
    /// Upgraded: bytes in both directions.
    case tunnel

    /// Whether the service is reached, so that what the client sends may be passed on.
    var hasService: Bool { rawValue >= Phase.waiting.rawValue }
  }

  struct Flags: OptionSet, BitwiseCopyable {
    var rawValue: UInt32

    /// The client speaks HTTP/1.0: no chunks, no interim responses.
    static let isHTTP10 = Flags(rawValue: 1 << 0)
    /// The client connection may carry another request afterwards.
    static let keepsAlive = Flags(rawValue: 1 << 1)
    /// All that was sent upstream lies in `requestBlock` and `kept` still.
    static let canReplay = Flags(rawValue: 1 << 2)
    /// The method promises that sending it twice is harmless (RFC 9110 section 9.2.2).
    static let isIdempotent = Flags(rawValue: 1 << 3)
    /// The upstream connection had carried a request before.
    static let isReused = Flags(rawValue: 1 << 4)
    /// Something of a response came from the upstream.
    static let hasResponse = Flags(rawValue: 1 << 5)
    static let wantsUpgrade = Flags(rawValue: 1 << 6)
    /// The upstream's socket is paused because the client reads slowly.
    static let upstreamPaused = Flags(rawValue: 1 << 7)
    /// The one automatic repeat on a fresh connection was used.
    static let hasRepeated = Flags(rawValue: 1 << 8)
    /// The client waits for 100 and no body byte came yet.
    static let expectsContinue = Flags(rawValue: 1 << 9)
    /// The next attempt takes a fresh connection.
    static let wantsFresh = Flags(rawValue: 1 << 10)
    /// The service ends its connection after this response.
    static let upstreamCloses = Flags(rawValue: 1 << 11)
    /// Tunnel: the service sent FIN.
    static let upstreamEnded = Flags(rawValue: 1 << 12)
    /// The endpoint of this attempt may choose, and has to choose HTTP/1.1.
    static let onlyHTTP1 = Flags(rawValue: 1 << 13)
    /// Of the request's head nothing is left but what the access log needs.
    static let hasNamesOnly = Flags(rawValue: 1 << 14)
    /// A stranger's word made the deadline.
    static let hasStrangersDeadline = Flags(rawValue: 1 << 15)
    /// Its route has failed attempts repeated, and no response was passed on yet.
    static let mayRetry = Flags(rawValue: 1 << 16)
    /// What of the body is sent goes to `kept`, too.
    static let keepsBody = Flags(rawValue: 1 << 17)
    /// A retry was granted, and what becomes of it is not counted yet.
    static let isRetrying = Flags(rawValue: 1 << 18)
    /// The budget of retries knows of the request.
    static let isCounted = Flags(rawValue: 1 << 19)
    /// Its route has hedges, it may have one, and no response was passed on yet.
    static let mayHedge = Flags(rawValue: 1 << 20)
    /// Two attempts are out; `twin` is the other one.
    static let isHedged = Flags(rawValue: 1 << 21)
    /// Of two attempts that are out it is the second.
    static let isHedge = Flags(rawValue: 1 << 22)
    /// There was a second attempt.
    static let wasHedged = Flags(rawValue: 1 << 23)
    /// An interim response was passed on.
    static let hasBegun = Flags(rawValue: 1 << 24)
    /// It is a call of the edge itself.
    static let isInternal = Flags(rawValue: 1 << 25)
    /// Such a call whose answer may begin and end whenever it likes.
    static let isEndless = Flags(rawValue: 1 << 26)
  }

  var phase: Phase
  var flags: Flags
  var method: Method
  /// Attempts that were begun.
  var attempts: UInt8
  /// Retries that were granted, and why the last one was.
  var retries: UInt8 = 0
  var retryCause = RetryCause.reset
  /// Why its route's fallback stands in for the service.
  var fallback: ReplyReason?
  /// Interim responses that came.
  var interims: UInt8
  /// The response's status, 0 before its head.
  var status: UInt16
  var connection: Int32
  var upstream: Int32
  /// The exchange of the other attempt while two are out, else -1.
  var twin: Int32 = -1
  var route: Int32
  var service: Int32
  /// The snapshot's slot, or -1 when what is needed of it lies in `Worker.ledgers`.
  var snapshot: Int32
  var timer: Int32
  /// The head as it goes upstream, with what of the body came along; of one whose client keeps it
  /// waiting only what the access log needs, see `keepNames`; -1 where that lies in `Worker.ledgers`.
  var requestBlock: Int32
  var requestCount: Int32
  var pathStart: UInt16
  var pathLength: UInt16
  var identifierStart: UInt16
  var identifierLength: UInt16
  var methodStart: UInt16 = 0
  var methodLength: UInt16
  /// The caller's trace, for the access log.
  var trace: TraceID
  /// Where the time that is left stands in the head, and that of a call of gRPC, 0 for none.
  var deadlineStart: UInt16
  var callTimeStart: UInt16
  /// Where the attempt's digit stands in the head, 0 for none.
  var attemptStart: UInt16 = 0
  /// How the body goes to the client.
  var responseFraming: BodyFraming
  /// The endpoint of this attempt and of the one before, -1 for none.
  var endpoint: Int32
  var previousEndpoint: Int32
  /// What was sent of a body that does not lie in `requestBlock`, see `keepsBody`.
  var kept = StretchQueue()
  /// Bytes of the body that went out behind `requestBlock` in this attempt, without their framing.
  var bodySent: Int64 = 0
  var request: BodyReader
  var response: BodyReader
  var started: Instant
  /// When the present attempt had its request on an open connection.
  var attemptStarted: Instant
  /// When the response head came.
  var headAt: Instant
  /// End of the whole exchange.
  var deadline: Instant
  /// The caller's own end of a call of gRPC, `.never` for none.
  var callDeadline: Instant
  /// End of the connect or of the attempt, whichever is under way.
  var attemptDeadline: Instant
  /// End of the wait for room among the service's connections, or for a service of HTTP/2 to say
  /// whether it takes WebSockets; `.never` before it began.
  var roomUntil: Instant
  /// When it gets a second attempt, `.never` for not at all.
  var hedgeAt = Instant.never
  /// Since when a tunnel or a stream is silent.
  var lastActivity: Instant
  var bytesIn: Int64
  var bytesOut: Int64
  var admission: AdmissionPlace
  var health = AttemptHealth()
  var caps = ExchangeCaps()
}
