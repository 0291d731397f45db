internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units
internal import Upstream

/// Services that choose between HTTP/2 and HTTP/1.1 by ALPN, and what becomes of a connection that
/// was begun for the other one.
///
/// Before an endpoint has chosen, and while it keeps to HTTP/2, requests wait in a session for one
/// handshake, within the bounds and the time of the session. Nothing of them is sent before, and
/// their heads lie in `requestBlock` as HTTP/1.1 would have them, so either protocol can carry them.
extension Worker {
  /// A session is to be one connection of HTTP/1.1: the oldest of its requests gets it, each other
  /// one a connection of its own, within the service's bound.
  func becomeConnection(_ index: Int32) {
    let session = sessions[index]
    let side = (serviceSessions + Int(index)).pointee
    let transport = session.pointee.transport
    unlistSession(index)
    // Whoever waits holds the endpoint; without anybody it may be gone.
    let isCurrent = endpoints[Int(side.endpoint)].epoch == side.epoch
    if isCurrent { choose(.http1, side.endpoint) }
    session.pointee.phase = .lingering
    var heir = makeConnection(transport, side)
    if heir < 0 || !isCurrent {
      closeTransport(transport, reset: false)
      if isCurrent { endpoints[Int(side.endpoint)].connections -= 1 }
      returnRoom(side.endpoint, side.service)
      meter.upstreamClosed(side.metrics)
      if heir >= 0 {
        reactor.timers.release(upstreams[heir].pointee.timer)
        upstreams.release(heir)
      }
      heir = -1
    }
    while session.pointee.firstLink >= 0 {
      let exchange = part(oldestLink(session))
      guard exchange >= 0 else { continue }
      if heir >= 0 {
        give(heir, to: exchange)
        heir = -1
      } else {
        let entry = exchanges[exchange]
        let service = snapshots[entry.pointee.snapshot].service(entry.pointee.service)
        attemptConnection(exchange, side.endpoint, service)
        pumpIfWaiting(exchange)
      }
    }
    forgetServiceSession(index)
    guard heir >= 0 else { return }
    guard !endpoints[Int(side.endpoint)].hasLeft else { return closeUpstream(heir, reset: false) }
    meter.upstreamSpeaks(side.metrics.http1)
    makeIdle(heir)
  }

  /// An upstream connection of nobody on a session's transport, or -1.
  private func makeConnection(_ transport: Transport, _ side: ServiceSession) -> Int32 {
    let upstream = upstreams.allocate()
    guard upstream >= 0 else { return -1 }
    let generation = upstreams.generation(upstream)
    let timer = reactor.timers.allocate(for: owner(.upstreamTimer, upstream, generation))
    guard timer >= 0 else {
      upstreams.release(upstream)
      return -1
    }
    upstreams[upstream].initialize(
      to: UpstreamConnection(
        phase: .connecting,
        transport: transport,
        timer: timer,
        exchange: -1,
        endpoint: side.endpoint,
        service: side.service,
        metrics: side.metrics,
        newer: -1,
        older: -1,
        input: Input(),
        idleUntil: .never,
        idleTimeout: side.idleTimeout,
        isOneClients: false
      )
    )
    setOwner(transport, owner(.upstream, upstream, generation))
    return upstream
  }

  private func give(_ upstream: Int32, to exchange: Int32) {
    upstreams[upstream].pointee.exchange = exchange
    awaitHead(upstream)
    exchanges[exchange].pointee.upstream = upstream
    upstreamConnected(upstream)
  }

  /// The session's stream that was begun first.
  private func oldestLink(_ session: UnsafeMutablePointer<Session>) -> Int32 {
    var at = session.pointee.firstLink
    while links[Int(at)].next >= 0 { at = links[Int(at)].next }
    return at
  }

  /// Takes a stream away from its exchange, which has an attempt under way and no upstream then.
  ///
  /// - Returns: The exchange, or -1 when nobody is interested any more.
  private func part(_ index: Int32) -> Int32 {
    let link = links + Int(index)
    let upstream = link.pointee.receiver
    link.pointee.flags.insert(.isGone)
    removeLink(index)
    guard upstream >= 0 else { return -1 }
    upstreams[upstream].pointee.transport = .stream(goneStream)
    let exchange = upstreams[upstream].pointee.exchange
    closeUpstream(upstream, reset: false)
    exchanges[exchange].pointee.upstream = -1
    return exchange
  }

  /// A connection of HTTP/1.1 is to be a session, and its request the first stream; where others
  /// were quicker and have a session with room, it is not needed.
  func becomeSession(_ index: Int32) {
    let upstream = upstreams[index].pointee
    let (request, place) = (upstream.exchange, upstream.endpoint)
    let exchange = exchanges[request]
    let service = snapshots[exchange.pointee.snapshot].service(exchange.pointee.service)
    choose(.http2, place)
    exchange.pointee.upstream = -1
    var session = sessionWithRoom(place)
    if session >= 0, sessions[session].pointee.phase == .open {
      closeUpstream(index, reset: false)
    } else {
      guard let http2 = makeServiceCodec(), let (own, timer) = allocateSession() else {
        closeUpstream(index, reset: false)
        return fail(request, .buffersExhausted)
      }
      session = own
      setOwner(upstream.transport, owner(.session, session, sessions.generation(session)))
      endpoints[Int(place)].inFlight -= 1
      endAwaiting(index)
      drop(&upstreams[index].pointee.input)
      reactor.timers.release(upstream.timer)
      upstreams.release(index)
      beginServiceSession(session, timer, http2, on: upstream.transport, .open, place, service)
      meter.upstreamSpeaks(service.pointee.metrics.http2)
    }
    let generation = sessions.generation(session)
    attemptStream(request, place, service, on: session)
    // A WebSocket waits for SETTINGS first, or takes another connection, which may need the room.
    if sessions.generation(session) == generation, sessions[session].pointee.streams == 0 {
      dismissUnwanted(session)
    }
    pumpIfWaiting(request)
  }

  /// Notes what an endpoint chose in the handshake that is through.
  private func choose(_ chosen: ChosenHTTP, _ place: Int32) {
    endpoints[Int(place)].chosen = chosen
    endpoints[Int(place)].connected()
  }
}
