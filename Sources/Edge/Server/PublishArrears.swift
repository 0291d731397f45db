internal import Units

/// What is known and could not be published: said once, and tried again less and less often.
struct PublishArrears {
  /// Wait after the first failure in a row, and the longest one; it doubles in between.
  static let waits = Nanoseconds.milliseconds(100)...Nanoseconds.seconds(5)

  /// When it is tried again without another reason, `nil` where nothing is behind.
  private(set) var due: Instant?
  private var wait = Nanoseconds.zero
  private var problem: EdgeError.Code?

  func isDue(at now: Instant) -> Bool { due.map { $0 <= now } ?? false }

  /// It failed.
  ///
  /// - Returns: Whether for a reason of another kind than before.
  mutating func note(_ problem: EdgeError.Code, at now: Instant) -> Bool {
    defer { self.problem = problem }
    wait = min(max(wait + wait, Self.waits.lowerBound), Self.waits.upperBound)
    due = now + wait
    return problem != self.problem
  }

  /// All is published.
  ///
  /// - Returns: Whether it could not be before.
  mutating func end() -> Bool {
    defer { self = PublishArrears() }
    return problem != nil
  }
}
