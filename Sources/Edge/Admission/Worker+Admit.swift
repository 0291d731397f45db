internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units

/// Stage 12: the permit of an exchange, from the question to its end.
///
/// ```
/// ask ─┬────────────▶ decide ─┬─▶ permitted ───────────────▶ leaveAdmission: the permit ends, once
///      └─▶ gathering ───▲     ├─▶ queued ─┬─▶ permitted         ▲
///          its body │         │           ├─▶ refused: reply    │ the client went away,
///                   │         └─▶ refused └─────────────────────┤ the time is up
///                   └───────────────────────────────────────────┘
/// ```
extension Worker {
  /// Asks for a permit for the request of a connection.
  ///
  /// `place`: What the exchange has to keep, and to give to `leaveAdmission` when it ends.
  ///
  /// - Returns: The refusal, when the request has to be answered by it.
  func ask(
    _ connection: Int32,
    _ view: RequestView,
    _ demand: RequestDemand,
    _ route: UnsafePointer<CompiledRoute>,
    _ service: UnsafePointer<CompiledService>,
    _ place: inout AdmissionPlace
  ) -> Refusal? {
    let slot = service.pointee.admission
    place.priority = demand.priority
    guard slot >= 0 else { return nil }
    place.slot = slot
    place.route = route.pointee.admissionRoute
    place.isShadow = service.pointee.isShadow
    place.tenant = RequestTenant.number(view)
    if view.isEndless { return beginEndless(&place) }
    if view.head.wantsUpgrade, let refusal = refuseTunnel(view, place) { return refusal }
    guard place.isShadow || gathering >= overload.mostGathering || hasBody(connection, view) else {
      place.state = .gathering
      gathering += 1
      return nil
    }
    return decide(connection, demand.deadline, &place)
  }

  /// Has a service's admission decide about the request of a connection, as `place` describes it.
  ///
  /// - Returns: The refusal, when the request has to be answered by it.
  func decide(_ connection: Int32, _ deadline: Instant, _ place: inout AdmissionPlace) -> Refusal? {
    place.since = reactor.now
    let entry = admissions[place.slot]
    let request = admissionRequest(connection, deadline, place)
    defer { admissions.touch(place.slot, at: reactor.now) }
    switch entry.pointee.admission.decide(request, now: reactor.now) {
    case .dispatched(let permit):
      place.state = .permitted
      place.permit = permit.stored()
      entry.pointee.tally.count(place, .admitted)
      return nil
    case .queued(let ticket):
      place.state = .queued
      place.ticket = ticket
      return nil
    case .refused(let refusal):
      note(refusal, place)
      return place.isShadow ? nil : refusal
    }
  }

  func admissionRequest(
    _ connection: Int32,
    _ deadline: Instant,
    _ place: AdmissionPlace
  ) -> AdmissionRequest {
    AdmissionRequest(
      handle: UInt64(connections.generation(connection)) << 32 | UInt64(UInt32(connection)),
      priority: PriorityClass(place.priority),
      tenant: place.tenant,
      route: place.route,
      deadline: deadline
    )
  }

  /// Counts a refusal and keeps the numbers that it was made on.
  func note(_ refusal: Refusal, _ place: AdmissionPlace) {
    admissions[place.slot].pointee.tally.count(place, .shed(refusal.reason))
    keepRecord(refusal, place)
  }

  /// Keeps the numbers that a refusal was made on.
  func keepRecord(_ refusal: Refusal, _ place: AdmissionPlace) {
    let entry = admissions[place.slot]
    let gate = entry.pointee.admission.occupancy
    date.refresh(at: reactor.now)
    entry.pointee.tally.note(
      refusal.reason,
      RefusalRecord(
        time: reactor.now.rawValue &+ date.wallOffset,
        priority: Int(place.priority),
        route: Int(place.route),
        inFlight: gate.inFlight,
        limit: gate.limit,
        waiting: gate.waiting,
        retryAfter: refusal.retryAfter
      )
    )
  }

  // MARK: - Out of the queue

  /// The exchange that a queued request belongs to, -1 when it is none any more.
  private func exchange(of handle: UInt64, _ slot: Int32) -> Int32 {
    let connection = Int32(truncatingIfNeeded: handle)
    guard connections.generation(connection) == UInt32(handle >> 32) else { return -1 }
    let exchange = connections[connection].pointee.exchange
    guard exchange >= 0, exchanges[exchange].pointee.admission.slot == slot,
      exchanges[exchange].pointee.admission.state == .queued
    else { return -1 }
    return exchange
  }

  /// A request that waited got its permit.
  func dispatched(_ handle: UInt64, _ slot: Int32, _ permit: consuming Permit) {
    let index = exchange(of: handle, slot)
    let entry = admissions[slot]
    guard index >= 0 else {
      return entry.pointee.admission.end(permit, .ignored, now: reactor.now)
    }
    let exchange = exchanges[index]
    exchange.pointee.admission.state = .permitted
    exchange.pointee.admission.permit = permit.stored()
    exchange.pointee.admission.waited = reactor.now - exchange.pointee.admission.since
    entry.pointee.tally.count(exchange.pointee.admission, .admitted)
    let service = snapshotService(exchange)
    if let service {
      meter.queueWaited(service.pointee.metrics, exchange.pointee.admission.waited)
    }
    guard !exchange.pointee.admission.isShadow else {
      // It went out when it came: what is left of its time is no measure.
      exchange.pointee.admission.isLearned = false
      if exchange.pointee.phase == .waiting, !exchange.pointee.request.isComplete,
        connections[exchange.pointee.connection].pointee.input.isEmpty
      {
        waitForClient(exchange)
      }
      return
    }
    DemandFields.refresh(
      reactor.pool.bytes(exchange.pointee.requestBlock),
      exchange,
      now: reactor.now
    )
    attemptAndPump(index)
  }

  private func snapshotService(
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> UnsafePointer<CompiledService>? {
    guard exchange.pointee.snapshot >= 0 else { return nil }
    return snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
  }

  /// A request that waited is refused.
  func refused(_ handle: UInt64, _ slot: Int32, _ refusal: Refusal) {
    let index = exchange(of: handle, slot)
    guard index >= 0 else { return }
    let exchange = exchanges[index]
    exchange.pointee.admission.state = .none
    exchange.pointee.admission.waited = reactor.now - exchange.pointee.admission.since
    note(refusal, exchange.pointee.admission)
    guard !exchange.pointee.admission.isShadow else { return }
    endRetry(exchange, .shed)
    fail(index, ReplyReason(refusal.reason), retryAfter: refusal.retryAfter)
  }

  // MARK: - The end

  /// Keeps what a reply of our own says about the service, where its own answer has not come.
  func noteFailure(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: ReplyReason) {
    guard exchange.pointee.headAt == .never else { return }
    var outcome = reason.permitOutcome
    if reason == .connectTimeout, exchange.pointee.admission.isOurFault { outcome = .ignored }
    if reason == .upstreamTimeout || reason == .perTryTimeout {
      // A stranger could else bring the limit down by asking for no time, or by sending no body.
      let isOverall = exchange.pointee.deadline <= reactor.now
      if isOverall, exchange.pointee.flags.contains(.hasStrangersDeadline) { outcome = .ignored }
      if !exchange.pointee.request.isComplete { outcome = .ignored }
    }
    // Who waits for room has asked nobody.
    if exchange.pointee.caps.isWaiting { outcome = .ignored }
    exchange.pointee.admission.outcome = outcome
  }

  /// Ends what an exchange holds of its service's admission; the second time there is nothing left.
  func leaveAdmission(_ exchange: UnsafeMutablePointer<Exchange>) {
    guard exchange.pointee.admission.state != .none else { return }
    let place = exchange.pointee.admission
    leaveAdmission(place, head: exchange.pointee.headAt)
    exchange.pointee.admission.state = .none
  }

  /// The same for a request that got no exchange.
  func leaveAdmission(_ place: AdmissionPlace, head: Instant = .never) {
    let entry = admissions[place.slot]
    switch place.state {
    case .none: return
    case .gathering:
      gathering -= 1
      return
    case .streaming: return entry.pointee.admission.closeStream()
    case .queued:
      entry.pointee.admission.cancel(place.ticket, now: reactor.now)
      entry.pointee.tally.count(place, .left)
    case .permitted:
      var outcome = place.outcome
      if outcome == .served, !place.isLearned { outcome = .ignored }
      entry.pointee.admission.end(
        entry.pointee.admission.restore(place.permit),
        outcome,
        now: reactor.now,
        responseHead: head
      )
    }
    admissions.touch(place.slot, at: reactor.now)
  }
}
