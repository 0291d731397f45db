public import Units

/// What becomes of requests to a service while checks find no endpoint of it that works; one word,
/// so that workers share it by compare-exchange.
///
/// ```
///            checks find nobody              checks find somebody
/// serving ─────────────────────▶ out ───────────────────────────────▶ ramp ──2 s──▶ serving
///    ▲                            ▲ │ a probe succeeds
///    │                            │ └──────▶ ramp, doubted ──2 s──▶ serving, doubted
///    │ checks find somebody       │ a request fails   │                   │
///    └──── (no longer doubted) ◀──┴───────────────────┴───────────────────┘
/// ```
///
/// Out, one request a second is let through as a probe, and the others are refused at once. Should
/// that probe succeed, it is the checks that are wrong, and they are doubted: requests go on until
/// one of them fails. On return all follow within 2 s, or the clients that tried again all the while
/// would come at once.
public struct OutageWord: Hashable, Sendable, BitwiseCopyable {
  /// 0 is a service that serves, and nothing ever happened.
  public private(set) var rawValue: UInt64

  public init(rawValue: UInt64 = 0) { self.rawValue = rawValue }

  public enum State: UInt8, Sendable {
    case serving
    case out
    case ramp
  }

  /// What a request is told.
  public enum Decision: Equatable, Sendable {
    case passed
    /// It goes, and what comes of it decides.
    case probe
    /// It does not, and may come again after a while.
    case refused(Nanoseconds)
  }

  /// Between two probes of requests.
  public static let probeInterval = Nanoseconds.seconds(1)
  /// Time in which all requests follow, from a tenth of them on.
  public static let rampTime = Nanoseconds.seconds(2)

  public var state: State { State(rawValue: UInt8(rawValue & 3)) ?? .serving }

  /// Whether requests showed that checks are wrong.
  public var isDoubted: Bool { rawValue & 4 != 0 }

  /// Whether it serves and nobody says otherwise, as nearly always: `admit` would pass any request, and
  /// no outcome changes anything.
  @inlinable public var isPlain: Bool { rawValue & 7 == 0 }

  /// When the next probe goes, or when the ramp began; to a microsecond.
  private var time: Instant { Instant(Int64(rawValue >> 8) * 1_000) }

  private mutating func become(_ state: State, isDoubted: Bool, _ time: Instant) {
    rawValue =
      UInt64(state.rawValue) | (isDoubted ? 4 : 0) | UInt64(max(0, time.rawValue) / 1_000) << 8
  }

  /// Checks find nobody.
  public mutating func foundNobody(at now: Instant) {
    guard state != .out, !isDoubted else { return }
    become(.out, isDoubted: false, now + Self.probeInterval)
  }

  /// Checks find somebody, or do not know of everybody yet.
  public mutating func foundSomebody(at now: Instant) {
    if state == .out { return become(.ramp, isDoubted: false, now) }
    if isDoubted { become(state, isDoubted: false, time) }
  }

  /// Whether a request has a chance; looked at before anything is made for it.
  public func mayAdmit(at now: Instant) -> Bool { state != .out || now >= time }

  /// Time until the next probe.
  public func wait(at now: Instant) -> Nanoseconds { max(.zero, time - now) }

  /// Share of the requests that are let through, in `0...1`.
  public func share(at now: Instant) -> Double {
    switch state {
    case .serving: return 1
    case .out: return 0
    case .ramp:
      let done = (now - time).seconds / Self.rampTime.seconds
      return done >= 1 ? 1 : 0.1 + 0.9 * max(0, done)
    }
  }

  /// Asks for a request's way.
  public mutating func admit(
    at now: Instant,
    using random: inout some RandomNumberGenerator
  ) -> Decision {
    switch state {
    case .serving: return .passed
    case .out:
      guard now >= time else { return .refused(wait(at: now)) }
      become(.out, isDoubted: false, now + Self.probeInterval)
      return .probe
    case .ramp:
      let share = share(at: now)
      if share >= 1 {
        become(.serving, isDoubted: isDoubted, now)
        return .passed
      }
      return Double(random.next() >> 11) * 0x1p-53 < share ? .passed : .refused(Self.probeInterval)
    }
  }

  /// What came of a request.
  public mutating func ended(isSuccess: Bool, isProbe: Bool, at now: Instant) {
    if state == .out {
      if isProbe, isSuccess { become(.ramp, isDoubted: true, now) }
    } else if isDoubted, !isSuccess {
      become(.out, isDoubted: false, now + Self.probeInterval)
    }
  }
}
