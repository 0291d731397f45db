internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import TLS
internal import Units
internal import Upstream

/// A stream towards a service: an attempt's request, what comes for it, and its end.
extension Worker {
  // MARK: - Begin

  /// Makes an attempt on a session that has room, or on a new one.
  func attemptStream(_ index: Int32, _ place: Int32, _ service: UnsafePointer<CompiledService>) {
    var session = sessionWithRoom(place)
    if session < 0 {
      guard reserveRoom(place, service) else { return noRoom(index, place, service) }
      var code: Int32 = 0
      let snapshot = snapshots[exchanges[index].pointee.snapshot]
      session = openServiceSession(place, service, snapshot, code: &code)
      guard session >= 0 else {
        returnRoom(place, service.pointee.place)
        guard code == 0 else { return connectFailed(index, place, .connect(code)) }
        return fail(index, .buffersExhausted)
      }
    }
    attemptStream(index, place, service, on: session)
  }

  /// Makes an attempt on a session that has room.
  func attemptStream(
    _ index: Int32,
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>,
    on session: Int32
  ) {
    let exchange = exchanges[index]
    exchange.pointee.flags.remove([.isReused, .wantsFresh])
    if exchange.pointee.flags.contains(.wantsUpgrade) {
      guard takesWebSocket(index, place, service, sessions[session]) else { return }
    }
    beginStream(index, place, service, on: session)
  }

  /// Whether the service takes extended CONNECT, which its SETTINGS say (RFC 8441 section 3).
  ///
  /// When they have not come, the exchange looks again later. When it does not, a service that may
  /// choose is asked for HTTP/1.1, which has WebSockets of its own; else the exchange ends here.
  private func takesWebSocket(
    _ index: Int32,
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>,
    _ session: UnsafeMutablePointer<Session>
  ) -> Bool {
    let exchange = exchanges[index]
    let http2 = session.pointee.http2.takeUnretainedValue()
    guard !http2.knowsPeer else {
      if http2.peerAllowsExtendedConnect { return true }
      if service.pointee.http == .either, !endpoints[Int(place)].lacksHTTP1 {
        exchange.pointee.flags.insert(.onlyHTTP1)
        attemptConnection(index, place, service)
      } else {
        fail(index, .upgradeRefused)
      }
      return false
    }
    if exchange.pointee.roomUntil == .never {
      exchange.pointee.roomUntil = reactor.now + service.pointee.connectTimeout
    }
    if reactor.now < exchange.pointee.roomUntil {
      setAttemptDeadline(exchange, reactor.now + Self.roomInterval)
    } else {
      fail(index, .connectTimeout)
    }
    return false
  }

  private func beginStream(
    _ index: Int32,
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>,
    on session: Int32
  ) {
    let exchange = exchanges[index]
    let entry = sessions[session]
    let upstream = upstreams.allocate()
    guard upstream >= 0 else { return fail(index, .buffersExhausted) }
    let (stream, headLength) = submitRequest(
      exchange,
      entry.pointee.http2.takeUnretainedValue(),
      isSecure: entry.pointee.transport.isSecure
    )
    guard stream >= 0 else {
      upstreams.release(upstream)
      return fail(index, headLength < 0 ? .headTooLarge : .buffersExhausted)
    }
    addLink(stream, to: session, entry)
    let link = links + Int(stream)
    link.pointee.flags = [.isUpstream, .isAnswered]
    link.pointee.receiver = upstream
    let isConnected = entry.pointee.phase != .connecting
    upstreams[upstream].initialize(
      to: UpstreamConnection(
        phase: isConnected ? .busy : .connecting,
        transport: .stream(stream),
        timer: -1,
        exchange: index,
        endpoint: place,
        service: service.pointee.place,
        metrics: service.pointee.metrics,
        newer: -1,
        older: -1,
        input: Input(),
        idleUntil: .never,
        idleTimeout: service.pointee.idleTimeout,
        isOneClients: false
      )
    )
    awaitHead(upstream)
    exchange.pointee.upstream = upstream
    if entry.pointee.requests > 0, isConnected { exchange.pointee.flags.insert(.isReused) }
    entry.pointee.requests &+= 1
    makeDirty(session, entry)
    meter.serviceStreamOpened()
    guard
      exchange.pointee.flags.contains(.wantsUpgrade)
        || sendEarlyBody(exchange, link, stream, from: headLength)
    else {
      return fail(index, .buffersExhausted)
    }
    guard isConnected else {
      // The session sees to the time of the connect.
      return setAttemptDeadline(exchange, .never)
    }
    startWaiting(exchange)
  }

  /// Sends what of the body travels in the request's block, and the end where that is all.
  private func sendEarlyBody(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ link: UnsafeMutablePointer<StreamLink>,
    _ stream: Int32,
    from start: Int
  ) -> Bool {
    let count = Int(exchange.pointee.requestCount) - start
    guard count > 0 || !exchange.pointee.kept.isEmpty else {
      if isWhole(exchange) { link.pointee.flags.formUnion([.finish, .isEndOffered]) }
      return true
    }
    if count > 0 {
      reactor.pool.retain(exchange.pointee.requestBlock)
      guard writeStream(stream, block: exchange.pointee.requestBlock, start: start, count: count)
      else { return false }
    }
    guard sendKept(exchange, to: .stream(stream)) else { return false }
    if isWhole(exchange) { finishStream(stream) }
    return true
  }

  /// The session of a stream that was begun before stands now.
  func serviceStreamConnected(_ upstream: Int32) {
    let entry = upstreams[upstream]
    guard entry.pointee.phase == .connecting else { return }
    entry.pointee.phase = .busy
    let exchange = entry.pointee.exchange
    startWaiting(exchanges[exchange])
    pumpRequest(exchange)
  }

  // MARK: - Events

  func takeFromService(_ event: H2Event, of session: Int32, _ block: Int32, _ start: Int) {
    switch event.kind {
    case .response, .interim: serviceAnswered(event)
    case .data: serviceSentBody(event, block, start)
    case .trailers: serviceSentTrailers(event)
    case .malformed:
      if let fault = event.fault { meter.malformed(fault) }
      if event.stream >= 0 { links[Int(event.stream)].flags.insert(.isMalformed) }
    case .settings: serviceSessionSettled(session)
    case .goAway:
      meter.serviceSaidGoAway()
      unlistSession(session)
      if sessions[session].pointee.phase == .open { setPhase(session, .going) }
    case .pong: serviceSessions[Int(session)].wasPong = true
    case .request, .oversizedRequest: break
    }
  }

  private func serviceAnswered(_ event: H2Event) {
    let upstream = links[Int(event.stream)].receiver
    if event.isLast { links[Int(event.stream)].flags.insert(.peerEnded) }
    guard upstream >= 0 else { return }
    let exchange = upstreams[upstream].pointee.exchange
    var view = ResponseView(workspace.response(event))
    if view.head.isUpgrade { answerKey(exchanges[exchange], &view) }
    // A second head is none that a response may have; the codec lets none through.
    guard exchanges[exchange].pointee.phase == .waiting else { return }
    exchanges[exchange].pointee.flags.insert(.hasResponse)
    _ = responseHead(exchange, view)
  }

  private func serviceSentBody(_ event: H2Event, _ block: Int32, _ start: Int) {
    let index = event.stream
    let link = links + Int(index)
    if event.count > 0 {
      link.pointee.held += event.count
      makeReady(index, link)
      if link.pointee.receiver >= 0 {
        reactor.pool.retain(block)
        upstreamReceived(link.pointee.receiver, block, start, Int(event.count))
      }
    }
    if event.isLast { serviceEnded(link) }
  }

  private func serviceSentTrailers(_ event: H2Event) {
    let link = links + Int(event.stream)
    let section = workspace.trailers(event)
    if link.pointee.receiver >= 0 {
      let exchange = exchanges[upstreams[link.pointee.receiver].pointee.exchange]
      let place = exchange.pointee.endpoint
      let count = Int(section.section.fieldCount)
      if endpoints[Int(place)].policy >= 0 {
        noteReports(exchange, section.bytes, section.fields, count)
      }
      let isHeld = hold(
        section.bytes,
        section.fields,
        count,
        keepsReports: forwardsReports(place),
        &link.pointee.incomingTrailers
      )
      guard isHeld else {
        return failOrAbandon(upstreams[link.pointee.receiver].pointee.exchange, .buffersExhausted)
      }
    }
    serviceEnded(link)
  }

  private func serviceEnded(_ link: UnsafeMutablePointer<StreamLink>) {
    link.pointee.flags.insert(.peerEnded)
    if link.pointee.receiver >= 0 { upstreamEnded(link.pointee.receiver) }
  }

  // MARK: - Trailers

  /// Passes on the trailers of a service, which come apart from its body.
  ///
  /// - Returns: Whether there were some and a body in chunks is ended by them.
  func passTrailers(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ connection: UnsafeMutablePointer<Connection>
  ) -> Bool {
    let upstream = upstreams[exchange.pointee.upstream].pointee.transport
    guard upstream.isStream else { return false }
    let trailers = links[Int(upstream.index)].incomingTrailers
    guard trailers.block >= 0 else { return false }
    if connection.pointee.transport.isStream {
      giveTrailers(of: upstream, to: connection.pointee.transport)
      return true
    }
    guard exchange.pointee.responseFraming == .chunked,
      put(connection.pointee.transport, "0\r\n")
    else { return false }
    return put(
      connection.pointee.transport,
      reactor.pool.bytes(trailers.block),
      Int(trailers.count)
    )
  }

  /// Moves the trailers that came on one stream to where another's are sent from.
  func giveTrailers(of source: Transport, to target: Transport) {
    let from = links + Int(source.index)
    let to = links + Int(target.index)
    guard to.pointee.flags.isDisjoint(with: [.isGone, .isReset]) else { return }
    release(&to.pointee.outgoingTrailers)
    to.pointee.outgoingTrailers = from.pointee.incomingTrailers
    from.pointee.incomingTrailers = StreamLink.Trailers()
  }

  // MARK: - End

  func serviceStreamBegan(_ session: Int32) {
    serviceStreamCount += 1
    countIdle(session)
  }

  func serviceStreamEnded(_ session: Int32) {
    serviceStreamCount -= 1
    guard sessions[session].pointee.streams == 0 else { return }
    countIdle(session)
    dismissUnwanted(session)
  }

  /// The exchange has no more interest in the stream.
  ///
  /// What was answered whole wants no more of the request (RFC 9113 section 8.1); all else is
  /// cancelled.
  func closeServiceStream(_ index: Int32, _ link: UnsafeMutablePointer<StreamLink>) {
    guard link.pointee.flags.contains(.peerEnded) else { return resetStream(index, .cancel) }
    guard link.pointee.flags.contains(.finish), link.pointee.outgoing.isEmpty else {
      return resetStream(index, .noError)
    }
    // The end of the request goes out still; trailers need no window.
    makeReady(index, link)
  }

  func serviceStreamClosed(_ closed: H2Closed) {
    let link = links + Int(closed.stream)
    let isWhole = closed.isReceived && closed.isSent
    if !isWhole, !link.pointee.flags.contains(.isReset), !link.pointee.flags.contains(.isMalformed)
    {
      meter.serviceStreamReset(.service, closed.code)
    }
    let session = link.pointee.session
    endServiceStream(closed.stream, .stream(closed))
    listSession(session)
  }

  /// Ends the link and tells its exchange, if there is one that waits.
  ///
  /// The link goes first: its index may be another stream's as soon as the exchange tries again.
  func endServiceStream(_ index: Int32, _ end: ServiceStreamEnd) {
    let link = links + Int(index)
    let upstream = link.pointee.receiver
    let flags = link.pointee.flags
    link.pointee.flags.insert(.isGone)
    removeLink(index)
    guard upstream >= 0 else { return }
    upstreams[upstream].pointee.transport = .stream(goneStream)
    let exchange = upstreams[upstream].pointee.exchange
    if exchanges[exchange].pointee.phase == .tunnel {
      var isWhole = false
      if case .stream(let closed) = end { isWhole = closed.isReceived && closed.isSent }
      return endTunnel(exchange, reset: !isWhole)
    }
    guard !flags.contains(.peerEnded) else { return }
    switch end {
    case .session(let reason):
      guard upstreams[upstream].pointee.phase == .connecting else { return upstreamBroke(exchange) }
      tryElsewhere(exchange, reason)
    case .refused(let fault):
      guard fault == .peerRefusesCertificate, exchanges[exchange].pointee.phase == .waiting,
        exchanges[exchange].pointee.flags.contains(.canReplay)
      else { return failOrAbandon(exchange, .upstreamTLSRefused) }
      tryElsewhere(exchange, .upstreamTLSRefused)
    case .stream(let closed):
      if closed.isUnprocessed { return repeatElsewhere(exchange) }
      // The connection is good: there is nothing stale about it that a repeat would mend.
      failOrAbandon(exchange, flags.contains(.isMalformed) ? .upstreamMalformed : .upstreamReset)
    }
  }

  /// Nothing was done with the request, and the session has noted that once for all of its streams.
  private func tryElsewhere(_ index: Int32, _ reason: ReplyReason) {
    closeUpstream(exchanges[index].pointee.upstream, reset: false)
    exchanges[index].pointee.upstream = -1
    connectElsewhere(index, reason)
  }

  /// The service did nothing with the request: it may be sent once more, whatever its method.
  private func repeatElsewhere(_ index: Int32) {
    let exchange = exchanges[index]
    guard exchange.pointee.phase == .waiting, exchange.pointee.flags.contains(.canReplay),
      !exchange.pointee.flags.contains(.hasResponse),
      Int(exchange.pointee.attempts) < Self.maximumAttempts
    else { return failOrAbandon(index, .upstreamRefused) }
    if exchange.pointee.flags.contains(.isHedged) { return dropLeg(index) }
    closeUpstream(exchange.pointee.upstream, reset: false)
    exchange.pointee.upstream = -1
    meter.repeatedElsewhere()
    attemptAndPump(index)
  }
}
