internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// Stage 13, after an attempt that failed: whether there is another, and when.
///
/// ```
/// fail, responseHead ─▶ judged ─┬─▶ passed on: no condition names it, or something forbids it
///                               └─▶ backoff ─▶ asks admission ─┬─▶ attempt
///                                                 one class lower ├─▶ queued ─▶ attempt
///                                                                 └─▶ refused: reply
/// ```
///
/// A permit ends with its attempt and is asked for anew, so that what waits here holds none of the
/// service. The budget is asked last: it is the one thing that a refusal would have to give back.
extension Worker {
  /// Whether a failure without a response is followed by another attempt instead of a reply.
  func retriesFailure(_ index: Int32, _ reason: ReplyReason) -> Bool {
    let exchange = exchanges[index]
    let phase = exchange.pointee.phase
    guard let cause = reason.retryCause, phase == .connecting || phase == .waiting,
      exchange.pointee.headAt == .never, !exchange.pointee.admission.isOurFault
    else { return false }
    let rule = retryPolicy(exchange).pointee.rule
    guard
      rule.takes(cause) || rule.takes(status: Int(reason.wording.status))
        || rule.namesCalls && rule.takes(call: reason.grpcStatus) && isCall(exchange)
    else { return false }
    // A client that takes its time to send is not helped by another attempt.
    guard cause != .timeout || exchange.pointee.request.isComplete else { return false }
    // What was not sent, or not processed, is not repeated: it is done for the first time.
    let isHarmless = phase == .connecting || cause == .refusedStream
    guard let wait = grantRetry(exchange, cause, .unsaid, isHarmless: isHarmless) else {
      return false
    }
    noteFailure(exchange, reason)
    if exchange.pointee.health.isWatched { judgeFailure(exchange, reason) }
    backOff(index, wait, reusable: false)
    return true
  }

  /// Whether a response is dropped for another attempt; nothing of it has gone to the client.
  func retriesResponse(_ index: Int32, _ view: ResponseView) -> Bool {
    let exchange = exchanges[index]
    guard
      let cause = snapshots[exchange.pointee.snapshot]
        .retryCause(of: view, exchange.pointee.route)
    else {
      settleRetries(exchange, .succeeded)
      return false
    }
    let delay = RetryDelay(view, wallClock: date.wallClock(at: reactor.now))
    guard let wait = grantRetry(exchange, cause, delay, isHarmless: false) else {
      settleRetries(exchange, .failed)
      return false
    }
    exchange.pointee.admission.outcome = PermitOutcome(view)
    judgeDropped(exchange, view)
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    meter.upstreamAnswered(service.pointee.metrics, reactor.now - exchange.pointee.attemptStarted)
    backOff(index, wait, reusable: skipResponse(exchange, view))
    return true
  }

  /// Tells breakers and outlier detection of a response that nobody gets.
  func judgeDropped(_ exchange: UnsafeMutablePointer<Exchange>, _ view: ResponseView) {
    if exchange.pointee.admission.outcome == .dropped { notePenalty(exchange, view) }
    guard exchange.pointee.health.isWatched else { return }
    exchange.pointee.headAt = reactor.now
    judgeHead(exchange, view)
    settleHealth(exchange)
    exchange.pointee.headAt = .never
  }

  /// The response goes to the client: nothing is repeated from here on.
  private func settleRetries(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ outcome: RetryOutcome
  ) {
    endRetry(exchange, outcome)
    forgetBody(exchange)
    exchange.pointee.flags.remove(.mayRetry)
  }

  private func retryPolicy(
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> UnsafePointer<RetryTable.Policy> {
    let snapshot = snapshots[exchange.pointee.snapshot]
    return snapshot.retryPolicies.table[snapshot.route(exchange.pointee.route).pointee.retry]
  }

  // MARK: - The decision

  /// Takes a retry out of the budget, where nothing is against it.
  ///
  /// `isHarmless`: Whether the service has done nothing with the request.
  /// - Returns: How long it waits; `nil` when there is none.
  private func grantRetry(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ cause: RetryCause,
    _ delay: RetryDelay,
    isHarmless: Bool
  ) -> Nanoseconds? {
    endRetry(exchange, .failed)
    let wait = retryWait(exchange, delay)
    if let refusal = refusal(exchange, cause, wait, isHarmless: isHarmless) {
      withRetries(exchange) { $0.count(cause, refusal, worker: number) }
      return nil
    }
    exchange.pointee.retries += 1
    exchange.pointee.retryCause = cause
    exchange.pointee.flags.insert(.isRetrying)
    return wait
  }

  /// How long a retry would wait, `nil` where the service forbids it.
  private func retryWait(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ delay: RetryDelay
  ) -> Nanoseconds? {
    let backoff = RetryBackoff.wait(retry: Int(exchange.pointee.retries) + 1, using: &random)
    return switch delay {
    case .unsaid: backoff
    // Whoever was told the same comes back a little apart.
    case .atLeast(let span): span + backoff
    case .exactly(let span): span
    case .never: nil
    }
  }

  /// What is against a retry; where nothing is, it is reserved.
  private func refusal(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ cause: RetryCause,
    _ wait: Nanoseconds?,
    isHarmless: Bool
  ) -> RetryOutcome? {
    let flags = exchange.pointee.flags
    if exchange.pointee.retries >= retryPolicy(exchange).pointee.rule.retries { return .limit }
    if !isHarmless, !flags.contains(.isIdempotent) { return .notIdempotent }
    if !flags.contains(.canReplay) { return .bodyNotKept }
    if flags.contains(.hasBegun) { return .begun }
    guard let wait else { return .told }
    if reactor.now + wait >= exchange.pointee.deadline { return .deadline }
    if isLimited(exchange.pointee.admission, isEnding: true),
      cause != .timeout || !isQuickElsewhere(exchange)
    {
      return .limited
    }
    let snapshot = snapshots[exchange.pointee.snapshot]
    let allowance = snapshot.service(exchange.pointee.service).pointee.retryAllowance
    let isReserved = withRetries(exchange) { $0.budget.reserve(allowance, at: reactor.now) }
    return isReserved == true ? nil : .budget
  }

  /// Whether another endpoint answered while an attempt took its time, of which it needs a fifth as a
  /// rule: it is its endpoint that has too much to do, and not the service.
  ///
  /// The repetition takes the place of the attempt that ends. In an overload of all endpoints none is
  /// as quick.
  private func isQuickElsewhere(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
    let snapshot = snapshots[exchange.pointee.snapshot]
    let service = snapshot.service(exchange.pointee.service)
    let time = reactor.now - exchange.pointee.attemptStarted
    for offset in 0..<min(Int(service.pointee.endpointCount), Self.mostCompared) {
      let place = snapshot.places[Int(service.pointee.firstEndpoint) + offset]
      guard place != exchange.pointee.endpoint, endpoints[Int(place)].isQuicker(than: time) else {
        continue
      }
      if works(place, since: exchange.pointee.attemptStarted) { return true }
    }
    return false
  }

  /// Endpoints that are looked at for one that is quick: one of so many would be.
  private static let mostCompared = 16

  /// Whether the service has no room for one more.
  ///
  /// `isEnding`: Whether what the exchange itself holds of it is about to be free.
  func isLimited(_ place: AdmissionPlace, isEnding: Bool) -> Bool {
    guard place.slot >= 0, !place.isShadow else { return false }
    return admissions[place.slot].pointee.admission
      .isLimited(besides: isEnding && place.state == .permitted ? 1 : 0)
  }

  @discardableResult
  func withRetries<Result>(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ body: (ServiceRetries) -> Result
  ) -> Result? {
    let snapshot = snapshots[exchange.pointee.snapshot]
    return snapshot.service(exchange.pointee.service).pointee.retries?
      ._withUnsafeGuaranteedRef(body)
  }

  // MARK: - The wait

  /// Parts the exchange from its attempt and its permit, and waits.
  private func backOff(_ index: Int32, _ wait: Nanoseconds, reusable: Bool) {
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    if service.pointee.endpointCount > 1 {
      // Another endpoint is asked: what this one lost says nothing of what the service can do.
      exchange.pointee.admission.outcome = .ignored
    }
    leaveAdmission(exchange)
    releaseUpstream(index, reusable: reusable)
    if exchange.pointee.caps.isAny { leaveCaps(exchange, index) }
    let before = exchange.pointee.admission
    var place = AdmissionPlace()
    place.slot = before.slot
    place.route = before.route
    place.tenant = before.tenant
    place.priority = before.priority
    place.waited = before.waited
    place.patience = before.patience
    // The service was asked more than once: what is left of the time is no measure of it.
    place.isLearned = false
    exchange.pointee.admission = place
    exchange.pointee.phase = .backoff
    exchange.pointee.flags.remove([
      .hasResponse, .isReused, .wantsFresh, .upstreamPaused, .upstreamCloses, .onlyHTTP1, .mayHedge,
    ])
    exchange.pointee.hedgeAt = .never
    exchange.pointee.roomUntil = .never
    // The client owes nothing now; what it sends all the same is held.
    stopJudging(connection)
    if !connection.pointee.input.isEmpty { pauseReading(connection) }
    setAttemptDeadline(exchange, reactor.now + wait)
  }

  /// Drops a response that has come whole.
  ///
  /// - Returns: Whether its connection may carry another request.
  func skipResponse(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ view: ResponseView
  ) -> Bool {
    let upstream = upstreams[exchange.pointee.upstream]
    let head = view.head
    guard !view.isHTTP2, head.keepsAlive, head.framing == .none || head.framing == .length,
      exchange.pointee.request.isComplete, !upstream.pointee.isOneClients,
      queuedBytes(upstream.pointee.transport) == 0
    else { return false }
    let body = head.framing == .length ? head.contentLength : 0
    let input = upstream.pointee.input
    guard Int64(input.total) == Int64(head.headLength) + body, input.total == input.count else {
      return false
    }
    consume(&upstream.pointee.input, input.count)
    return !hasLeftover(upstream.pointee.transport)
  }

  // MARK: - The retry

  /// The wait is over: the request goes out once more, if admission has a place for it.
  func retryNow(_ index: Int32) {
    let exchange = exchanges[index]
    exchange.pointee.phase = .connecting
    guard renewHead(exchange) else {
      withRetries(exchange) { $0.budget.giveBack() }
      return fail(index, .buffersExhausted)
    }
    if let refusal = askAgain(exchange) {
      withRetries(exchange) { $0.budget.giveBack() }
      endRetry(exchange, .shed)
      return fail(index, ReplyReason(refusal.reason), retryAfter: refusal.retryAfter)
    }
    withRetries(exchange) { $0.budget.spend(worker: number, at: reactor.now) }
    guard !exchange.pointee.admission.isWaiting else {
      exchange.pointee.phase = .queued
      return setAttemptDeadline(exchange, .never)
    }
    attemptAndPump(index)
  }

  /// Asks for a permit again, as DESIGN has it one class lower.
  private func askAgain(_ exchange: UnsafeMutablePointer<Exchange>) -> Refusal? {
    guard exchange.pointee.admission.slot >= 0 else { return nil }
    let snapshot = snapshots[exchange.pointee.snapshot]
    var place = exchange.pointee.admission
    place.isShadow = snapshot.service(exchange.pointee.service).pointee.isShadow
    if exchange.pointee.retries == 1 {
      place.priority = UInt8(clamping: min(Int(place.priority) + 1, shared.classes - 1))
    }
    let refusal = decide(exchange.pointee.connection, exchange.pointee.deadline, &place)
    exchange.pointee.admission = place
    return refusal
  }

  /// Writes into the head which attempt it is and how much time is left.
  ///
  /// The attempt before may have bytes of the block on their way still: those are not touched.
  ///
  /// - Returns: `false` when there is no block for a copy.
  private func renewHead(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
    let old = exchange.pointee.requestBlock
    if !reactor.pool.isUnique(old) {
      let copy = reactor.pool.acquire()
      guard copy >= 0 else { return false }
      reactor.pool.bytes(copy).update(
        from: reactor.pool.bytes(old),
        count: Int(exchange.pointee.requestCount)
      )
      reactor.pool.release(old)
      exchange.pointee.requestBlock = copy
    }
    let bytes = reactor.pool.bytes(exchange.pointee.requestBlock)
    if exchange.pointee.attemptStart > 0 {
      let hedges: UInt8 = exchange.pointee.flags.contains(.wasHedged) ? 1 : 0
      let digit = UInt8(ascii: "1") + exchange.pointee.retries + hedges
      bytes[Int(exchange.pointee.attemptStart)] = digit
    }
    DemandFields.refresh(bytes, exchange, now: reactor.now)
    return true
  }

  // MARK: - The end

  /// Counts what became of the retry under way, if there is one.
  func endRetry(_ exchange: UnsafeMutablePointer<Exchange>, _ outcome: RetryOutcome) {
    guard exchange.pointee.flags.contains(.isRetrying) else { return }
    exchange.pointee.flags.remove(.isRetrying)
    let cause = exchange.pointee.retryCause
    withRetries(exchange) { $0.count(cause, outcome, worker: number) }
  }

  /// The exchange ends: its retry with it, and what was kept for another one.
  func endRetries(_ exchange: UnsafeMutablePointer<Exchange>) {
    let phase = exchange.pointee.phase
    if phase == .backoff { withRetries(exchange) { $0.budget.giveBack() } }
    let isLeft = phase == .backoff || phase == .queued || exchange.pointee.status == 499
    endRetry(exchange, isLeft ? .left : .failed)
    forgetBody(exchange)
  }
}
