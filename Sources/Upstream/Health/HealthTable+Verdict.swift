public import Units

/// What checks, breakers and outlier detection together say of an endpoint.
extension HealthTable {
  /// Whether checks let it be asked.
  ///
  /// One that was never checked serves only while nobody is known to work: those that do can carry
  /// the load for the moment that its first check takes.
  func passesChecks(_ place: Int32, knowsUp: Bool) -> Bool {
    switch record(place).checkVerdict {
    case .up: true
    case .unknown: !knowsUp
    case .down: false
    }
  }

  /// Whether nothing is against an endpoint, an operator's orders apart.
  ///
  /// - Parameters:
  ///   - place: The endpoint's.
  ///   - policy: What its service says.
  ///   - knowsUp: Whether checks found somebody: who was never checked is not healthy then.
  ///   - now: The time of this turn.
  /// - Returns: What all of those that the service has configured agree on.
  public func isHealthy(
    _ place: Int32,
    _ policy: UnsafePointer<ChoicePolicy>,
    knowsUp: Bool,
    at now: Instant
  ) -> Bool {
    if policy.pointee.hasChecks, !passesChecks(place, knowsUp: knowsUp) { return false }
    if policy.pointee.hasBreaker, !breaker(place).word.isHealthy { return false }
    return !policy.pointee.hasOutlier || !record(place).isEjected(at: now)
  }
}
