public import Synchronization
public import Units

/// What outlier detection knows of an endpoint, shared by all workers.
///
/// A view of cells in shared memory; zeroes are an endpoint that never did anything.
public struct EndpointRecord: @unchecked Sendable {
  // Safe to share: atomics alone.
  private let base: UnsafeMutablePointer<Atomic<UInt64>>

  /// Cells that one takes, two cache lines.
  public static let cells = 16
  private static let untilCell = 0
  /// Times that it was left out of late, and the cause of the last one.
  private static let timesCell = 1
  private static let serverStreak = 2
  private static let gatewayStreak = 3
  private static let requestsCell = 4
  private static let failuresCell = 5
  /// Microseconds of all answers, and how many these were.
  private static let latencyCell = 6
  private static let answersCell = 7
  /// An operator keeps requests from it.
  private static let drainCell = 8
  private static let seenCell = 9
  /// What checks say of it, and since when.
  private static let checkCell = 10
  private static let checkedCell = 11

  public init(_ base: UnsafeMutablePointer<Atomic<UInt64>>) { self.base = base }

  private func load(_ cell: Int) -> UInt64 { base[cell].load(ordering: .relaxed) }
  private func store(_ cell: Int, _ value: UInt64) { base[cell].store(value, ordering: .relaxed) }

  // MARK: - Ejection

  /// Left out until then; the start of the clock when it never was.
  public var ejectedUntil: Instant { Instant(Int64(bitPattern: load(Self.untilCell))) }

  public func isEjected(at now: Instant) -> Bool { ejectedUntil > now }

  /// Times that it was left out, one less for each interval that it did well since.
  public var times: Int { Int(load(Self.timesCell) & 0xFFFF) }

  public var lastCause: EjectionCause {
    EjectionCause(rawValue: UInt8(truncatingIfNeeded: load(Self.timesCell) >> 16))
      ?? .consecutive5xx
  }

  /// Leaves it out.
  ///
  /// - Returns: Until when.
  @discardableResult
  func eject(_ cause: EjectionCause, at now: Instant, _ settings: OutlierSettings) -> Instant {
    let count = min(times + 1, 0xFFFF)
    store(Self.timesCell, UInt64(count) | UInt64(cause.rawValue) << 16)
    let longest = settings.maximumEjection.seconds
    let seconds = min(settings.baseEjection.seconds * Double(count), longest)
    let until = now + .microseconds(Int64(seconds * 1e6))
    store(Self.untilCell, UInt64(bitPattern: until.rawValue))
    forgetStreaks()
    return until
  }

  /// Share of its requests that it gets, from a tenth when it comes back, in `0...1`.
  public func share(at now: Instant, _ settings: OutlierSettings) -> Double {
    let until = ejectedUntil
    guard until.rawValue != 0, settings.heal > .zero else { return 1 }
    let done = (now - until).seconds / settings.heal.seconds
    return done >= 1 ? 1 : 0.1 + 0.9 * max(0, done)
  }

  /// It did well for an interval: its next time out is a step shorter.
  func forgive() {
    let value = load(Self.timesCell)
    if value & 0xFFFF > 0 { store(Self.timesCell, value - 1) }
  }

  // MARK: - Orders

  /// Whether an operator keeps requests from it.
  public var isDrained: Bool { load(Self.drainCell) != 0 }

  public func drain(_ isDrained: Bool) { store(Self.drainCell, isDrained ? 1 : 0) }

  // MARK: - Checks

  /// What checks say of it.
  public var check: CheckState {
    // Of two that write last each has to see the other: see `CheckFleet.isOut`.
    CheckState(rawValue: base[Self.checkCell].load(ordering: .sequentiallyConsistent))
  }

  /// What checks decided of it, alone: all that a choice has to know.
  public var checkVerdict: CheckVerdict {
    CheckState.verdict(of: base[Self.checkCell].load(ordering: .sequentiallyConsistent))
  }

  /// When that changed last; the start of the clock when it never did.
  public var checkChangedAt: Instant { Instant(Int64(bitPattern: load(Self.checkedCell))) }

  /// Notes what checks say; only the worker that checks it.
  func store(_ state: CheckState, changedAt instant: Instant?) {
    if let instant { store(Self.checkedCell, UInt64(bitPattern: instant.rawValue)) }
    base[Self.checkCell].store(state.rawValue, ordering: .sequentiallyConsistent)
  }

  /// Share of its requests that it gets after checks found it again, from a tenth, in `0...1`.
  public func checkShare(at now: Instant) -> Double {
    let state = check
    guard state.hasReturned, state.verdict == .up else { return 1 }
    let done = (now - checkChangedAt).seconds / OutageWord.rampTime.seconds
    return done >= 1 ? 1 : 0.1 + 0.9 * max(0, done)
  }

  // MARK: - Counts

  /// Counts a success, which is no reason to leave it out.
  ///
  /// `latency`: `nil` where it is of no account.
  public func noteSuccess(_ latency: Nanoseconds?) {
    base[Self.requestsCell].add(1, ordering: .relaxed)
    _ = step(Self.serverStreak, false)
    _ = step(Self.gatewayStreak, false)
    if let latency { countAnswer(latency) }
  }

  /// Counts what came of a request.
  ///
  /// - Returns: Why it should be left out, if it should.
  func note(
    _ outcome: AttemptOutcome,
    latency: Nanoseconds,
    _ settings: OutlierSettings
  ) -> EjectionCause? {
    base[Self.requestsCell].add(1, ordering: .relaxed)
    let server = step(Self.serverStreak, outcome.isServerFailure)
    let gateway = step(Self.gatewayStreak, outcome.isGatewayFailure)
    guard outcome.isServerFailure else {
      if settings.latencyFactor > 0 { countAnswer(latency) }
      return nil
    }
    base[Self.failuresCell].add(1, ordering: .relaxed)
    if settings.consecutiveGatewayFailures > 0,
      gateway >= UInt64(settings.consecutiveGatewayFailures)
    {
      return .consecutiveGateway
    }
    if settings.consecutive5xx > 0, server >= UInt64(settings.consecutive5xx) {
      return .consecutive5xx
    }
    return nil
  }

  private func countAnswer(_ latency: Nanoseconds) {
    base[Self.latencyCell].add(UInt64(max(0, latency.rawValue / 1_000)), ordering: .relaxed)
    base[Self.answersCell].add(1, ordering: .relaxed)
  }

  private func step(_ cell: Int, _ isFailure: Bool) -> UInt64 {
    if isFailure { return base[cell].add(1, ordering: .relaxed).newValue }
    if load(cell) != 0 { store(cell, 0) }
    return 0
  }

  private func forgetStreaks() {
    store(Self.serverStreak, 0)
    store(Self.gatewayStreak, 0)
  }

  /// What an interval brought.
  struct Interval {
    var requests: UInt64 = 0
    var failures: UInt64 = 0
    var microseconds: UInt64 = 0
    var answers: UInt64 = 0

    var successRate: Double { requests == 0 ? 1 : 1 - Double(failures) / Double(requests) }
    var latency: Double { answers == 0 ? 0 : Double(microseconds) / Double(answers) }
  }

  /// The interval as it stands.
  var interval: Interval {
    let requests = load(Self.requestsCell)
    return Interval(
      requests: requests,
      // A request is counted before its failure is.
      failures: min(requests, load(Self.failuresCell)),
      microseconds: load(Self.latencyCell),
      answers: load(Self.answersCell)
    )
  }

  /// Begins the next interval.
  func beginInterval() {
    for cell in [Self.requestsCell, Self.failuresCell, Self.latencyCell, Self.answersCell] {
      store(cell, 0)
    }
  }

  // MARK: - The place's use

  /// Begins anew where the place was another endpoint's; slow plane only.
  ///
  /// - Returns: Whether it is another one.
  func adopt(epoch: UInt32) -> Bool {
    guard load(Self.seenCell) != UInt64(epoch) + 1 else { return false }
    for cell in 0..<Self.cells { store(cell, 0) }
    store(Self.seenCell, UInt64(epoch) + 1)
    return true
  }
}
