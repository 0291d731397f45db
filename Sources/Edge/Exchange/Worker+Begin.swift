internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Routing
internal import Units

/// The stages of a request, in order, until it has an exchange or an answer.
extension Worker {
  /// Takes a whole head that lies at the front of the input.
  func begin(_ index: Int32, _ head: RequestHead) {
    let connection = connections[index]
    begin(
      index,
      RequestView(
        bytes: bytes(&connection.pointee.input),
        fields: UnsafePointer(requestFields),
        head: head,
        path: UnsafePointer(path),
        pathLength: 0,
        identifier: UnsafePointer(path),
        identifierLength: 0,
        peer: connection.pointee.peer,
        peerIsUnix: connection.pointee.flags.contains(.peerIsUnix),
        isTrusted: connection.pointee.flags.contains(.isTrusted),
        isSecure: connection.pointee.transport.isSecure,
        isInternal: connection.pointee.flags.contains(.isInternal),
        isEndless: connection.pointee.flags.contains(.isEndless)
      )
    )
  }

  /// Carries a request through the pipeline.
  ///
  /// `given`: Without the path and the id, which are found here.
  func begin(_ index: Int32, _ given: RequestView) {
    let connection = connections[index]
    connection.pointee.phase = .exchange
    connection.pointee.exchange = -1
    connection.pointee.requests += 1
    stopJudging(connection)

    var view = given
    identify(&view)
    if meter.keepsLog { view.trace = view.callersTrace }

    if let refusal = refuse(view, connection) {
      return answer(index, view, refusal, route: -1)
    }
    guard !view.isInternal else { return beginCall(index, view) }
    let policy = listeners[Int(connection.pointee.listener)].pathPolicy
    switch normalise(&view, policy) {
    case .refused(let fault):
      meter.refused(fault)
      return answer(index, view, .pathRefused, route: -1)
    case .unchanged, .rewritten: break
    }
    switch snapshots.newest.find(routeRequest(view)) {
    case .notFound:
      answer(index, view, .noRoute, route: -1)
    case .methodNotAllowed(let methods):
      allowedLength = snapshots.newest.routes.writeAllow(
        methods,
        into: allowed,
        capacity: Self.allowedCapacity
      )
      answer(index, view, .methodNotAllowed, route: -1)
    case .route(let route):
      serve(index, view, route)
    }
  }

  /// Stage 2: the request's id, the client's where its word counts.
  private func identify(_ view: inout RequestView) {
    if view.isTrusted {
      let given = view.first(.xRequestID)
      if given >= 0, (1...Self.longestIdentifier).contains(Int(view.fields[given].valueLength)) {
        view.identifier = view.bytes + Int(view.fields[given].valueStart)
        view.identifierLength = Int(view.fields[given].valueLength)
        if Self.isPlain(view.identifier, view.identifierLength) { return }
      }
    }
    var writer = ByteWriter(identifier, capacity: 32)
    writer.fixedHexadecimal(random.next())
    writer.fixedHexadecimal(random.next())
    view.identifier = UnsafePointer(identifier)
    view.identifierLength = 32
  }

  /// Longest request id that is taken over from a trusted peer, in bytes.
  static let longestIdentifier = 128

  /// Whether an id can stand in a JSON string and a log line as it is.
  private static func isPlain(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    for index in 0..<count {
      let byte = bytes[index]
      guard byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else {
        return false
      }
    }
    return true
  }

  /// Stage 3, first half: what needs no route to be refused.
  private func refuse(
    _ view: RequestView,
    _ connection: UnsafeMutablePointer<Connection>
  ) -> ReplyReason? {
    switch view.head.method {
    case .connect, .trace: return .methodNotImplemented
    default: break
    }
    if view.head.contentLength > limits(connection).bodyBytes { return .bodyTooLarge }
    return nil
  }

  /// Stage 3, second half: the path in the one form that is matched and sent on.
  private func normalise(_ view: inout RequestView, _ policy: PathPolicy) -> PathOutcome {
    if view.head.form == .asterisk {
      path[0] = UInt8(ascii: "*")
      view.pathLength = 1
      return .unchanged
    }
    guard view.head.pathLength > 0 else {
      // An absolute-form target without a path means the root (RFC 9112 section 3.2.2).
      path[0] = UInt8(ascii: "/")
      view.pathLength = 1
      return .unchanged
    }
    let given = view.bytes + Int(view.head.pathStart)
    let outcome = PathNormaliser.normalise(
      given,
      count: Int(view.head.pathLength),
      into: path,
      capacity: BlockPool.blockSize,
      policy: policy
    )
    switch outcome {
    case .unchanged:
      view.path = given
      view.pathLength = Int(view.head.pathLength)
    case .rewritten(let count):
      view.pathLength = count
    case .refused: break
    }
    return outcome
  }

  private func routeRequest(_ view: RequestView) -> RouteRequest {
    let head = view.head
    return RouteRequest(
      bytes: view.bytes,
      hostStart: Int(head.authorityStart),
      hostLength: Int(head.hostLength),
      path: UnsafeBufferPointer(start: view.path, count: view.pathLength),
      queryStart: Int(head.queryStart),
      queryLength: Int(head.queryLength),
      method: head.method,
      methodStart: Int(head.methodStart),
      methodLength: Int(head.methodLength),
      fields: view.fields,
      fieldCount: Int(head.fieldCount)
    )
  }

  /// Stages 4 to 13: the route's policies, then an attempt.
  ///
  /// `fallback`: Why the route stands in for another one.
  func serve(
    _ index: Int32,
    _ view: RequestView,
    _ route: Int32,
    fallback: ReplyReason? = nil
  ) {
    let compiled = snapshots.newest.route(route)
    guard compiled.pointee.service >= 0 else {
      return answerRoute(index, view, route, fallback: fallback)
    }
    let service = snapshots.newest.service(compiled.pointee.service)
    if service.pointee.policy >= 0, let refusal = refusalAhead(of: service) {
      guard compiled.pointee.fallback < 0 else {
        return serve(index, view, compiled.pointee.fallback, fallback: refusal.reason)
      }
      return answer(index, view, refusal.reason, route: route, retryAfter: refusal.wait)
    }
    if let fallback { meter.fellBack(compiled, fallback) }
    let demand = RequestDemand(view, compiled, snapshots.newest.classes, now: reactor.now)
    if requestsInFlight >= overload.mark,
      shedsForOverload(index, view, demand, route: route, compiled, service)
    {
      return
    }
    var place = AdmissionPlace()
    if let shed = ask(index, view, demand, compiled, service, &place) {
      return answer(
        index,
        view,
        ReplyReason(shed.reason),
        route: route,
        priority: Int(demand.priority),
        retryAfter: shed.retryAfter
      )
    }
    var refusal = ReplyReason.buffersExhausted
    guard let exchange = makeExchange(index, view, route, demand, place, &refusal) else {
      leaveAdmission(place)
      return answer(index, view, refusal, route: route)
    }
    exchanges[exchange].pointee.fallback = fallback
    if service.pointee.policy >= 0 {
      let policy = snapshots.newest.policy(service.pointee.policy)
      if policy.pointee.key != .none {
        exchanges[exchange].pointee.health.key = RequestKey.hash(view, policy)
      }
    }
    let connection = connections[index]
    if !view.isHTTP2 {
      // The head, and a body that makeExchange took along.
      let taken = Int(view.head.headLength) + Int(exchanges[exchange].pointee.bytesIn)
      consume(&connection.pointee.input, taken)
    }
    connection.pointee.exchange = exchange
    if place.isWaiting {
      setAttemptDeadline(exchanges[exchange], .never)
    } else {
      attempt(exchange)
    }
    // A reply of our own may have ended it already.
    if connection.pointee.phase == .exchange, connection.pointee.exchange == exchange {
      pumpRequest(exchange)
    }
  }

  /// The timer of an exchange that begins, not armed; -1 where there is none.
  func exchangeTimer(_ index: Int32) -> Int32 {
    let name = owner(.exchangeTimer, index, exchanges.generation(index))
    let kept = exchangeTimers[Int(index)]
    guard kept < 0 else {
      reactor.timers.rename(kept, for: name)
      return kept
    }
    let timer = reactor.timers.allocate(for: name)
    exchangeTimers[Int(index)] = timer
    return timer
  }

  /// Writes the head for the service and makes the exchange; `nil` when a bound is reached.
  ///
  /// `place`: What admission decided, which the exchange ends with.
  /// `refusal`: Changed when it is the head that is too large, with the fields of ours.
  private func makeExchange(
    _ index: Int32,
    _ view: RequestView,
    _ route: Int32,
    _ demand: RequestDemand,
    _ place: AdmissionPlace,
    _ refusal: inout ReplyReason
  ) -> Int32? {
    let block = reactor.pool.acquire()
    guard block >= 0 else { return nil }
    var writer = ByteWriter(reactor.pool.bytes(block), capacity: BlockPool.blockSize)
    let compiled = snapshots.newest.route(route)
    let http = snapshots.newest.service(compiled.pointee.service).pointee.http
    // HTTP/2 has a form for WebSockets only (RFC 8441); other upgrades go on as plain requests.
    let isUpgrade =
      view.head.wantsUpgrade
      && (http != .http1 ? WebSocketRequest.isAskedFor(by: view) : !UpgradeField.namesHTTP2(view))
    // A tunnel is never repeated, nor what a tier before us repeats.
    let mayRetry = compiled.pointee.retry >= 0 && !demand.isRetry && !isUpgrade
    let mayHedge =
      compiled.pointee.hedge >= 0 && !demand.isRetry && !isUpgrade
      && Self.mayHedge(
        view,
        hasEnded: !view.isHTTP2 || connections[index].pointee.flags.contains(.peerEnded)
      )
    guard
      let layout = UpstreamHead.write(
        view,
        isUpgrade: isUpgrade,
        demand: demand,
        classes: snapshots.newest.classes,
        now: reactor.now,
        countsAttempts: mayRetry || mayHedge,
        into: &writer
      )
    else {
      reactor.pool.release(block)
      refusal = .headTooLarge
      return nil
    }
    let exchange = exchanges.allocate()
    guard exchange >= 0 else {
      reactor.pool.release(block)
      return nil
    }
    let timer = exchangeTimer(exchange)
    guard timer >= 0 else {
      reactor.pool.release(block)
      exchanges.release(exchange)
      return nil
    }
    let body = view.body
    var flags: Exchange.Flags = .canReplay
    if view.head.minorVersion == 0 { flags.insert(.isHTTP10) }
    if view.head.keepsAlive { flags.insert(.keepsAlive) }
    if view.head.method.isIdempotent || view.first(.idempotencyKey) >= 0 {
      flags.insert(.isIdempotent)
    }
    if isUpgrade { flags.insert(.wantsUpgrade) }
    if view.head.expectsContinue { flags.insert(.expectsContinue) }
    if demand.isStrangers { flags.insert(.hasStrangersDeadline) }
    if mayRetry {
      flags.insert(.mayRetry)
      if flags.contains(.isIdempotent), Self.keeps(body) { flags.insert(.keepsBody) }
    }
    if mayHedge { flags.insert(.mayHedge) }
    if view.isInternal {
      flags.insert(.isInternal)
      if view.isEndless { flags.insert(.isEndless) }
      callExchanges += 1
    }
    exchanges[exchange].initialize(
      to: Exchange(
        phase: place.isWaiting ? .queued : .connecting,
        flags: flags,
        method: view.head.method,
        attempts: 0,
        interims: 0,
        status: 0,
        connection: index,
        upstream: -1,
        route: route,
        service: compiled.pointee.service,
        snapshot: snapshots.use(),
        timer: timer,
        requestBlock: block,
        requestCount: Int32(layout.count),
        pathStart: UInt16(layout.pathStart),
        pathLength: UInt16(view.pathLength),
        identifierStart: UInt16(layout.identifierStart),
        identifierLength: UInt16(view.identifierLength),
        methodLength: UInt16(layout.methodLength),
        trace: view.trace,
        deadlineStart: UInt16(layout.deadlineStart),
        callTimeStart: UInt16(layout.callTimeStart),
        attemptStart: UInt16(layout.attemptStart),
        responseFraming: .none,
        endpoint: -1,
        previousEndpoint: -1,
        request: body,
        response: BodyReader(.none, length: 0),
        started: reactor.now,
        attemptStarted: reactor.now,
        headAt: .never,
        deadline: demand.deadline,
        callDeadline: demand.callDeadline,
        attemptDeadline: .never,
        roomUntil: .never,
        lastActivity: reactor.now,
        bytesIn: 0,
        bytesOut: 0,
        admission: place
      )
    )
    takeEarlyBody(exchange, view)
    return exchange
  }

  /// A small body that came with its head travels in the same block: one send, and a request that
  /// can be repeated.
  private func takeEarlyBody(_ exchange: Int32, _ view: RequestView) {
    let entry = exchanges[exchange]
    let connection = connections[entry.pointee.connection]
    entry.pointee.request.bound = limits(connection).bodyBytes
    guard entry.pointee.request.framing == .length, !view.isHTTP2 else { return }
    let available = connection.pointee.input.count - Int(view.head.headLength)
    let length = Int(entry.pointee.request.left)
    let used = Int(entry.pointee.requestCount)
    guard length <= available, used + length <= BlockPool.blockSize else { return }
    (reactor.pool.bytes(entry.pointee.requestBlock) + used)
      .update(from: view.bytes + Int(view.head.headLength), count: length)
    entry.pointee.requestCount += Int32(length)
    entry.pointee.request.left = 0
    entry.pointee.request.seen = Int64(length)
    entry.pointee.request.state = .complete
    entry.pointee.bytesIn = Int64(length)
  }
}
