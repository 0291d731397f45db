internal import Admission
internal import CLinux
internal import Glibc
internal import Reactor
internal import Telemetry
internal import Units
internal import Upstream

/// An attempt: an endpoint, a connection to it, the request on its way.
extension Worker {
  /// Endpoints that one request may try when connects fail, the first included.
  static let maximumAttempts = 3

  /// Starts an attempt on an idle connection or a new one.
  func attempt(_ index: Int32) {
    let exchange = exchanges[index]
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    exchange.pointee.attempts += 1
    // What an attempt before took is not the service's time for this one.
    if exchange.pointee.attempts > 1 {
      exchange.pointee.admission.isLearned = false
      exchange.pointee.admission.isOurFault = false
    }
    if let retries = service.pointee.retries, !exchange.pointee.flags.contains(.isCounted) {
      exchange.pointee.flags.insert(.isCounted)
      retries._withUnsafeGuaranteedRef { $0.budget.countRequest(worker: number, at: reactor.now) }
      if exchange.pointee.flags.contains(.mayHedge) { planHedge(exchange) }
    }
    exchange.pointee.phase = .connecting
    exchange.pointee.flags.remove(.onlyHTTP1)
    if let caps = service.pointee.caps, !enterCaps(index, service, caps) { return }
    if service.pointee.policy >= 0, !mayAttempt(index, service) { return }
    let place =
      service.pointee.caps.map { chooseWithin($0, service, exchange) }
      ?? chooseEndpoint(service, exchange)
    guard place >= 0 else {
      if place == Self.allFull, let caps = service.pointee.caps {
        exchange.pointee.previousEndpoint = exchange.pointee.endpoint
        return waitInLine(index, service, caps, .own)
      }
      return fail(index, .noEndpoint)
    }
    exchange.pointee.previousEndpoint = exchange.pointee.endpoint
    exchange.pointee.endpoint = place
    startAttempt(index, place, service)
  }

  /// Goes to an endpoint that was chosen.
  func startAttempt(_ index: Int32, _ place: Int32, _ service: UnsafePointer<CompiledService>) {
    switch service.pointee.http {
    case .http1: attemptConnection(index, place, service)
    case .http2: attemptStream(index, place, service)
    case .either where endpoints[Int(place)].chosen == .http1:
      attemptConnection(index, place, service)
    // Where nothing is known yet all wait for one handshake, rather than each for its own.
    case .either: attemptStream(index, place, service)
    }
  }

  /// Makes an attempt on an idle connection of HTTP/1.1, or on a new one.
  func attemptConnection(
    _ index: Int32,
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>
  ) {
    let exchange = exchanges[index]
    if !exchange.pointee.flags.contains(.wantsFresh) {
      let idle = takeIdle(place, mustBeOpen: !canRepeat(exchange))
      if idle >= 0 {
        exchange.pointee.flags.insert(.isReused)
        bind(index, idle)
        return sendRequest(index)
      }
    }
    exchange.pointee.flags.remove([.isReused, .wantsFresh])
    open(index, place, service)
  }

  func chooseEndpoint(
    _ service: UnsafePointer<CompiledService>,
    _ exchange: UnsafeMutablePointer<Exchange>
  ) -> Int32 {
    if service.pointee.policy >= 0 { return chooseByPolicy(service, exchange) }
    let candidates = Candidates(
      places: snapshots[exchange.pointee.snapshot].places + Int(service.pointee.firstEndpoint),
      count: Int(service.pointee.endpointCount),
      states: endpoints
    )
    return candidates.choose(
      service.pointee.balance,
      avoiding: exchange.pointee.endpoint,
      at: reactor.now,
      cursor: &cursors[Int(service.pointee.place)],
      using: &random
    )
  }

  /// Whether a broken connection may be answered by sending everything once more.
  func canRepeat(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
    exchange.pointee.flags.isSuperset(of: [.canReplay, .isIdempotent])
  }

  private func open(
    _ index: Int32,
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>
  ) {
    let exchange = exchanges[index]
    let snapshot = snapshots[exchange.pointee.snapshot]
    guard reserveRoom(place, service) else { return noRoom(index, place, service) }
    let upstream = upstreams.allocate()
    guard upstream >= 0 else {
      returnRoom(place, service.pointee.place)
      return fail(index, .buffersExhausted)
    }
    let generation = upstreams.generation(upstream)
    let timer = reactor.timers.allocate(for: owner(.upstreamTimer, upstream, generation))
    var code = ENOBUFS
    let transport =
      timer < 0
      ? nil
      : connect(
        to: snapshot.address(of: place, in: service),
        snapshot.target(of: place, in: service),
        owner(.upstream, upstream, generation),
        onlyHTTP1: exchange.pointee.flags.contains(.onlyHTTP1),
        &code
      )
    guard let transport else {
      if timer >= 0 { reactor.timers.release(timer) }
      upstreams.release(upstream)
      returnRoom(place, service.pointee.place)
      return connectFailed(index, place, .connect(code))
    }
    upstreams[upstream].initialize(
      to: UpstreamConnection(
        phase: .connecting,
        transport: transport,
        timer: timer,
        exchange: index,
        endpoint: place,
        service: service.pointee.place,
        metrics: service.pointee.metrics,
        newer: -1,
        older: -1,
        input: Input(),
        idleUntil: .never,
        idleTimeout: service.pointee.idleTimeout,
        isOneClients: service.pointee.prelude != .none
      )
    )
    endpoints[Int(place)].connections += 1
    awaitHead(upstream)
    meter.upstreamOpened(service.pointee.metrics)
    exchange.pointee.upstream = upstream
    setAttemptDeadline(exchange, reactor.now + service.pointee.connectTimeout)
  }

  /// Begins to connect; `code` is the error number where the result is `nil`.
  ///
  /// `onlyHTTP1`: Whether a service that may choose is offered nothing else.
  func connect(
    to address: UnsafePointer<KernelAddress>,
    _ target: SecureTarget?,
    _ owner: Owner,
    onlyHTTP1: Bool = false,
    _ code: inout Int32
  ) -> Transport? {
    if let target {
      return connectSecure(to: address, target, owner, onlyHTTP1: onlyHTTP1, &code)
    }
    let socket = reactor.connect(to: address, owner: owner)
    guard socket >= 0 else {
      code = -socket
      return nil
    }
    return .socket(socket)
  }

  /// Gives an idle connection to the exchange.
  private func bind(_ index: Int32, _ upstream: Int32) {
    let connection = upstreams[upstream]
    connection.pointee.phase = .busy
    connection.pointee.exchange = index
    awaitHead(upstream)
    exchanges[index].pointee.upstream = upstream
  }

  func upstreamConnected(_ index: Int32) {
    let upstream = upstreams[index]
    guard upstream.pointee.phase == .connecting else { return }
    upstream.pointee.phase = .busy
    meter.upstreamSpeaks(upstream.pointee.metrics.http1)
    endpoints[Int(upstream.pointee.endpoint)].connected()
    let exchange = upstream.pointee.exchange
    // Below TLS it went out before the handshake.
    if upstream.pointee.transport.isSocket,
      !sendPrelude(upstream, on: upstream.pointee.transport.index)
    {
      return fail(exchange, .buffersExhausted)
    }
    sendRequest(exchange)
    if exchanges[exchange].pointee.upstream == index { pumpRequest(exchange) }
  }

  /// The connection is there: from now on it is the answer that is waited for.
  func startWaiting(_ exchange: UnsafeMutablePointer<Exchange>) {
    var perTry = snapshots[exchange.pointee.snapshot].route(exchange.pointee.route).pointee
      .perTryTimeout
    if exchange.pointee.flags.contains(.isEndless) { perTry = waitForEndless(exchange) }
    exchange.pointee.phase = .waiting
    exchange.pointee.attemptStarted = reactor.now
    exchange.pointee.bodySent = Int64(exchange.pointee.kept.bytes)
    setAttemptDeadline(exchange, reactor.now + perTry)
  }

  /// Whether one read of the service may bring several blocks.
  ///
  /// A session has a hundred streams: with windows that are shut each would hold a whole read.
  func chooseReads(_ exchange: UnsafeMutablePointer<Exchange>) {
    let client = connections[exchange.pointee.connection].pointee.transport
    let upstream = upstreams[exchange.pointee.upstream].pointee.transport
    readInBulk(upstream, !client.isStream && !isShortOfBlocks)
  }

  /// Sends the head, with what of the body travels in its block.
  private func sendRequest(_ index: Int32) {
    let exchange = exchanges[index]
    let upstream = upstreams[exchange.pointee.upstream]
    startWaiting(exchange)
    chooseReads(exchange)
    reactor.pool.retain(exchange.pointee.requestBlock)
    let count = Int(exchange.pointee.requestCount)
    meter.sentUpstream(count)
    guard
      write(
        upstream.pointee.transport,
        block: exchange.pointee.requestBlock,
        start: 0,
        count: count
      )
    else { return fail(index, .buffersExhausted) }
    guard
      !exchange.pointee.flags.contains(.keepsBody)
        || sendKept(exchange, to: upstream.pointee.transport)
    else { return fail(index, .buffersExhausted) }
  }

  /// A connect did not work out: another endpoint at once, while there are attempts left.
  func connectFailed(_ index: Int32, _ place: Int32, _ reason: ReplyReason) {
    let exchange = exchanges[index]
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    noteConnectFailure(place)
    meter.connectFailed(service.pointee.metrics)
    connectElsewhere(index, reason)
  }

  /// Lets an endpoint rest that took no connection.
  func noteConnectFailure(_ place: Int32) {
    endpoints[Int(place)].connectFailed(
      at: reactor.now,
      jitter: Double(random.next() >> 11) * 0x1p-53
    )
    if endpoints[Int(place)].policy >= 0 { noteUnreachable(place) }
  }

  /// Another endpoint, while there are attempts left.
  ///
  /// `reason`: What the client is told when there are none.
  func connectElsewhere(_ index: Int32, _ reason: ReplyReason) {
    let exchange = exchanges[index]
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    // The other attempt is at another endpoint already.
    if exchange.pointee.flags.contains(.isHedged) { return dropLeg(index) }
    guard Int(exchange.pointee.attempts) < Self.maximumAttempts,
      service.pointee.endpointCount > 1
    else {
      return fail(index, reason)
    }
    attemptAndPump(index)
  }

  /// One more attempt, which may find a connection at once and have more of the body to send.
  func attemptAndPump(_ index: Int32) {
    attempt(index)
    pumpIfWaiting(index)
  }

  /// Goes on with the body of a request whose attempt has a connection, if it lives still.
  func pumpIfWaiting(_ index: Int32) {
    if exchanges.generation(index) & 1 == 1, exchanges[index].pointee.phase == .waiting {
      pumpRequest(index)
    }
  }

  /// The reused connection turned out closed: everything once more on a fresh one.
  func repeatOnFresh(_ index: Int32) {
    let exchange = exchanges[index]
    exchange.pointee.flags.formUnion([.hasRepeated, .wantsFresh])
    forgetAttempt(exchange)
    // Not the endpoint's fault: it may be chosen again.
    exchange.pointee.endpoint = -1
    meter.repeatedOnFresh()
    attemptAndPump(index)
  }

  // MARK: - Time

  func setAttemptDeadline(_ exchange: UnsafeMutablePointer<Exchange>, _ instant: Instant) {
    let previous = exchange.pointee.attemptDeadline
    exchange.pointee.attemptDeadline = instant
    // A timer that is armed still and fires too early finds nothing due, and is armed anew.
    if previous != .never, previous > reactor.now, instant >= previous { return }
    armTimer(exchange)
  }

  /// Sets the exchange's timer to the first of what it waits for.
  func armTimer(_ exchange: UnsafeMutablePointer<Exchange>) {
    let due = min(exchange.pointee.attemptDeadline, exchange.pointee.deadline)
    let other = min(exchange.pointee.hedgeAt, exchange.pointee.admission.pacedUntil)
    reactor.timers.set(exchange.pointee.timer, at: min(due, other))
  }

  func exchangeTimerFired(_ index: Int32) {
    let exchange = exchanges[index]
    let due = min(exchange.pointee.attemptDeadline, exchange.pointee.deadline)
    if exchange.pointee.admission.pacedUntil <= reactor.now, !patienceEnded(index) { return }
    guard due <= reactor.now else {
      if exchange.pointee.hedgeAt <= reactor.now { sendHedge(index) }
      return armTimer(exchange)
    }
    let isOverall = exchange.pointee.deadline <= reactor.now
    if isOverall, exchange.pointee.flags.contains(.isHedged) {
      loseLeg(exchange.pointee.twin, .upstreamTimeout, as: .left)
    }
    switch exchange.pointee.phase {
    case .queued where exchange.pointee.admission.state == .gathering: gatherTimedOut(index)
    case .queued:
      fail(index, .shedDeadline, retryAfter: Refusal.retryAfterRange.lowerBound)
    case .connecting where exchange.pointee.caps.isWaiting:
      lineTimedOut(index, isOverall: isOverall)
    case .connecting where !isOverall && exchange.pointee.upstream < 0:
      lookForRoom(index)
    case .connecting where !isOverall:
      meter.timedOut(.connect)
      let place = exchange.pointee.endpoint
      let transport = upstreams[exchange.pointee.upstream].pointee.transport
      noteHandshakeTimeout(transport)
      let isOurs = awaitsHandshake(transport)
      closeUpstream(exchange.pointee.upstream, reset: false)
      exchange.pointee.upstream = -1
      exchange.pointee.admission.isOurFault = isOurs
      if isOurs { return connectElsewhere(index, .connectTimeout) }
      connectFailed(index, place, .connectTimeout)
    case .backoff where !isOverall:
      retryNow(index)
    case .backoff:
      meter.timedOut(.request)
      fail(index, .upstreamTimeout)
    case .connecting, .waiting:
      meter.timedOut(isOverall ? .request : .perTry)
      fail(index, isOverall ? .upstreamTimeout : .perTryTimeout)
    case .relaying where exchange.pointee.deadline == .never:
      // Nobody had anything to say on a stream: no fault of the service.
      meter.timedOut(.streamIdle)
      truncate(index, .streamIdle)
    case .relaying:
      meter.timedOut(.request)
      if exchange.pointee.health.isWatched, isServicesTime(exchange) {
        judgeBreak(exchange, .upstreamTimeout)
      }
      // The head is out: all that can be done is to show that bytes are missing.
      truncate(index, .upstreamTimeout)
    case .tunnel:
      reactor.timers.set(exchange.pointee.timer, at: .never)
    }
  }
}

extension ReplyReason {
  /// What a connect that failed with an error number means to the client.
  static func connect(_ code: Int32) -> ReplyReason {
    code == ETIMEDOUT ? .connectTimeout : .connectFailed
  }
}
