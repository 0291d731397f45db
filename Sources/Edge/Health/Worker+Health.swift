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

  /// What the service of an exchange says of its endpoints, and that service; `nil` where it says
  /// nothing, or the exchange has given its snapshot back.
  func policy(
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> (UnsafePointer<ServicePolicy>, UnsafePointer<CompiledService>)? {
    guard exchange.pointee.snapshot >= 0 else { return nil }
    let snapshot = snapshots[exchange.pointee.snapshot]
    let service = snapshot.service(exchange.pointee.service)
    guard service.pointee.policy >= 0 else { return nil }
    return (snapshot.policy(service.pointee.policy), service)
  }

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
      if policy.pointee.choice.pointee.hasBreaker {
        let ticket = endpointTicket(place, policy)
        // Where most are out all are asked, and nobody waits for what comes of that.
        guard ticket.isHeld || view.pointee.isPanic else { continue }
        exchange.pointee.health.endpoint = ticket
      }
      noteZone(policy, view)
      return place
    }
    return -1
  }

  /// A ticket of an endpoint's breaker, none where that does not let anybody through.
  private func endpointTicket(
    _ place: Int32,
    _ policy: UnsafePointer<ServicePolicy>
  ) -> BreakerTicket {
    let breaker = shared.health.breaker(place)
    if let ticket = breaker.word.closedTicket { return ticket }
    let settings = policy.pointee.choice.pointee.breaker
    let decision = breaker.admit(
      at: reactor.now,
      settings,
      takesShare: false,
      using: &random
    )
    guard case .admitted(let ticket) = decision else { return .none }
    return ticket
  }

  private func noteZone(
    _ policy: UnsafePointer<ServicePolicy>,
    _ view: UnsafeMutablePointer<ChoiceView>
  ) {
    if let isLocal = view.pointee.isLocal { meter.chose(policy.pointee.zones, isLocal: isLocal) }
  }
}
