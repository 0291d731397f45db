/// What became of the second attempt of a request that was slow.
enum HedgeResult: UInt8, CaseIterable {
  /// It went out.
  case sent
  /// It was answered first.
  case won
  /// The first attempt was answered first.
  case lost
  /// It failed while the first attempt was out.
  case failed
  /// The first attempt failed while it was out: from then on it was the attempt.
  case tookOver
  /// The client left, or the time was up, while both were out.
  case left
  // Why there was none.
  /// There is no other endpoint that may be asked.
  case noEndpoint
  /// The route has had its share of second attempts.
  case share
  /// The budget of the service's retries is used up.
  case budget
  /// The service is limited or has a queue.
  case limited
  /// Admission is in shadow: nothing would keep second attempts within the limit.
  case shadow
  /// The service's breaker is not closed.
  case breaker
  /// The edge itself is overloaded.
  case overload
  /// The client has an interim response already.
  case begun
  /// The first attempt waits for room among the service's connections.
  case noRoom
  /// Too few buffers or entries are left.
  case exhausted

  /// The values of the labels `result` and `reason`.
  var labels: (result: String, reason: String) {
    switch self {
    case .sent: ("sent", "")
    case .won: ("won", "")
    case .lost: ("lost", "")
    case .failed: ("failed", "")
    case .tookOver: ("took-over", "")
    case .left: ("left", "")
    case .noEndpoint: ("refused", "no-other-endpoint")
    case .share: ("refused", "share-used")
    case .budget: ("refused", "budget-exhausted")
    case .limited: ("refused", "service-limited")
    case .shadow: ("refused", "shadow")
    case .breaker: ("refused", "breaker")
    case .overload: ("refused", "edge-overload")
    case .begun: ("refused", "response-begun")
    case .noRoom: ("refused", "connection-limit")
    case .exhausted: ("refused", "buffers-exhausted")
    }
  }
}
