internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// Sessions towards services: their making, their events and their end.
extension Worker {
  private static let sessionSettings = H2Settings(limits: responseLimits)

  /// A session to an endpoint that takes another request, or -1.
  func sessionWithRoom(_ place: Int32) -> Int32 {
    while endpoints[Int(place)].firstSession >= 0 {
      let index = endpoints[Int(place)].firstSession
      if hasRoom(index) { return index }
      unlistSession(index)
    }
    return -1
  }

  private func hasRoom(_ index: Int32) -> Bool {
    let session = sessions[index]
    guard session.pointee.phase == .connecting || session.pointee.phase == .open,
      session.pointee.streams < ServiceSession.maximumStreams,
      !session.pointee.flags.contains(.isBroken)
    else { return false }
    let http2 = session.pointee.http2.takeUnretainedValue()
    if !http2.knowsPeer,
      session.pointee.streams
        >= endpoints[Int(serviceSessions[Int(index)].endpoint)].sessionStreams
    {
      return false
    }
    return http2.canRequest
  }

  /// Begins a session; the service's bound is reserved already.
  ///
  /// Requests may be queued at once; they are sent when the connection stands, before the peer's
  /// SETTINGS come.
  ///
  /// - Returns: The session; or -1, with `code` where it is the connect that failed.
  func openServiceSession(
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>,
    _ snapshot: Snapshot,
    code: inout Int32
  ) -> Int32 {
    guard
      let http2 = H2Session(
        isServer: false,
        settings: Self.sessionSettings,
        workspace: workspace
      ), let (index, timer) = allocateSession()
    else { return -1 }
    let socket = reactor.connect(
      to: snapshot.address(of: place, in: service),
      owner: owner(.session, index, sessions.generation(index))
    )
    guard socket >= 0 else {
      code = -socket
      reactor.timers.release(timer)
      sessions.release(index)
      return -1
    }
    sessions[index].initialize(
      to: Session(
        transport: .socket(socket),
        http2: Unmanaged.passRetained(http2),
        timer: timer,
        listener: -1,
        phase: .connecting,
        flags: .isUpstream,
        origin: [],
        peerPort: 0,
        peer: IPBytes(high: 0, low: 0),
        requests: 0,
        requestBound: .max,
        firstLink: -1,
        streams: 0,
        firstReady: -1,
        nextDirty: -1,
        queued: 0,
        deadline: .never,
        idleSince: reactor.now,
        retiresAt: .never,
        phaseSince: reactor.now,
        paceSince: reactor.now,
        paceMark: 0,
        bytesOut: 0,
        openedAt: reactor.now,
        heardAt: reactor.now,
        askedAt: .never,
        askedMark: 0,
        amidSince: .never,
        amidNumber: 0
      )
    )
    (serviceSessions + Int(index)).initialize(
      to: ServiceSession(
        endpoint: place,
        epoch: endpoints[Int(place)].epoch,
        service: service.pointee.place,
        metrics: service.pointee.metrics,
        idleTimeout: service.pointee.idleTimeout,
        connectDeadline: reactor.now + service.pointee.connectTimeout,
        pingAfter: service.pointee.pingAfter,
        pingTimeout: service.pointee.pingTimeout,
        heardAt: reactor.now
      )
    )
    serviceSessionCount += 1
    endpoints[Int(place)].connections += 1
    meter.upstreamOpened(service.pointee.metrics)
    meter.serviceSessionOpened()
    countIdle(index, true)
    listSession(index)
    makeDirty(index, sessions[index])
    return index
  }

  // MARK: - Events

  func handleServiceSession(_ index: Int32, _ event: Event) {
    switch event.kind {
    case .connected: serviceSessionConnected(index)
    case .received:
      let side = serviceSessions + Int(index)
      side.pointee.heardAt = reactor.now
      side.pointee.pingedAt = .never
      side.pointee.wasPong = false
      meter.receivedUpstream(Int(event.value))
      sessionReceived(index, event.block, Int(event.value))
    case .endOfStream: closeServiceSession(index, reset: false, code: ECONNRESET)
    case .failed: closeServiceSession(index, reset: false, code: event.value)
    case .drained: sessionDrained(index)
    case .none, .accepted, .ready, .timer, .mailbox: break
    }
  }

  private func serviceSessionConnected(_ index: Int32) {
    let session = sessions[index]
    guard session.pointee.phase == .connecting else { return }
    setPhase(index, .open)
    serviceSessions[Int(index)].heardAt = reactor.now
    endpoints[Int(serviceSessions[Int(index)].endpoint)].connected()
    var at = session.pointee.firstLink
    while at >= 0 {
      let link = links + Int(at)
      at = link.pointee.next
      // Streams that begin meanwhile stand before this one.
      if link.pointee.receiver >= 0 { serviceStreamConnected(link.pointee.receiver) }
    }
    makeDirty(index, session)
  }

  /// The service said what it allows.
  func serviceSessionSettled(_ index: Int32) {
    let side = serviceSessions + Int(index)
    let endpoint = endpoints + Int(side.pointee.endpoint)
    if endpoint.pointee.epoch == side.pointee.epoch {
      let streams = sessions[index].pointee.http2.takeUnretainedValue().peerMaximumStreams
      endpoint.pointee.sessionStreams = Int32(clamping: max(1, streams))
    }
    listSession(index)
  }

  // MARK: - The endpoint's list

  /// Puts a session in its endpoint's list, if it takes another request and the endpoint is there.
  func listSession(_ index: Int32) {
    let side = serviceSessions + Int(index)
    let endpoint = endpoints + Int(side.pointee.endpoint)
    guard !side.pointee.isListed, endpoint.pointee.epoch == side.pointee.epoch,
      endpoint.pointee.isPresent, hasRoom(index)
    else { return }
    side.pointee.isListed = true
    side.pointee.previous = -1
    side.pointee.next = endpoint.pointee.firstSession
    if side.pointee.next >= 0 { serviceSessions[Int(side.pointee.next)].previous = index }
    endpoint.pointee.firstSession = index
  }

  func unlistSession(_ index: Int32) {
    let side = serviceSessions + Int(index)
    guard side.pointee.isListed else { return }
    side.pointee.isListed = false
    if side.pointee.previous >= 0 {
      serviceSessions[Int(side.pointee.previous)].next = side.pointee.next
    } else {
      endpoints[Int(side.pointee.endpoint)].firstSession = side.pointee.next
    }
    if side.pointee.next >= 0 {
      serviceSessions[Int(side.pointee.next)].previous = side.pointee.previous
    }
  }

  /// Lets a session end with its streams, as its endpoint left the configuration.
  func dismissSession(_ index: Int32) {
    unlistSession(index)
    turnAway(index)
  }

  // MARK: - Idle ones

  func countIdle(_ index: Int32, _ isIdle: Bool) {
    let side = serviceSessions + Int(index)
    guard side.pointee.isIdle != isIdle else { return }
    side.pointee.isIdle = isIdle
    meter.idle(side.pointee.metrics, isIdle ? 1 : -1)
    shared.countIdle(number, side.pointee.service, isIdle ? 1 : -1)
  }

  /// Closes a session of a service that has no stream, to make room for another connection.
  func closeIdleSession(of service: Int32) -> Bool {
    for place in knownPlaces {
      var index = endpoints[Int(place)].firstSession
      while index >= 0 {
        let side = serviceSessions + Int(index)
        if side.pointee.service == service, side.pointee.isIdle, index != servedSession {
          closeServiceSession(index, reset: false, code: ECONNRESET)
          return true
        }
        index = side.pointee.next
      }
    }
    return false
  }

  // MARK: - Ending

  /// Forgets a session at once; what its streams carry fails, or is tried again.
  ///
  /// `code`: Why, as the system says it.
  func closeServiceSession(_ index: Int32, reset: Bool, code: Int32) {
    let session = sessions[index]
    let side = serviceSessions + Int(index)
    unlistSession(index)
    let endpoint = endpoints + Int(side.pointee.endpoint)
    let isCurrent = endpoint.pointee.epoch == side.pointee.epoch
    if session.pointee.phase == .connecting {
      if isCurrent { noteConnectFailure(side.pointee.endpoint) }
      meter.connectFailed(side.pointee.metrics)
    }
    if isCurrent { endpoint.pointee.connections -= 1 }
    // The room is given back first: what is tried again may need it.
    session.pointee.phase = .lingering
    countIdle(index, false)
    shared.returnConnection(side.pointee.service)
    meter.upstreamClosed(side.pointee.metrics)
    closeTransport(session.pointee.transport, reset: reset)
    reactor.timers.release(session.pointee.timer)
    while session.pointee.firstLink >= 0 {
      endServiceStream(session.pointee.firstLink, .session(code))
    }
    countIdle(index, false)
    if session.pointee.flags.contains(.isDirty) { unlistDirty(index, session) }
    dropShared(session)
    session.pointee.http2.release()
    serviceSessionCount -= 1
    sessions.release(index)
  }
}
