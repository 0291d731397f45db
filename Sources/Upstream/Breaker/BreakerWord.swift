public import Units

/// The state machine of a breaker, in one word, so that workers share it by compare-exchange.
///
/// ```
///            trip                    time is up              a probe fails
/// closed ───────────▶ open ──────────────────────▶ half-open ─────────────▶ open, longer;
///    ▲                  ▲                              │                     a service: each second
///    │ time is up       │ trip                         │ all probes succeed
///    └────────────── ramp ◀────────────────────────────┘
/// ```
///
/// Each time that it opens, begins to probe or begins to let more through is a new epoch: outcomes
/// of requests that were let through in another one count no more, so what was on its way when it
/// opened cannot open it again.
/// Source: Nygard, "Release It!", 2007; the ramp is that of Traefik, the back-off that of linkerd.
public struct BreakerWord: Hashable, Sendable, BitwiseCopyable {
  /// 0 is closed, and nothing ever happened.
  public private(set) var rawValue: UInt64

  public init(rawValue: UInt64 = 0) { self.rawValue = rawValue }

  // MARK: - Fields

  private func bits(_ shift: UInt64, _ width: UInt64) -> UInt64 {
    rawValue &>> shift & ((1 &<< width) &- 1)
  }

  private mutating func set(_ shift: UInt64, _ width: UInt64, _ value: UInt64) {
    let mask: UInt64 = (1 &<< width) &- 1
    rawValue = rawValue & ~(mask &<< shift) | (value & mask) &<< shift
  }

  /// What was decided last; a time that is up shows with the next request.
  public private(set) var state: BreakerState {
    get { BreakerState(rawValue: UInt8(bits(0, 2))) ?? .closed }
    set { set(0, 2, UInt64(newValue.rawValue)) }
  }

  public var order: BreakerOrder {
    get { BreakerOrder(rawValue: UInt8(bits(2, 2))) ?? .none }
    set { set(2, 2, UInt64(newValue.rawValue)) }
  }

  /// Times that it opened since it was closed.
  public private(set) var trips: Int {
    get { Int(bits(4, 4)) }
    set { set(4, 4, UInt64(min(newValue, 15))) }
  }

  /// Probes under way or through, and those that succeeded.
  private var started: UInt8 {
    get { UInt8(bits(8, 4)) }
    set { set(8, 4, UInt64(newValue)) }
  }

  private var succeeded: UInt8 {
    get { UInt8(bits(12, 4)) }
    set { set(12, 4, UInt64(newValue)) }
  }

  /// Why it opened last.
  public private(set) var cause: BreakerCause {
    get { BreakerCause(rawValue: UInt8(bits(16, 3))) ?? .consecutive }
    set { set(16, 3, UInt64(newValue.rawValue)) }
  }

  /// The whole service fails: it is asked each second.
  public private(set) var isOutage: Bool {
    get { bits(19, 1) == 1 }
    set { set(19, 1, newValue ? 1 : 0) }
  }

  private var epoch: UInt64 { bits(Self.epochShift, 6) }
  private mutating func beginEpoch() { set(Self.epochShift, 6, epoch &+ 1) }
  @usableFromInline static var epochShift: UInt64 { 20 }

  /// When it changed or will change, by its state.
  ///
  /// Open: until when. Half-open: when probes that did not come back are given up. Ramp: since when.
  /// In milliseconds, of which 38 bits are eight years.
  public private(set) var time: Instant {
    get { Instant(Int64(bits(26, 38)) * 1_000_000) }
    set { set(26, 38, UInt64(max(0, newValue.rawValue / 1_000_000))) }
  }

  // MARK: - Questions

  /// Whether a request would be let through now, or may be by chance.
  public func mayAdmit(at now: Instant, _ settings: BreakerSettings) -> Bool {
    switch order {
    case .open: return false
    case .closed: return true
    case .none: break
    }
    switch state {
    case .closed, .ramp: return true
    case .open: return now >= time
    case .halfOpen: return started < allowedProbes(settings) || now >= time
    }
  }

  /// Whether it works as it should, or nearly.
  public var isHealthy: Bool {
    switch order {
    case .open: false
    case .closed: true
    case .none: state == .closed || state == .ramp
    }
  }

  /// Share of the requests that are let through, in `0...1`; what is half-open counts as all.
  public func share(at now: Instant, _ settings: BreakerSettings) -> Double {
    guard state == .ramp, order == .none else { return 1 }
    let length = rampLength(settings)
    guard length > .zero else { return 1 }
    let done = (now - time).seconds / length.seconds
    return min(1, BreakerSettings.firstShare + (1 - BreakerSettings.firstShare) * max(0, done))
  }

  /// The state that shows from outside.
  public func visibleState(at now: Instant, _ settings: BreakerSettings) -> BreakerState {
    switch order {
    case .open: .open
    case .closed: .closed
    case .none: state == .ramp && share(at: now, settings) >= 1 ? .closed : state
    }
  }

  /// What a request holds while it is closed and nobody has ordered anything, which is nearly always;
  /// `nil` where `admit` has to decide.
  @inlinable public var closedTicket: BreakerTicket? {
    isPlain ? BreakerTicket(epoch: rawValue &>> Self.epochShift, isProbe: false) : nil
  }

  /// Whether it is closed, and by nobody's order.
  @inlinable public var isPlain: Bool { rawValue & 0xF == 0 }

  private func allowedProbes(_ settings: BreakerSettings) -> UInt8 {
    isOutage ? 1 : max(1, min(15, settings.probes))
  }

  private func rampLength(_ settings: BreakerSettings) -> Nanoseconds {
    isOutage ? min(settings.ramp, BreakerSettings.outageRamp) : settings.ramp
  }

  // MARK: - Events

  /// A request wants to pass.
  ///
  /// `takesShare`: Whether a ramp refuses its part; a balancer sees to it by itself.
  public mutating func admit(
    at now: Instant,
    _ settings: BreakerSettings,
    takesShare: Bool = true,
    using random: inout some RandomNumberGenerator
  ) -> BreakerDecision {
    switch order {
    case .open: return .refused(settings.open)
    case .closed: return .admitted(BreakerTicket(epoch: epoch, isProbe: false))
    case .none: break
    }
    switch state {
    case .closed: return .admitted(BreakerTicket(epoch: epoch, isProbe: false))
    case .ramp:
      let share = share(at: now, settings)
      guard share < 1 else {
        // The time in which it opens again for longer is over, too.
        state = .closed
        trips = 0
        isOutage = false
        return .admitted(BreakerTicket(epoch: epoch, isProbe: false))
      }
      if takesShare, Double(random.next() >> 11) * 0x1p-53 >= share {
        return .refused(max(.milliseconds(1), time + rampLength(settings) - now))
      }
      return .admitted(BreakerTicket(epoch: epoch, isProbe: false))
    case .open:
      guard now >= time else { return .refused(time - now) }
      state = .halfOpen
      beginEpoch()
      started = 0
      succeeded = 0
      return probe(at: now)
    case .halfOpen:
      if started < allowedProbes(settings) { return probe(at: now) }
      guard now >= time else { return .refused(BreakerSettings.outageInterval) }
      // Those that are out say nothing any more: others in their place.
      beginEpoch()
      started = 0
      succeeded = 0
      return probe(at: now)
    }
  }

  private mutating func probe(at now: Instant) -> BreakerDecision {
    started += 1
    time = now + BreakerSettings.probeTimeout
    return .admitted(BreakerTicket(epoch: epoch, isProbe: true))
  }

  /// Whether outcomes of a ticket that is no probe count now.
  public func counts(_ ticket: BreakerTicket) -> Bool {
    order == .none && (state == .closed || state == .ramp) && ticket.epoch == epoch
  }

  /// Too much of what was let through failed.
  public mutating func trip(
    _ cause: BreakerCause,
    at now: Instant,
    _ settings: BreakerSettings,
    using random: inout some RandomNumberGenerator
  ) {
    // A ramp that was nobody's to end.
    if state == .ramp, share(at: now, settings) >= 1 { trips = 0 }
    isOutage = false
    open(cause, at: now, settings, using: &random)
  }

  private mutating func open(
    _ cause: BreakerCause,
    at now: Instant,
    _ settings: BreakerSettings,
    using random: inout some RandomNumberGenerator
  ) {
    trips += 1
    self.cause = cause
    state = .open
    beginEpoch()
    let doubled = settings.open.seconds * Double(1 << min(trips - 1, 14))
    time = now + Self.spread(min(doubled, settings.maximumOpen.seconds), using: &random)
  }

  /// What came of a probe; one of another epoch says nothing.
  ///
  /// - Returns: Whether it opened again.
  public mutating func probeEnded(
    _ ticket: BreakerTicket,
    isSuccess: Bool,
    _ scope: BreakerScope,
    at now: Instant,
    _ settings: BreakerSettings,
    using random: inout some RandomNumberGenerator
  ) -> Bool {
    guard isCurrent(ticket) else { return false }
    if isSuccess {
      succeeded += 1
      guard succeeded >= allowedProbes(settings) else { return false }
      state = .ramp
      beginEpoch()
      time = now
      return false
    }
    guard case .service = scope, succeeded == 0 else {
      isOutage = false
      open(.probe, at: now, settings, using: &random)
      return true
    }
    isOutage = true
    cause = .probe
    state = .open
    beginEpoch()
    time = now + Self.spread(BreakerSettings.outageInterval.seconds, using: &random)
    return true
  }

  /// A check found that the endpoint is back: the next request is its probe, whatever time was left,
  /// and the others follow as after an outage.
  ///
  /// In a total outage each endpoint's breaker opens for longer and longer. Without this the first
  /// one that is tried again would carry the load of all for as long as the others have left.
  public mutating func returned(at now: Instant) {
    guard order == .none, state == .open else { return }
    isOutage = true
    trips = 0
    time = min(time, now)
  }

  /// A probe ended without saying anything: another one may go in its place.
  public mutating func probeAbandoned(_ ticket: BreakerTicket) {
    guard isCurrent(ticket), started > 0 else { return }
    started -= 1
  }

  private func isCurrent(_ ticket: BreakerTicket) -> Bool {
    ticket.isProbe && state == .halfOpen && ticket.epoch == epoch
  }

  private static func spread(
    _ seconds: Double,
    using random: inout some RandomNumberGenerator
  ) -> Nanoseconds {
    let draw = Double(random.next() >> 11) * 0x1p-53
    let factor = 1 - BreakerSettings.jitter + 2 * BreakerSettings.jitter * draw
    return .microseconds(Int64(seconds * factor * 1e6))
  }
}
