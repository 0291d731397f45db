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

  /// Whether a service's breaker is open, looked at before anything is made for a request.
  ///
  /// - Returns: When it is worth trying again, `nil` where the request may go on.
  func openTime(of service: UnsafePointer<CompiledService>) -> Nanoseconds? {
    let policy = snapshots.newest.policy(service.pointee.policy)
    guard policy.pointee.choice.pointee.hasBreaker else { return nil }
    let word = shared.health.breaker(ofService: service.pointee.place).word
    guard !word.mayAdmit(at: reactor.now, policy.pointee.choice.pointee.breaker) else { return nil }
    // While it is asked by probes nobody knows how long that takes.
    guard word.state == .open, word.order == .none else { return .seconds(1) }
    return min(Self.longestRetry, word.time - reactor.now)
  }

  /// Asks the service's breaker for an attempt.
  ///
  /// - Returns: False when the exchange has ended with a reply.
  func mayAttempt(_ index: Int32, _ service: UnsafePointer<CompiledService>) -> Bool {
    let exchange = exchanges[index]
    settleEndpoint(exchange, nil)
    guard let (policy, _) = policy(exchange), policy.pointee.choice.pointee.hasBreaker else {
      return true
    }
    let breaker = shared.health.breaker(ofService: service.pointee.place)
    if exchange.pointee.health.service.isHeld {
      // It opened since the attempt before.
      guard !exchange.pointee.health.service.isProbe,
        !breaker.word.mayAdmit(at: reactor.now, policy.pointee.choice.pointee.breaker)
      else { return true }
      fail(index, .breakerOpen, retryAfter: .seconds(1))
      return false
    }
    switch breaker.admit(at: reactor.now, policy.pointee.choice.pointee.breaker, using: &random) {
    case .admitted(let ticket):
      exchange.pointee.health.service = ticket
      exchange.pointee.health.isWatched = true
      return true
    case .refused(let wait):
      fail(index, .breakerOpen, retryAfter: min(Self.longestRetry, wait))
      return false
    }
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
      guard place >= 0, policy.pointee.choice.pointee.hasBreaker else { return place }
      let decision = shared.health.breaker(place)
        .admit(
          at: reactor.now,
          policy.pointee.choice.pointee.breaker,
          takesShare: false,
          using: &random
        )
      guard case .admitted(let ticket) = decision else {
        // Where most are out all are asked, and nobody waits for what comes of that.
        if view.pointee.isPanic { return place }
        continue
      }
      exchange.pointee.health.endpoint = ticket
      return place
    }
    return place
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
    if outcome != .success || isProbe { settleHealth(exchange) }
  }

  /// The exchange ends in a reply of ours; `noteFailure` has judged whose doing it is.
  func judgeFailure(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: ReplyReason) {
    guard exchange.pointee.headAt == .never, let outcome = reason.attemptOutcome else { return }
    switch outcome {
    case .connectFailure:
      // The endpoint was told when the connection failed, once for all who waited for it.
      if reason == .connectTimeout, exchange.pointee.admission.isOurFault { return }
      settleEndpoint(exchange, nil)
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
    guard exchange.pointee.health.outcome == .success, reason.attemptOutcome != nil else { return }
    exchange.pointee.health.outcome = .reset
  }

  /// Tells breakers and outlier detection what came of an exchange; the second time there is nothing
  /// left to tell.
  func settleHealth(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.health.isWatched else { return }
    let outcome = exchange.pointee.health.outcome
    settleEndpoint(exchange, outcome)
    exchange.pointee.health.isWatched = false
    exchange.pointee.health.outcome = nil
    let ticket = exchange.pointee.health.service
    exchange.pointee.health.service = .none
    guard ticket.isHeld, let (policy, service) = policy(exchange) else { return }
    shared.health.breaker(ofService: service.pointee.place)
      .end(
        ticket,
        outcome,
        latency: latency(exchange),
        .service,
        at: reactor.now,
        policy.pointee.choice.pointee.breaker,
        using: &random
      )
  }

  private func latency(_ exchange: UnsafeMutablePointer<Exchange>) -> Nanoseconds {
    guard exchange.pointee.headAt != .never else { return .zero }
    return exchange.pointee.headAt - exchange.pointee.attemptStarted
  }

  /// Ends what the present attempt owes its endpoint.
  private func settleEndpoint(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ outcome: AttemptOutcome?
  ) {
    let ticket = exchange.pointee.health.endpoint
    exchange.pointee.health.endpoint = .none
    guard exchange.pointee.health.isWatched, ticket.isHeld || outcome != nil,
      exchange.pointee.endpoint >= 0, let (policy, service) = policy(exchange)
    else { return }
    let place = exchange.pointee.endpoint
    let hasOpened = shared.health.breaker(place)
      .end(
        ticket,
        outcome,
        latency: latency(exchange),
        .endpoint,
        at: reactor.now,
        policy.pointee.choice.pointee.breaker,
        using: &random
      )
    if hasOpened { shared.health.service(service.pointee.place).noteChange() }
    guard let outcome, outcome != .connectFailure else { return }
    noteOutlier(outcome, place, latency(exchange), policy, service.pointee.place)
  }

  private func noteOutlier(
    _ outcome: AttemptOutcome,
    _ place: Int32,
    _ latency: Nanoseconds,
    _ policy: UnsafePointer<ServicePolicy>,
    _ service: Int32
  ) {
    guard policy.pointee.choice.pointee.hasOutlier else { return }
    let fleet = OutlierFleet(
      places: UnsafeBufferPointer(
        start: policy.pointee.table.places,
        count: policy.pointee.table.count
      ),
      health: shared.health,
      service: service,
      settings: policy.pointee.choice.pointee.outlier
    )
    let hasEjected = fleet.note(outcome, at: place, latency: latency, now: reactor.now)
    if hasEjected { shared.health.service(service).noteChange() }
  }

  /// A connect failed, which may be one that several exchanges waited for.
  func noteUnreachable(_ place: Int32) {
    let index = endpoints[Int(place)].policy
    guard index >= 0, endpoints[Int(place)].isPresent else { return }
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

  // MARK: - Words of an endpoint

  /// An endpoint answered 429 or 503: of two, the other one is asked for a while.
  func notePenalty(_ exchange: UnsafeMutablePointer<Exchange>, _ view: ResponseView) {
    guard exchange.pointee.endpoint >= 0 else { return }
    endpoints[Int(exchange.pointee.endpoint)]
      .refused(retryAfter: Self.retryAfter(view), at: reactor.now)
  }

  /// The seconds of Retry-After; a date, which the field may have as well, counts as none.
  private static func retryAfter(_ view: ResponseView) -> Int? {
    for index in 0..<Int(view.head.fieldCount) where view.fields[index].known == .retryAfter {
      let value = view.bytes + Int(view.fields[index].valueStart)
      let count = Int(view.fields[index].valueLength)
      // More digits are beyond what is believed in any case.
      guard (1...9).contains(count) else { return nil }
      var seconds = 0
      for place in 0..<count {
        guard (0x30...0x39).contains(value[place]) else { return nil }
        seconds = seconds * 10 + Int(value[place] - 0x30)
      }
      return seconds
    }
    return nil
  }
}
