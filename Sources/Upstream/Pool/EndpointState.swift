public import Units

/// What one worker knows of one endpoint: its idle connections, its load, its health.
///
/// Plain memory in the worker's table; nobody else reads it.
public struct EndpointState: BitwiseCopyable {
  /// Which use of the table's place this is: a place is given to another endpoint when its first
  /// one is gone from every configuration.
  public var epoch: UInt32 = 0
  /// The newest configuration has it no more: its connections are not kept, and requests that began
  /// with an older one go elsewhere while they can.
  public var hasLeft = false
  /// Its service's place, and that of what the newest configuration says of it beyond a plain
  /// balance, -1 for nothing.
  public var service: Int32 = -1
  public var policy: Int32 = -1
  /// Requests of this worker that are under way there.
  public var inFlight: Int32 = 0
  /// Of these, those that it owes a response head: no streams, and none that waits for its client.
  public private(set) var awaited: Int32 = 0
  /// When it last answered, or got something to do when it owed nothing.
  public var quietSince = Instant.never
  /// When a response head came last.
  public private(set) var answeredAt = Instant(.min)
  /// Connections of this worker, in any state.
  public var connections: Int32 = 0
  /// Idle connections, linked from the most recently used one.
  public var newestIdle: Int32 = -1
  public var oldestIdle: Int32 = -1
  public var idleCount: Int32 = 0
  /// Sessions of HTTP/2 that take another request, linked from the one that had room last.
  public var firstSession: Int32 = -1
  /// Streams that its last session of HTTP/2 allowed at once.
  ///
  /// A new one is believed to allow as many until it says so itself; 100 before the first, as most
  /// do (RFC 9113 section 6.5.2).
  public var sessionStreams: Int32 = 100
  /// What its last handshake chose, where it may choose.
  public var chosen = ChosenHTTP.unknown
  /// Whether it refused a connection on which HTTP/1.1 alone was offered, and no other handshake has
  /// gone through since.
  public var lacksHTTP1 = false
  /// Connect failures in a row.
  public var failures: Int32 = 0
  /// Time to the response head.
  public var latency = PeakAverage()
  /// Its mean over some twenty answers, in seconds: a peak would hide for long that nothing comes.
  private var meanLatency = 0.0
  private var answers = 0.0
  /// Not chosen before this instant while another can be.
  public var backedOffUntil = Instant(.min)
  /// When a connect failed last.
  public private(set) var failedAt = Instant(.min)
  /// It has as many requests or connections as it may, by what was seen in this turn.
  public var isFull = false
  /// Of two, the other one is chosen before this instant: it said that it has enough to do.
  public var penalisedUntil = Instant(.min)
  /// The weight that follows from what it reports of its load, as long as those of its service are in
  /// use; 0 for none.
  public var reportedWeight: Int32 = 0
  /// What it reports to use, below 0 where it does not.
  public var reportedUtilization: Float = -1
  /// When it joined a service that others served already, for a slow start; else the distant past.
  public var joinedAt = Instant(.min)

  public init() {}

  /// Whether connects to it failed lately, or it has no room for another request.
  public func isBackedOff(at now: Instant) -> Bool { backedOffUntil > now || isFull }

  /// A request of this worker goes there.
  public mutating func began(at now: Instant) {
    inFlight += 1
    beginOwing(at: now)
  }

  /// It owes one of them a response head.
  public mutating func beginOwing(at now: Instant) {
    if awaited == 0 { quietSince = now }
    awaited += 1
  }

  /// It owes one of them nothing any more, whatever becomes of that.
  public mutating func endOwing() { awaited -= 1 }

  /// A response head came.
  ///
  /// `time`: From the begin of the attempt.
  public mutating func answered(after time: Nanoseconds, at now: Instant) {
    latency.observe(time.seconds, at: now)
    // Of the first twenty the plain mean: one of them that was slow is soon one of many.
    answers = min(answers + 1, 1 / Self.meanWeight)
    meanLatency += (max(0, time.seconds) - meanLatency) / answers
    quietSince = now
    answeredAt = now
  }

  /// Whether it owes an answer and was silent for much longer than it usually takes: it may hang,
  /// long before a time-out says so.
  public func isStuck(at now: Instant) -> Bool {
    guard awaited > 0 else { return false }
    return meanLatency > 0
      && (now - quietSince).seconds > max(Self.leastSilence, Self.silence * meanLatency)
  }

  private static let meanWeight = 0.05

  /// Whether it answered at `instant` or later, and is neither silent nor resting nor has it said
  /// that it has enough to do.
  public func works(since instant: Instant, at now: Instant) -> Bool {
    answeredAt >= instant && !hasLeft && backedOffUntil <= now && penalisedUntil <= now
      && !isStuck(at: now)
  }

  /// Whether it answers in a fifth of a time as a rule.
  public func isQuicker(than time: Nanoseconds) -> Bool {
    meanLatency > 0 && Self.silence * meanLatency < time.seconds
  }

  /// In usual latencies: one of 150 exponential answers takes as long.
  private static let silence = 5.0
  /// In seconds; below it a busy loop looks the same.
  private static let leastSilence = 0.02

  /// Notes a failed connect: 250 ms of rest, doubled for each in a row, at most 10 s.
  ///
  /// `jitter`: In `0..<1`; spreads the rest by up to a half, so that workers do not
  ///   come back together.
  public mutating func connectFailed(at now: Instant, jitter: Double) {
    failures = min(failures + 1, 6)
    failedAt = now
    let base = min(Int64(250) << Int64(failures - 1), 10_000)
    let rest = Double(base) * (0.75 + 0.5 * jitter)
    backedOffUntil = now + .microseconds(Int64(rest * 1_000))
  }

  /// A check found it back at `instant`: what failed before that says nothing any more.
  ///
  /// After an outage it would else rest for up to ten seconds while its fellows carry its load.
  mutating func foundBack(at instant: Instant) {
    if failures > 0, failedAt < instant { connected() }
  }

  /// The endpoint answered 429 or 503.
  ///
  /// - Parameters:
  ///   - retryAfter: What it asked for, at most 300 s of which are believed, or `nil`.
  ///   - now: When it did.
  public mutating func refused(retryAfter: Nanoseconds?, at now: Instant) {
    let span = min(max(.seconds(1), retryAfter ?? Self.usualPenalty), Self.longestPenalty)
    penalisedUntil = max(penalisedUntil, now + span)
  }

  /// As linkerd's: without a word of its own, and at most whatever it says.
  private static let usualPenalty = Nanoseconds.seconds(5)
  private static let longestPenalty = Nanoseconds.seconds(300)

  /// Notes that a connection was made.
  public mutating func connected() {
    failures = 0
    backedOffUntil = Instant(.min)
  }
}

/// Which version of HTTP an endpoint that may choose (RFC 7301) chose last.
///
/// It decides how the next connection begins, as one of HTTP/2 for many requests or one of HTTP/1.1
/// for each; a service that changes its mind is followed when the handshake is over.
public enum ChosenHTTP: UInt8, Sendable, BitwiseCopyable {
  case unknown
  case http1
  case http2
}
