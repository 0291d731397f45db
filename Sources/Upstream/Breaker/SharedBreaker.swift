public import Synchronization
public import Units

/// A breaker that all workers share: its state, what it counts, and what became of it.
///
/// A view of cells in shared memory; zeroes are a closed breaker. While it is closed a request costs
/// a load when it begins, and one or two compare-exchanges when it ends. Counts that race with a
/// bucket's turn may lose one; the state never does.
public struct SharedBreaker: @unchecked Sendable {
  // Safe to share: atomics alone.
  private let base: UnsafeMutablePointer<Atomic<UInt64>>

  /// Cells that one takes, four cache lines.
  public static let cells = 32
  private static let streakCell = 1
  private static let trips = 2
  /// Outcomes and failures, and outcomes and slow ones, by slices of the window.
  static let outcomes = 8
  private static let slowness = 18
  private static let slices = BreakerCounting.slices
  static let countBits: UInt64 = 20

  public init(_ base: UnsafeMutablePointer<Atomic<UInt64>>) { self.base = base }

  public var word: BreakerWord {
    BreakerWord(rawValue: base[0].load(ordering: .relaxed))
  }

  /// Failures in a row.
  public var streak: Int { Int(base[Self.streakCell].load(ordering: .relaxed)) }

  /// Times that it opened for a reason, ever.
  public func tripCount(_ cause: BreakerCause) -> UInt64 {
    base[Self.trips + Int(cause.rawValue)].load(ordering: .relaxed)
  }

  /// Changes the state as `change` says, however many others do at once.
  private func update<Result>(_ change: (inout BreakerWord) -> Result) -> Result {
    var seen = base[0].load(ordering: .relaxed)
    while true {
      var word = BreakerWord(rawValue: seen)
      let result = change(&word)
      guard word.rawValue != seen else { return result }
      let (isDone, now) = base[0].compareExchange(
        expected: seen,
        desired: word.rawValue,
        ordering: .relaxed
      )
      if isDone { return result }
      seen = now
    }
  }

  /// Asks for a request's way; see `BreakerWord.admit`.
  public func admit(
    at now: Instant,
    _ settings: BreakerSettings,
    takesShare: Bool = true,
    using random: inout some RandomNumberGenerator
  ) -> BreakerDecision {
    update { $0.admit(at: now, settings, takesShare: takesShare, using: &random) }
  }

  /// Orders it open or closed, or lets it decide again, beginning with closed.
  public func order(_ order: BreakerOrder) {
    update { word in
      if order == .none { word = BreakerWord() }
      word.order = order
    }
    if order == .none { forgetCounts() }
  }

  /// A check found that the endpoint is back; see `BreakerWord.returned`.
  public func returned(at now: Instant) { update { $0.returned(at: now) } }

  /// A request that was let through while the breaker was closed, as it still is, has come to a
  /// success: nearly all do.
  ///
  /// - Returns: False where `end` has to say what comes of it.
  public func endWell(
    _ ticket: BreakerTicket,
    latency: Nanoseconds,
    at now: Instant,
    _ counting: BreakerCounting
  ) -> Bool {
    guard word.closedTicket == ticket,
      counting.slowCall == .zero || latency < counting.slowCall
    else { return false }
    endStreak()
    let slice = counting.slice(at: now)
    if counting.countsFailures { add(slice, false, Self.outcomes) }
    if counting.slowCall > .zero { add(slice, false, Self.slowness) }
    return true
  }

  /// What came of a request.
  ///
  /// `ticket`: What `admit` gave; ends here.
  /// `outcome`: `nil` when it says nothing about the service.
  /// `latency`: Time to the response head, for an answer.
  ///
  /// - Returns: Whether the breaker opened by it.
  @discardableResult
  public func end(
    _ ticket: BreakerTicket,
    _ outcome: AttemptOutcome?,
    latency: Nanoseconds = .zero,
    _ scope: BreakerScope,
    at now: Instant,
    _ settings: BreakerSettings,
    using random: inout some RandomNumberGenerator
  ) -> Bool {
    guard ticket.isHeld else { return false }
    guard let outcome else {
      if ticket.isProbe { update { $0.probeAbandoned(ticket) } }
      return false
    }
    let isFailure = settings.failures.contains(outcome)
    let isSlow = settings.slowCall > .zero && !isFailure && latency >= settings.slowCall
    guard !ticket.isProbe else {
      let hasOpened = update {
        $0.probeEnded(
          ticket,
          isSuccess: !isFailure && !isSlow,
          scope,
          at: now,
          settings,
          using: &random
        )
      }
      if hasOpened { count(.probe) } else { forgetCounts() }
      return hasOpened
    }
    guard word.counts(ticket) else { return false }
    guard let cause = judge(isFailure: isFailure, isSlow: isSlow, scope, at: now, settings)
    else {
      return false
    }
    let hasOpened = update { word in
      // Somebody else may have been first.
      guard word.counts(ticket) else { return false }
      word.trip(cause, at: now, settings, using: &random)
      return true
    }
    if hasOpened {
      count(cause)
      forgetCounts()
    }
    return hasOpened
  }

  /// A connect failed that belongs to no single request: as a failure, and as that of a probe where
  /// one may be the reason for it.
  @discardableResult
  public func connectFailed(
    _ scope: BreakerScope,
    at now: Instant,
    _ settings: BreakerSettings,
    using random: inout some RandomNumberGenerator
  ) -> Bool {
    guard settings.failures.contains(.connectFailure) else { return false }
    let ticket = word.presentTicket
    return end(ticket, .connectFailure, scope, at: now, settings, using: &random)
  }

  // MARK: - Counts

  private func count(_ cause: BreakerCause) {
    base[Self.trips + Int(cause.rawValue)].add(1, ordering: .relaxed)
  }

  private func endStreak() {
    if base[Self.streakCell].load(ordering: .relaxed) != 0 {
      base[Self.streakCell].store(0, ordering: .relaxed)
    }
  }

  private func forgetCounts() {
    base[Self.streakCell].store(0, ordering: .relaxed)
    for cell in Self.outcomes..<(Self.slowness + Self.slices) {
      base[cell].store(0, ordering: .relaxed)
    }
  }

  /// Counts an outcome.
  ///
  /// - Returns: Why the breaker has to open, if it has to.
  private func judge(
    isFailure: Bool,
    isSlow: Bool,
    _ scope: BreakerScope,
    at now: Instant,
    _ settings: BreakerSettings
  ) -> BreakerCause? {
    var streak: UInt64 = 0
    if isFailure {
      streak = base[Self.streakCell].add(1, ordering: .relaxed).newValue
    } else {
      endStreak()
    }
    if isFailure, settings.consecutiveFailures > 0,
      streak >= UInt64(settings.consecutiveFailures) * UInt64(scope.streakFactor)
    {
      return .consecutive
    }
    let slice = settings.counting.slice(at: now)
    if settings.failureRatio > 0 {
      add(slice, isFailure, Self.outcomes)
      if isFailure, isOver(slice, settings.failureRatio, settings, Self.outcomes) { return .ratio }
    }
    if settings.slowCall > .zero, !isFailure {
      add(slice, isSlow, Self.slowness)
      if isSlow, isOver(slice, settings.slowRatio, settings, Self.slowness) { return .slow }
    }
    return nil
  }

  /// A slice's number of 24 bits, then how many outcomes, then how many bad ones.
  private func add(_ slice: UInt64, _ isBad: Bool, _ first: Int) {
    let cell = base + first + Int(slice % UInt64(Self.slices))
    let number = slice & 0xFF_FFFF
    let most: UInt64 = (1 << Self.countBits) - 1
    var seen = cell.pointee.load(ordering: .relaxed)
    while true {
      var next = seen
      if seen >> (2 * Self.countBits) != number || seen == 0 {
        next = number << (2 * Self.countBits)
      }
      // A full slice keeps its share, and what comes counts on: half of both goes.
      if next >> Self.countBits & most == most {
        let (all, bad) = (next >> Self.countBits & most, next & most)
        next = number << (2 * Self.countBits) | (all / 2) << Self.countBits | bad / 2
      }
      next += 1 << Self.countBits
      if isBad { next += 1 }
      let (isDone, now) = cell.pointee.compareExchange(
        expected: seen,
        desired: next,
        ordering: .relaxed
      )
      if isDone { return }
      seen = now
    }
  }

  private func isOver(
    _ slice: UInt64,
    _ ratio: Double,
    _ settings: BreakerSettings,
    _ first: Int
  ) -> Bool {
    let most: UInt64 = (1 << Self.countBits) - 1
    var total: UInt64 = 0
    var bad: UInt64 = 0
    for cell in first..<(first + Self.slices) {
      let value = base[cell].load(ordering: .relaxed)
      let age = (slice &- value >> (2 * Self.countBits)) & 0xFF_FFFF
      guard age < UInt64(Self.slices) else { continue }
      total += value >> Self.countBits & most
      bad += value & most
    }
    return total >= UInt64(max(1, settings.minimumRequests)) && Double(bad) >= ratio * Double(total)
  }
}

extension BreakerWord {
  /// What a request that was let through just now would hold.
  var presentTicket: BreakerTicket {
    BreakerTicket(epoch: rawValue >> 20 & 0x3F, isProbe: state == .halfOpen)
  }
}
