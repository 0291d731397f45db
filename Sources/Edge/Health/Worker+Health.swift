internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// Stage 13: may the service be asked at all, who of it, and what came of that.
///
/// Only services with a `ServicePolicy` come here. An attempt takes a ticket of the service's breaker
/// and one of its endpoint's, and both end once: with a failure where that is known, with a success
/// when the exchange ends, since a response may break behind its head, and without a word where the
/// client left or the edge itself refused.
extension Worker {
  /// Retry-After says at most this, and up to twice of it by its jitter.
  private static let longestRetry = Nanoseconds.seconds(45)

  private func policy(
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> (UnsafePointer<ServicePolicy>, UnsafePointer<CompiledService>)? {
    guard exchange.pointee.snapshot >= 0 else { return nil }
    let snapshot = snapshots[exchange.pointee.snapshot]
    let service = snapshot.service(exchange.pointee.service)
    guard service.pointee.policy >= 0 else { return nil }
    return (snapshot.policy(service.pointee.policy), service)
  }

  // MARK: - Before

  /// Whether a service's breaker is open, or health checks find nobody of it; looked at before
  /// anything is made for a request.
  ///
  /// - Returns: Why, and when it is worth trying again; `nil` where the request may go on.
  func refusalAhead(
    of service: UnsafePointer<CompiledService>
  ) -> (reason: ReplyReason, wait: Nanoseconds)? {
    let policy = snapshots.newest.policy(service.pointee.policy)
    if policy.pointee.choice.pointee.hasChecks {
      let word = shared.health.service(service.pointee.place).outage.word
      if !word.isPlain, !word.mayAdmit(at: reactor.now) {
        return (.noHealthyEndpoint, max(.seconds(1), word.wait(at: reactor.now)))
      }
    }
    return openTime(of: service, policy).map { (.breakerOpen, $0) }
  }

  private func openTime(
    of service: UnsafePointer<CompiledService>,
    _ policy: UnsafePointer<ServicePolicy>
  ) -> Nanoseconds? {
    guard policy.pointee.choice.pointee.hasBreaker else { return nil }
    let word = shared.health.breaker(ofService: service.pointee.place).word
    guard !word.isPlain, !word.mayAdmit(at: reactor.now, policy.pointee.choice.pointee.breaker)
    else { return nil }
    // While it is asked by probes nobody knows how long that takes.
    guard word.state == .open, word.order == .none else { return .seconds(1) }
    return min(Self.longestRetry, word.time - reactor.now)
  }

  /// Asks for an attempt: where health checks find nobody, and the service's breaker.
  ///
  /// - Returns: False when the exchange has ended with a reply.
  func mayAttempt(_ index: Int32, _ service: UnsafePointer<CompiledService>) -> Bool {
    let exchange = exchanges[index]
    forgetAttempt(exchange)
    if exchange.pointee.health.outage == .none, let (policy, _) = policy(exchange),
      policy.pointee.choice.pointee.hasChecks, !passesOutage(index, service)
    {
      return false
    }
    guard let wait = breakerWait(exchange, service) else { return true }
    fail(index, .breakerOpen, retryAfter: wait)
    return false
  }

  /// Takes a ticket of the service's breaker, unless the exchange holds one.
  ///
  /// - Returns: When it is worth trying again where there is none, else `nil`.
  func breakerWait(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ service: UnsafePointer<CompiledService>
  ) -> Nanoseconds? {
    forgetAttempt(exchange)
    guard let (policy, _) = policy(exchange), policy.pointee.choice.pointee.hasBreaker else {
      return nil
    }
    let breaker = shared.health.breaker(ofService: service.pointee.place)
    if !exchange.pointee.health.service.isHeld, let ticket = breaker.word.closedTicket {
      exchange.pointee.health.service = ticket
      exchange.pointee.health.isWatched = true
      return nil
    }
    if exchange.pointee.health.service.isHeld {
      // It opened since the attempt before.
      guard !exchange.pointee.health.service.isProbe,
        !breaker.word.mayAdmit(at: reactor.now, policy.pointee.choice.pointee.breaker)
      else { return nil }
      return .seconds(1)
    }
    switch breaker.admit(at: reactor.now, policy.pointee.choice.pointee.breaker, using: &random) {
    case .admitted(let ticket):
      exchange.pointee.health.service = ticket
      exchange.pointee.health.isWatched = true
      return nil
    case .refused(let wait):
      return min(Self.longestRetry, wait)
    }
  }

  /// - Returns: False when the exchange has ended with a reply.
  private func passesOutage(_ index: Int32, _ service: UnsafePointer<CompiledService>) -> Bool {
    let exchange = exchanges[index]
    let outage = shared.health.service(service.pointee.place).outage
    let now = reactor.now
    if outage.word.isPlain {
      exchange.pointee.health.outage = .passed
      exchange.pointee.health.isWatched = true
      return true
    }
    switch outage.update({ $0.admit(at: now, using: &random) }) {
    case .passed: exchange.pointee.health.outage = .passed
    case .probe: exchange.pointee.health.outage = .probe
    case .refused(let wait):
      fail(index, .noHealthyEndpoint, retryAfter: max(.seconds(1), wait))
      return false
    }
    exchange.pointee.health.isWatched = true
    return true
  }

  /// Whether a service has no breaker that is careful just now.
  func isBreakerClosed(
    _ service: UnsafePointer<CompiledService>,
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> Bool {
    // A probe of an outage goes alone.
    guard exchange.pointee.health.outage != .probe else { return false }
    guard let (policy, _) = policy(exchange), policy.pointee.choice.pointee.hasBreaker else {
      return true
    }
    return shared.health.breaker(ofService: service.pointee.place).word
      .visibleState(at: reactor.now, policy.pointee.choice.pointee.breaker) == .closed
  }

  /// Chooses an endpoint by the service's policy, and takes a ticket of its breaker.
  ///
  /// - Returns: Its place, or -1 when there is none that may be asked.
  func chooseByPolicy(
    _ service: UnsafePointer<CompiledService>,
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> Int32 {
    let policy = snapshots[exchange.pointee.snapshot].policy(service.pointee.policy)
    let view = views + Int(service.pointee.place)
    let chooser = Chooser(
      table: policy.pointee.table,
      policy: policy.pointee.choice,
      states: endpoints,
      health: shared.health,
      at: reactor.now
    )
    exchange.pointee.health.isWatched = true
    exchange.pointee.health.outcome = nil
    var place: Int32 = -1
    // Workers that look at once may choose the same endpoint for its last probe.
    for _ in 0..<3 {
      place = chooser.choose(
        service: service.pointee.place,
        avoiding: exchange.pointee.endpoint,
        key: exchange.pointee.health.key,
        view: &view.pointee,
        using: &random
      )
      guard place >= 0 else { return place }
      guard policy.pointee.choice.pointee.hasBreaker else {
        noteZone(policy, view)
        return place
      }
      let breaker = shared.health.breaker(place)
      if let ticket = breaker.word.closedTicket {
        exchange.pointee.health.endpoint = ticket
        noteZone(policy, view)
        return place
      }
      let decision =
        breaker
        .admit(
          at: reactor.now,
          policy.pointee.choice.pointee.breaker,
          takesShare: false,
          using: &random
        )
      guard case .admitted(let ticket) = decision else {
        // Where most are out all are asked, and nobody waits for what comes of that.
        guard view.pointee.isPanic else { continue }
        noteZone(policy, view)
        return place
      }
      exchange.pointee.health.endpoint = ticket
      noteZone(policy, view)
      return place
    }
    return -1
  }

  private func noteZone(
    _ policy: UnsafePointer<ServicePolicy>,
    _ view: UnsafeMutablePointer<ChoiceView>
  ) {
    if let isLocal = view.pointee.isLocal { meter.chose(policy.pointee.zones, isLocal: isLocal) }
  }

  // MARK: - After

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
    if owed.outcome == .success,
      breaker.endWell(
        owed.service,
        latency: latency,
        at: reactor.now,
        policy.pointee.choice.pointee.breaker.counting
      )
    {
      return
    }
    breaker.end(
      owed.service,
      owed.outcome,
      latency: latency,
      .service(endpoints: policy.pointee.table.count),
      at: reactor.now,
      policy.pointee.choice.pointee.breaker,
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
    let choice = policy.pointee.choice
    let breaker = shared.health.breaker(place)
    if outcome != .success
      || !breaker.endWell(
        ticket,
        latency: latency,
        at: reactor.now,
        choice.pointee.breaker.counting
      )
    {
      let hasOpened =
        breaker
        .end(
          ticket,
          outcome,
          latency: latency,
          .endpoint,
          at: reactor.now,
          choice.pointee.breaker,
          using: &random
        )
      if hasOpened { shared.health.service(service.pointee.place).noteChange() }
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
