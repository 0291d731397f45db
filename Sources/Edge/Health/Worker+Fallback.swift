internal import Admission
internal import Reactor
internal import Units

/// What stands in for a service of which nobody can be asked.
///
/// ```
/// serve ─▶ refusalAhead ─▶ fallback: its service, or its answer   nothing was made for the request yet
/// attempt ─▶ fail ─▶ fallsBack: the same, with another permit     the breaker opened since
/// ```
///
/// A fallback is compiled as a route like the one that it stands in for, without a fallback of its own:
/// where that has nobody to ask either, the client gets the plain 503.
extension Worker {
  /// Whether an exchange that has nobody to ask goes on with what stands in for its service.
  ///
  /// Nothing of the present attempt was sent. What attempts before sent may be sent again, or there
  /// would not have been this one.
  func fallsBack(_ index: Int32, _ reason: ReplyReason) -> Bool {
    let exchange = exchanges[index]
    let snapshot = snapshots[exchange.pointee.snapshot]
    let place = snapshot.route(exchange.pointee.route).pointee.fallback
    guard place >= 0, exchange.pointee.phase == .connecting, exchange.pointee.upstream < 0,
      exchange.pointee.flags.contains(.canReplay)
    else { return false }
    let route = snapshot.route(place)
    let answersItself = route.pointee.service < 0
    // The head of an upgrade was written for the version of HTTP that it was to go out in.
    if exchange.pointee.flags.contains(.wantsUpgrade) {
      let before = snapshot.service(exchange.pointee.service).pointee.http
      guard !answersItself, snapshot.service(route.pointee.service).pointee.http == before else {
        return false
      }
    }
    endRetry(exchange, .failed)
    if exchange.pointee.health.isWatched { settleHealth(exchange) }
    leaveAdmission(exchange)
    if exchange.pointee.caps.isAny { leaveCaps(exchange, index) }
    exchange.pointee.fallback = reason
    exchange.pointee.route = place
    // It was counted, and came to nothing.
    exchange.pointee.attempts -= 1
    meter.fellBack(route, reason)
    if answersItself {
      end(index, with: snapshot.replies.answer(route.pointee.answer), nil)
    } else {
      move(index, route, snapshot.service(route.pointee.service))
    }
    return true
  }

  /// Begins anew with another service.
  private func move(
    _ index: Int32,
    _ route: UnsafePointer<CompiledRoute>,
    _ service: UnsafePointer<CompiledService>
  ) {
    let exchange = exchanges[index]
    let before = exchange.pointee.admission
    exchange.pointee.service = route.pointee.service
    exchange.pointee.endpoint = -1
    exchange.pointee.previousEndpoint = -1
    exchange.pointee.roomUntil = .never
    exchange.pointee.hedgeAt = .never
    exchange.pointee.flags.remove([.isCounted, .mayHedge, .isReused, .wantsFresh])
    if route.pointee.retry < 0 { exchange.pointee.flags.remove(.mayRetry) }
    var place = AdmissionPlace()
    place.slot = service.pointee.admission
    place.isShadow = service.pointee.isShadow
    place.route = route.pointee.admissionRoute
    place.tenant = before.tenant
    place.priority = before.priority
    place.waited = before.waited
    place.patience = before.patience
    place.isLearned = exchange.pointee.attempts == 0
    var refusal: Refusal?
    if place.slot >= 0 {
      refusal = decide(exchange.pointee.connection, exchange.pointee.deadline, &place)
    }
    exchange.pointee.admission = place
    if let refusal {
      return fail(index, ReplyReason(refusal.reason), retryAfter: refusal.retryAfter)
    }
    guard !place.isWaiting else {
      exchange.pointee.phase = .queued
      return setAttemptDeadline(exchange, .never)
    }
    attemptAndPump(index)
  }
}

extension ReplyReason {
  /// What a fallback stands in for: nobody of the service could be asked.
  static let fallbackReasons: [ReplyReason] = [.breakerOpen, .noHealthyEndpoint, .noEndpoint]

  /// Its place among those, `nil` for all else.
  var fallbackPlace: Int? {
    switch self {
    case .breakerOpen: 0
    case .noHealthyEndpoint: 1
    case .noEndpoint: 2
    default: nil
    }
  }
}
