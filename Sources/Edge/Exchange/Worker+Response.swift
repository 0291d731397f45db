internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// Stage 14: the response head, what it means for both connections, and the exchange's end.
extension Worker {
  /// Passes a response head on.
  ///
  /// - Returns: Whether the exchange goes on reading; `false` once it ended.
  func responseHead(_ index: Int32, _ view: ResponseView) -> Bool {
    let exchange = exchanges[index]
    let head = view.head
    guard head.status >= 200 || head.isUpgrade else { return interim(index, view) }
    endAwaiting(exchange.pointee.upstream)
    if head.isUpgrade,
      !exchange.pointee.flags.contains(.wantsUpgrade) || !exchange.pointee.request.isComplete
    {
      // A tunnel that nobody asked for would be a way past every check (request smuggling), and so
      // would one that begins in the middle of a body.
      fail(index, .upstreamMalformed)
      return false
    }
    if exchange.pointee.flags.contains(.wantsUpgrade), !head.isUpgrade, head.status < 300,
      connections[exchange.pointee.connection].pointee.transport.isStream
    {
      // To the client of an extended CONNECT every 2xx means that the tunnel stands.
      fail(index, .upstreamMalformed)
      return false
    }
    if endpoints[Int(exchange.pointee.endpoint)].policy >= 0 {
      noteReports(exchange, view.bytes, view.fields, Int(head.fieldCount))
    }
    let outcome = PermitOutcome(view)
    if !exchange.pointee.flags.isDisjoint(with: [.mayRetry, .mayHedge, .isHedged]),
      isHeldBack(index, view, outcome)
    {
      return false
    }
    exchange.pointee.status = head.isUpgrade ? 101 : head.status
    exchange.pointee.headAt = reactor.now
    exchange.pointee.admission.outcome = outcome
    let isEndless = exchange.pointee.flags.contains(.isEndless)
    // When a watch has something to say tells nothing of the service's pace.
    if !isEndless { noteLatency(exchange) }
    if outcome == .dropped { notePenalty(exchange, view) }
    if exchange.pointee.health.isWatched { judgeHead(exchange, view) }
    if head.isUpgrade {
      guard beginStream(index, .upgrade), writeHead(index, view, tunnelFraming) else {
        return false
      }
      beginTunnel(index)
      return false
    }
    let stream =
      head.framing == .chunked || head.framing == .untilClose ? MediaType.stream(view) : nil
    if let stream, !beginStream(index, stream) { return false }
    let framing = frame(exchange, view)
    exchange.pointee.response = view.body
    exchange.pointee.responseFraming = framing.body
    if !head.keepsAlive { exchange.pointee.flags.insert(.upstreamCloses) }
    exchange.pointee.phase = .relaying
    // The rest has the whole exchange's time; a stream without end has the idle bound instead.
    if stream != nil || isEndless {
      exchange.pointee.deadline = .never
      touchStream(exchange)
    } else {
      setAttemptDeadline(exchange, .never)
    }
    guard writeHead(index, view, framing) else { return false }
    if exchange.pointee.response.isComplete {
      responseComplete(index)
      return false
    }
    if exchange.pointee.deadline == .never { detach(index) }
    return true
  }

  private var tunnelFraming: DownstreamHead.Framing {
    DownstreamHead.Framing(
      body: .none,
      keepsLength: false,
      connection: "upgrade",
      isUpgrade: true
    )
  }

  /// What the client is told about the body and the connection.
  private func frame(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ view: ResponseView
  ) -> DownstreamHead.Framing {
    let head = view.head
    let isOld = exchange.pointee.flags.contains(.isHTTP10)
    var body = head.framing
    let isStream = connections[exchange.pointee.connection].pointee.transport.isStream
    // A stream ends by itself: nothing is framed inside it.
    if body == .untilClose || body == .chunked { body = isOld || isStream ? .untilClose : .chunked }
    if body == .untilClose { exchange.pointee.flags.remove(.keepsAlive) }
    if shouldRetire(exchange.pointee.connection) { exchange.pointee.flags.remove(.keepsAlive) }
    // A client that waits for 100 and reads a final response may or may not send its body.
    if !exchange.pointee.request.isComplete,
      !canDiscard(exchange.pointee.request) || exchange.pointee.flags.contains(.expectsContinue)
    {
      exchange.pointee.flags.remove(.keepsAlive)
    }
    let keepsAlive = exchange.pointee.flags.contains(.keepsAlive)
    // A 204 announces no body (RFC 9110 section 8.6): a client that believed it would wait for one,
    // or take the next response for it. With 304 and to HEAD the length describes the resource.
    let keepsLength = head.framing == .length || (head.framing == .none && head.status != 204)
    return DownstreamHead.Framing(
      body: body,
      keepsLength: keepsLength,
      connection: keepsAlive ? (isOld ? "keep-alive" : nil) : "close",
      isUpgrade: false,
      // A stream that ends with its head: a client would else wait for a body until the connection
      // ends, and take the next response for it.
      isEmpty: view.isHTTP2 && body == .none && head.contentLength < 0 && head.status != 204
        && head.status != 304 && exchange.pointee.method != .head,
      keepsReports: forwardsReports(exchange.pointee.endpoint)
    )
  }

  /// Whether this is the connection's last response: it is old, has carried enough, or we drain.
  func shouldRetire(_ index: Int32) -> Bool {
    let connection = connections[index]
    return isDraining || reactor.now >= connection.pointee.retiresAt
      || connection.pointee.requests >= connection.pointee.requestBound
  }

  /// Whether what is missing of a body is little enough to read and drop.
  func canDiscard(_ body: BodyReader) -> Bool {
    body.isComplete || (body.framing == .length && body.left <= Self.maximumDiscard)
  }

  /// Bytes of an unwanted body that are read so that the connection can stay: as much as a
  /// client sends without waiting for acknowledgements anyway.
  static let maximumDiscard: Int64 = 65_536

  private func writeHead(
    _ index: Int32,
    _ view: ResponseView,
    _ framing: DownstreamHead.Framing
  ) -> Bool {
    let exchange = exchanges[index]
    let upstream = upstreams[exchange.pointee.upstream]
    let connection = connections[exchange.pointee.connection]
    if connection.pointee.transport.isStream { return submitHead(index, view, framing) }
    let block = reactor.pool.acquire()
    guard block >= 0 else {
      fail(index, .buffersExhausted)
      return false
    }
    var writer = ByteWriter(reactor.pool.bytes(block), capacity: BlockPool.blockSize)
    date.refresh(at: reactor.now)
    DownstreamHead.write(view, framing, date: date.bytes, into: &writer)
    if !view.isHTTP2 { consume(&upstream.pointee.input, Int(view.head.headLength)) }
    guard !writer.isFull else {
      reactor.pool.release(block)
      exchange.pointee.phase = .waiting
      fail(index, .upstreamMalformed)
      return false
    }
    noteSent(connection, writer.count)
    guard
      write(connection.pointee.transport, block: block, start: 0, count: writer.count)
    else {
      failOrAbandon(index, .buffersExhausted)
      return false
    }
    return true
  }

  /// 100 and 103: passed on to those who understand them (RFC 9110 section 15.2).
  private func interim(_ index: Int32, _ view: ResponseView) -> Bool {
    let exchange = exchanges[index]
    exchange.pointee.interims += 1
    guard exchange.pointee.interims <= Self.maximumInterims else {
      fail(index, .upstreamMalformed)
      return false
    }
    // While two attempts are out nobody knows whose hints are worth following.
    guard exchange.pointee.flags.isDisjoint(with: [.isHTTP10, .isHedged]) else {
      let upstream = upstreams[exchange.pointee.upstream]
      if !view.isHTTP2 { consume(&upstream.pointee.input, Int(view.head.headLength)) }
      return true
    }
    exchange.pointee.flags.insert(.hasBegun)
    let isWritten = writeHead(
      index,
      view,
      DownstreamHead.Framing(body: .none, keepsLength: false, connection: nil, isUpgrade: false)
    )
    if isWritten, view.head.status == 100 { awaitExpectedBody(exchange) }
    return isWritten
  }

  /// The service has said that it takes the body: from now on it is the client that owes a word.
  private func awaitExpectedBody(_ exchange: UnsafeMutablePointer<Exchange>) {
    let connection = connections[exchange.pointee.connection]
    guard !exchange.pointee.request.isComplete, connection.pointee.input.isEmpty else { return }
    waitForClient(exchange)
    if connection.pointee.deadline != .never { judgePaceFromNow(connection) }
  }

  /// Interim responses of one exchange: early hints come once or twice, more would be a way to fill
  /// our buffers.
  private static let maximumInterims: UInt8 = 16

  private func noteLatency(_ exchange: UnsafeMutablePointer<Exchange>) {
    let latency = reactor.now - exchange.pointee.attemptStarted
    endpoints[Int(exchange.pointee.endpoint)].answered(after: latency, at: reactor.now)
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    meter.upstreamAnswered(service.pointee.metrics, latency)
  }

  /// Whatever passes on a stream, either way, starts its idle time anew.
  func touchStream(_ exchange: UnsafeMutablePointer<Exchange>) {
    let idle = limits(connections[exchange.pointee.connection]).upgradeIdle
    setAttemptDeadline(exchange, reactor.now + idle)
  }

  /// The response is queued whole: the upstream connection is free, and so is the client's.
  func responseComplete(_ index: Int32) {
    let exchange = exchanges[index]
    let upstream = upstreams[exchange.pointee.upstream]
    let isClean =
      exchange.pointee.request.isComplete && upstream.pointee.input.isEmpty
      && !exchange.pointee.flags.contains(.upstreamCloses)
      && queuedBytes(upstream.pointee.transport) == 0 && !upstream.pointee.isOneClients
      && !hasLeftover(upstream.pointee.transport)
    releaseUpstream(index, reusable: isClean)
    let connection = exchange.pointee.connection
    let body = exchange.pointee.request
    let keepsAlive = exchange.pointee.flags.contains(.keepsAlive)
    account(index)
    endExchange(index)
    settle(connection, body, keepsAlive: keepsAlive)
  }

  /// After a reply: the next request, the rest of this one's body, or the end.
  func settle(_ index: Int32, _ body: BodyReader, keepsAlive: Bool) {
    let connection = connections[index]
    guard keepsAlive, !connection.pointee.transport.isStream else {
      return closeWhenSent(index, lingering: !body.isComplete || !connection.pointee.input.isEmpty)
    }
    guard !body.isComplete else { return connectionFreed(index) }
    connection.pointee.phase = .discard
    connection.pointee.exchange = -1
    connection.pointee.discardLeft = body.left
    resumeReading(connection)
    setDeadline(connection, reactor.now + limits(connection).bodyIdle)
    discard(index)
  }

  /// Parts the exchange from its upstream connection.
  func releaseUpstream(_ index: Int32, reusable: Bool) {
    let exchange = exchanges[index]
    let upstream = exchange.pointee.upstream
    guard upstream >= 0 else { return }
    exchange.pointee.upstream = -1
    guard reusable, !upstreams[upstream].pointee.transport.isStream else {
      return closeUpstream(upstream, reset: false)
    }
    assert(!upstreams[upstream].pointee.isAwaited, "reusable without a response head")
    endpoints[Int(exchange.pointee.endpoint)].inFlight -= 1
    if exchange.pointee.flags.contains(.upstreamPaused) {
      resume(upstreams[upstream].pointee.transport)
    }
    if endpoints[Int(exchange.pointee.endpoint)].hasLeft {
      upstreams[upstream].pointee.exchange = -1
      return closeUpstream(upstream, reset: false)
    }
    makeIdle(upstream)
  }

  /// Frees the exchange; its upstream connection is parted already.
  func endExchange(_ index: Int32) {
    let exchange = exchanges[index]
    if !exchange.pointee.flags.isDisjoint(with: [.isRetrying, .keepsBody]) { endRetries(exchange) }
    leaveAdmission(exchange)
    if exchange.pointee.caps.isAny { leaveCaps(exchange, index) }
    if exchange.pointee.health.isWatched { settleHealth(exchange) }
    if exchange.pointee.requestBlock >= 0 {
      reactor.pool.release(exchange.pointee.requestBlock)
    }
    releaseSnapshot(index)
    if exchange.pointee.flags.contains(.isInternal) { callExchanges -= 1 }
    exchanges.release(index)
  }
}
