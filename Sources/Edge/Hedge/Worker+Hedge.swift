internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// Stage 13, where a route has hedges: a second attempt at another endpoint, of a request that may be
/// sent twice and takes longer than most.
///
/// ```
/// waiting ─▶ hedgeAt passes ─▶ refused, and why
///                           └▶ two exchanges, one client ─┬▶ a head comes: the other is cancelled
///                                                         ├▶ one fails: the other goes on alone
///                                                         └▶ the client leaves: both end
/// ```
///
/// The second attempt is an exchange of its own, a copy of the first with its own endpoint, permit,
/// tickets, timer and head, so all that an attempt does and suffers works for it as it is. `twin` names
/// the other one while both are out, and the connection names one of them, the one that ends last. Who
/// touches the client, `fail`, `responseHead` and `abandon`, asks here first.
extension Worker {
  // MARK: - Before

  /// Whether a request may have a second attempt at all: one that reads, and has been sent whole.
  ///
  /// `hasEnded`: Nothing more comes of it, not even the end of its stream.
  static func mayHedge(_ view: RequestView, hasEnded: Bool) -> Bool {
    (view.head.method == .get || view.head.method == .head) && view.hasNoBody
      && !view.head.expectsContinue && hasEnded
  }

  /// The first attempt begins: when there would be a second one.
  func planHedge(_ exchange: UnsafeMutablePointer<Exchange>) {
    let hedge = hedge(of: exchange)
    let estimate = hedgeEstimates + Int(hedge.pointee.place)
    estimate.pointee.countRequest()
    let delay = estimate.pointee.delay(share: hedge.pointee.share, at: reactor.now)
    if estimate.pointee.isNews {
      hedge.pointee.record._withUnsafeGuaranteedRef {
        $0.publish(delay, samples: estimate.pointee.samples, worker: number)
      }
    }
    guard let delay, reactor.now + delay < exchange.pointee.deadline else { return }
    exchange.pointee.hedgeAt = reactor.now + delay
  }

  private func hedge(
    of exchange: UnsafeMutablePointer<Exchange>
  ) -> UnsafePointer<CompiledHedge> {
    let snapshot = snapshots[exchange.pointee.snapshot]
    return snapshot.hedge(snapshot.route(exchange.pointee.route).pointee.hedge)
  }

  private func count(_ result: HedgeResult, _ exchange: UnsafeMutablePointer<Exchange>) {
    hedge(of: exchange).pointee.record._withUnsafeGuaranteedRef {
      $0.count(result, worker: number)
    }
  }

  // MARK: - The second attempt

  /// The first attempt takes longer than most: a second one, where nothing is against it.
  ///
  /// The first one goes on in any case.
  func sendHedge(_ index: Int32) {
    let exchange = exchanges[index]
    exchange.pointee.hedgeAt = .never
    guard exchange.pointee.phase == .connecting || exchange.pointee.phase == .waiting else {
      return
    }
    if let refusal = refusalOfHedge(exchange) { return count(refusal, exchange) }
    let twin = makeTwin(index)
    guard twin >= 0 else {
      withRetries(exchange) { $0.budget.giveBack() }
      return count(.exhausted, exchange)
    }
    var place: Int32 = -1
    if let refusal = prepare(twin, besides: exchange, &place) {
      withRetries(exchange) { $0.budget.giveBack() }
      endExchange(twin)
      return count(refusal, exchange)
    }
    withRetries(exchange) { $0.budget.spend(worker: number, at: reactor.now) }
    hedgeEstimates[Int(hedge(of: exchange).pointee.place)].spend()
    count(.sent, exchange)
    let copy = exchanges[twin]
    exchange.pointee.twin = twin
    copy.pointee.twin = index
    exchange.pointee.flags.formUnion([.isHedged, .wasHedged])
    copy.pointee.flags.formUnion([.isHedged, .wasHedged, .isHedge])
    let service = snapshots[copy.pointee.snapshot].service(copy.pointee.service)
    startAttempt(twin, place, service)
    pumpIfWaiting(twin)
  }

  /// What is against a second attempt; where nothing is, it is taken out of the service's budget.
  private func refusalOfHedge(_ exchange: UnsafeMutablePointer<Exchange>) -> HedgeResult? {
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    guard service.pointee.endpointCount > 1 else { return .noEndpoint }
    if service.pointee.isShadow { return .shadow }
    if exchange.pointee.upstream < 0 { return .noRoom }
    if exchange.pointee.flags.contains(.hasBegun) { return .begun }
    guard requestsInFlight < overload.mark else { return .overload }
    if isLimited(exchange.pointee.admission, isEnding: false) { return .limited }
    guard isBreakerClosed(service, exchange) else { return .breaker }
    guard reactor.blocksFree > reactor.pool.capacity / 4 else { return .exhausted }
    guard hedgeEstimates[Int(hedge(of: exchange).pointee.place)].hasCredit else { return .share }
    let allowance = service.pointee.retryAllowance
    let isReserved = withRetries(exchange) { $0.budget.reserve(allowance, at: reactor.now) }
    return isReserved == true ? nil : .budget
  }

  /// Copies an exchange for its second attempt; -1 when a bound is reached.
  private func makeTwin(_ index: Int32) -> Int32 {
    let exchange = exchanges[index]
    let block = reactor.pool.acquire()
    guard block >= 0 else { return -1 }
    let twin = exchanges.allocate()
    guard twin >= 0 else {
      reactor.pool.release(block)
      return -1
    }
    let timer = exchangeTimer(twin)
    guard timer >= 0 else {
      reactor.pool.release(block)
      exchanges.release(twin)
      return -1
    }
    let bytes = reactor.pool.bytes(block)
    bytes.update(
      from: reactor.pool.bytes(exchange.pointee.requestBlock),
      count: Int(exchange.pointee.requestCount)
    )
    let copy = exchanges[twin]
    copy.initialize(to: exchange.pointee)
    copy.pointee.phase = .connecting
    copy.pointee.flags.remove([
      .isReused, .hasResponse, .hasRepeated, .wantsFresh, .upstreamCloses, .onlyHTTP1,
    ])
    copy.pointee.attempts = 1
    copy.pointee.interims = 0
    copy.pointee.upstream = -1
    copy.pointee.timer = timer
    copy.pointee.requestBlock = block
    copy.pointee.attemptStarted = reactor.now
    copy.pointee.attemptDeadline = .never
    copy.pointee.roomUntil = .never
    copy.pointee.health = AttemptHealth()
    copy.pointee.caps = ExchangeCaps()
    copy.pointee.health.key = exchange.pointee.health.key
    var place = AdmissionPlace()
    place.slot = exchange.pointee.admission.slot
    place.route = exchange.pointee.admission.route
    place.tenant = exchange.pointee.admission.tenant
    place.priority = exchange.pointee.admission.priority
    place.waited = exchange.pointee.admission.waited
    // Of slow first attempts those that lose are never heard of: what their hedges take is no measure.
    place.isLearned = false
    copy.pointee.admission = place
    snapshots.use(copy.pointee.snapshot)
    if copy.pointee.attemptStart > 0 {
      bytes[Int(copy.pointee.attemptStart)] = UInt8(ascii: "2")
    }
    DemandFields.refresh(bytes, copy, now: reactor.now)
    return twin
  }

  /// Finds an endpoint for a second attempt and takes what it needs of the service.
  ///
  /// - Returns: What is against it; the twin then holds what it got so far.
  private func prepare(
    _ twin: Int32,
    besides exchange: UnsafeMutablePointer<Exchange>,
    _ place: inout Int32
  ) -> HedgeResult? {
    let copy = exchanges[twin]
    let service = snapshots[copy.pointee.snapshot].service(copy.pointee.service)
    if let caps = service.pointee.caps, !takesRoom(copy, service, caps) { return .noRoom }
    if service.pointee.policy >= 0, breakerWait(copy, service) != nil { return .breaker }
    place =
      service.pointee.caps.map { chooseWithin($0, service, copy) } ?? chooseEndpoint(service, copy)
    guard place >= 0 else { return place == Self.allFull ? .noRoom : .noEndpoint }
    // A ticket that it took belongs to this one, whatever becomes of it.
    copy.pointee.previousEndpoint = copy.pointee.endpoint
    copy.pointee.endpoint = place
    guard place != exchange.pointee.endpoint, !endpoints[Int(place)].isBackedOff(at: reactor.now)
    else { return .noEndpoint }
    return hasPermitNow(copy) ? nil : .limited
  }

  /// Takes a permit for an attempt that nobody waits for: none is refused one or made to wait for it.
  private func hasPermitNow(_ copy: UnsafeMutablePointer<Exchange>) -> Bool {
    let place = copy.pointee.admission
    guard place.slot >= 0 else { return true }
    let entry = admissions[place.slot]
    let request = admissionRequest(copy.pointee.connection, copy.pointee.deadline, place)
    guard let permit = entry.pointee.admission.admitNow(request, now: reactor.now) else {
      return false
    }
    copy.pointee.admission.since = reactor.now
    copy.pointee.admission.state = .permitted
    copy.pointee.admission.permit = permit.stored()
    entry.pointee.tally.count(copy.pointee.admission, .admitted)
    admissions.touch(place.slot, at: reactor.now)
    return true
  }

  // MARK: - The end of two

  /// Whether a response head is not passed on: the other attempt may do better, or a retry will.
  func isHeldBack(_ index: Int32, _ view: ResponseView, _ outcome: PermitOutcome) -> Bool {
    let exchange = exchanges[index]
    if exchange.pointee.flags.contains(.isHedged), !winsHedge(index, view) { return true }
    if exchange.pointee.flags.contains(.mayRetry), retriesResponse(index, view) { return true }
    if exchange.pointee.flags.contains(.mayHedge) { noteHedged(exchange, outcome) }
    return false
  }

  /// The response goes to the client: what it took is a sample of the route, unless it is a failure.
  private func noteHedged(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ outcome: PermitOutcome
  ) {
    exchange.pointee.flags.remove(.mayHedge)
    exchange.pointee.hedgeAt = .never
    guard outcome == .served else { return }
    // In shadow it went out at once, whatever it would have waited.
    let isShadow = exchange.pointee.admission.isShadow
    let queued = isShadow ? .zero : max(.zero, exchange.pointee.admission.waited)
    let waited = queued + exchange.pointee.caps.waited
    hedgeEstimates[Int(hedge(of: exchange).pointee.place)]
      .observe(reactor.now - exchange.pointee.started - waited, at: reactor.now)
  }

  /// One of two attempts is answered.
  ///
  /// - Returns: Whether the answer is the client's. What a retry would replace is not, while the other
  ///   attempt is out: it is dropped, and the other goes on alone.
  private func winsHedge(_ index: Int32, _ view: ResponseView) -> Bool {
    let exchange = exchanges[index]
    let policies = snapshots[exchange.pointee.snapshot].retryPolicies.table
    guard policies.cause(of: view, policies[hedge(of: exchange).pointee.judge]) == nil else {
      exchange.pointee.admission.outcome = PermitOutcome(view)
      judgeDropped(exchange, view)
      let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
      meter.upstreamAnswered(service.pointee.metrics, reactor.now - exchange.pointee.attemptStarted)
      part(index, nil)
      releaseUpstream(index, reusable: skipResponse(exchange, view))
      endExchange(index)
      return false
    }
    let loser = exchange.pointee.twin
    part(loser, exchange.pointee.flags.contains(.isHedge) ? .won : .lost)
    cancel(loser)
    return true
  }

  /// One of two attempts has failed: that is its endpoint's doing as any failure, and the other one
  /// goes on alone.
  func loseLeg(_ index: Int32, _ reason: ReplyReason, as result: HedgeResult? = nil) {
    let exchange = exchanges[index]
    noteFailure(exchange, reason)
    if exchange.pointee.health.isWatched { judgeFailure(exchange, reason) }
    part(index, result)
    releaseUpstream(index, reusable: false)
    endExchange(index)
  }

  /// The same where nobody is to blame, or who is was told already.
  func dropLeg(_ index: Int32) {
    part(index, nil)
    cancel(index)
  }

  /// The client is gone: of two attempts the one that its connection does not name ends first.
  func leaveHedge(_ index: Int32) {
    let twin = exchanges[index].pointee.twin
    part(twin, .left)
    cancel(twin)
  }

  /// Parts two attempts, of which `leaving` is about to end; the client's exchange is the other one.
  ///
  /// `result`: What became of the hedge; `nil` where `leaving` has failed.
  private func part(_ leaving: Int32, _ result: HedgeResult?) {
    let exchange = exchanges[leaving]
    let staying = exchange.pointee.twin
    let other = exchanges[staying]
    let failure: HedgeResult = exchange.pointee.flags.contains(.isHedge) ? .failed : .tookOver
    count(result ?? failure, exchange)
    exchange.pointee.twin = -1
    other.pointee.twin = -1
    exchange.pointee.flags.remove([.isHedged, .isHedge, .mayHedge])
    other.pointee.flags.remove([.isHedged, .isHedge])
    other.pointee.attempts += exchange.pointee.attempts
    connections[exchange.pointee.connection].pointee.exchange = staying
  }

  /// Ends an attempt that nobody waits for: on the wire, and without a word about its endpoint.
  private func cancel(_ index: Int32) {
    let exchange = exchanges[index]
    exchange.pointee.admission.outcome = .ignored
    exchange.pointee.health.outcome = nil
    releaseUpstream(index, reusable: false)
    endExchange(index)
  }
}
