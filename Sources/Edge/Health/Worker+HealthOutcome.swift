internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// Stage 13, behind it: what came of an attempt, for breakers, outlier detection and outages.
extension Worker {
  /// A response head came.
  func judgeHead(_ exchange: UnsafeMutablePointer<Exchange>, _ view: ResponseView) {
    let isRefusal = exchange.pointee.admission.outcome == .dropped
    let outcome = AttemptOutcome(view, isRefusal: isRefusal)
    exchange.pointee.health.outcome = outcome
    // A probe decides for all who wait for it, and a failure stays one whatever its body does.
    let isProbe =
      exchange.pointee.health.service.isProbe || exchange.pointee.health.endpoint.isProbe
      || exchange.pointee.health.outage == .probe
    if outcome != .success || isProbe { settleHealth(exchange) }
  }

  /// The exchange ends in a reply of ours; `noteFailure` has judged whose doing it is.
  func judgeFailure(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: ReplyReason) {
    guard exchange.pointee.headAt == .never, let outcome = reason.attemptOutcome else { return }
    switch outcome {
    case .connectFailure:
      // The endpoint was told when the connection failed, once for all who waited for it.
      if reason == .connectTimeout, exchange.pointee.admission.isOurFault { return }
      forgetAttempt(exchange)
    case .timeout:
      // Who waits for room among the service's connections has asked nobody.
      if exchange.pointee.admission.outcome == .ignored || exchange.pointee.upstream < 0 { return }
    case .success, .reset, .gatewayError, .serverError, .tooManyRequests: break
    }
    exchange.pointee.health.outcome = outcome
    settleHealth(exchange)
  }

  /// The response broke behind its head.
  func judgeBreak(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: ReplyReason) {
    guard exchange.pointee.health.outcome == .success, let outcome = reason.attemptOutcome else {
      return
    }
    exchange.pointee.health.outcome = outcome == .timeout ? .timeout : .reset
  }

  /// Whether it is the service that lets a response stand still while the time for it runs out: not
  /// a client that reads slowly or has yet to send, and not a deadline that a stranger made.
  func isServicesTime(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
    exchange.pointee.request.isComplete && !exchange.pointee.admission.wasSlow
      && exchange.pointee.flags.isDisjoint(with: [.upstreamPaused, .hasStrangersDeadline])
  }

  /// Tells breakers and outlier detection what came of an exchange; the second time there is nothing
  /// left to tell.
  func settleHealth(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.health.isWatched else { return }
    let owed = exchange.pointee.health
    exchange.pointee.health = AttemptHealth()
    exchange.pointee.health.key = owed.key
    guard let (policy, service) = policy(exchange) else { return }
    let latency = latency(exchange)
    if exchange.pointee.endpoint >= 0 {
      let place = exchange.pointee.endpoint
      settleEndpoint(place, owed.endpoint, owed.outcome, latency, policy, service)
    }
    if owed.outage != .none, let outcome = owed.outcome {
      noteOutage(outcome, service.pointee.place, isProbe: owed.outage == .probe)
    }
    guard owed.service.isHeld else { return }
    let breaker = shared.health.breaker(ofService: service.pointee.place)
    let scope = BreakerScope.service(endpoints: policy.pointee.table.count)
    end(owed.service, of: breaker, owed.outcome, latency, scope, policy.pointee.choice)
  }

  /// Tells a breaker what came of a ticket; nearly always a success, which takes the short way.
  ///
  /// - Returns: Whether the breaker opened by it.
  @discardableResult
  private func end(
    _ ticket: BreakerTicket,
    of breaker: SharedBreaker,
    _ outcome: AttemptOutcome?,
    _ latency: Nanoseconds,
    _ scope: BreakerScope,
    _ choice: UnsafePointer<ChoicePolicy>
  ) -> Bool {
    let (now, counting) = (reactor.now, choice.pointee.breaker.counting)
    if outcome == .success, breaker.endWell(ticket, latency: latency, at: now, counting) {
      return false
    }
    return breaker.end(
      ticket,
      outcome,
      latency: latency,
      scope,
      at: now,
      choice.pointee.breaker,
      using: &random
    )
  }

  private func noteOutage(_ outcome: AttemptOutcome, _ service: Int32, isProbe: Bool) {
    let outage = shared.health.service(service).outage
    guard isProbe || outage.word.isDoubted else { return }
    let now = reactor.now
    outage.update { $0.ended(isSuccess: !outcome.isGatewayFailure, isProbe: isProbe, at: now) }
  }

  private func latency(_ exchange: UnsafeMutablePointer<Exchange>) -> Nanoseconds {
    guard exchange.pointee.headAt != .never, !exchange.pointee.flags.contains(.isEndless) else {
      return .zero
    }
    return exchange.pointee.headAt - exchange.pointee.attemptStarted
  }

  /// The attempt is given up for one that may go elsewhere, and nobody's fault.
  ///
  /// Before the exchange forgets which endpoint it was: a probe that nobody ends would be waited for.
  @inline(__always)
  func forgetAttempt(_ exchange: UnsafeMutablePointer<Exchange>) {
    let ticket = exchange.pointee.health.endpoint
    if ticket.isHeld { forget(ticket, exchange) }
  }

  private func forget(_ ticket: BreakerTicket, _ exchange: UnsafeMutablePointer<Exchange>) {
    exchange.pointee.health.endpoint = .none
    guard exchange.pointee.health.isWatched, exchange.pointee.endpoint >= 0,
      let (policy, service) = policy(exchange)
    else { return }
    settleEndpoint(exchange.pointee.endpoint, ticket, nil, .zero, policy, service)
  }

  /// A client holds an attempt up: others are asked in its place where it was a probe, on which all
  /// would have to wait.
  func giveUpProbes(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.health.isWatched, exchange.pointee.health.outcome == nil,
      exchange.pointee.health.service.isProbe || exchange.pointee.health.endpoint.isProbe
    else { return }
    settleHealth(exchange)
  }

  /// Ends what an attempt owes its endpoint.
  private func settleEndpoint(
    _ place: Int32,
    _ ticket: BreakerTicket,
    _ outcome: AttemptOutcome?,
    _ latency: Nanoseconds,
    _ policy: UnsafePointer<ServicePolicy>,
    _ service: UnsafePointer<CompiledService>
  ) {
    guard ticket.isHeld || outcome != nil else { return }
    let breaker = shared.health.breaker(place)
    if end(ticket, of: breaker, outcome, latency, .endpoint, policy.pointee.choice) {
      shared.health.service(service.pointee.place).noteChange()
    }
    guard let outcome, outcome != .connectFailure else { return }
    noteOutlier(outcome, place, latency, policy, service.pointee.place)
  }

  private func noteOutlier(
    _ outcome: AttemptOutcome,
    _ place: Int32,
    _ latency: Nanoseconds,
    _ policy: UnsafePointer<ServicePolicy>,
    _ service: Int32
  ) {
    let choice = policy.pointee.choice
    guard choice.pointee.hasOutlier else { return }
    if outcome == .success, !shared.health.service(service).isSweepDue(at: reactor.now) {
      let countsLatency = choice.pointee.outlier.latencyFactor > 0
      return shared.health.record(place).noteSuccess(countsLatency ? latency : nil)
    }
    let fleet = OutlierFleet(
      places: UnsafeBufferPointer(
        start: policy.pointee.table.places,
        count: policy.pointee.table.count
      ),
      health: shared.health,
      service: service,
      settings: choice.pointee.outlier
    )
    let hasEjected = fleet.note(outcome, at: place, latency: latency, now: reactor.now)
    if hasEjected { shared.health.service(service).noteChange() }
  }

  /// A connect failed, which may be one that several exchanges waited for.
  func noteUnreachable(_ place: Int32) {
    let index = endpoints[Int(place)].policy
    guard index >= 0, !endpoints[Int(place)].hasLeft else { return }
    let policy = snapshots.newest.policy(index)
    let service = endpoints[Int(place)].service
    if policy.pointee.choice.pointee.hasBreaker {
      let hasOpened = shared.health.breaker(place)
        .connectFailed(
          .endpoint,
          at: reactor.now,
          policy.pointee.choice.pointee.breaker,
          using: &random
        )
      if hasOpened { shared.health.service(service).noteChange() }
    }
    noteOutlier(.connectFailure, place, .zero, policy, service)
  }
}
