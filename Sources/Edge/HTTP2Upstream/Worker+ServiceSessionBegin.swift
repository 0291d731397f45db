internal import HTTPCodec
internal import Reactor
internal import Units
internal import Upstream

/// Sessions towards services: which one takes another request, and how a new one begins.
extension Worker {
  /// The window of the connection is that of all its streams: clients that do not read stop their own
  /// and never those of others.
  private static let sessionSettings = H2Settings(
    connectionWindow: Int(ServiceSession.maximumStreams) * 65_536,
    limits: responseLimits
  )

  /// A session to an endpoint that takes another request, or -1.
  func sessionWithRoom(_ place: Int32) -> Int32 {
    while endpoints[Int(place)].firstSession >= 0 {
      let index = endpoints[Int(place)].firstSession
      if hasRoom(index) { return index }
      unlistSession(index)
    }
    return -1
  }

  func hasRoom(_ index: Int32) -> Bool {
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
    guard let http2 = makeServiceCodec(), let (index, timer) = allocateSession() else { return -1 }
    let transport = connect(
      to: snapshot.address(of: place, in: service),
      snapshot.target(of: place, in: service),
      owner(.session, index, sessions.generation(index)),
      &code
    )
    guard let transport else {
      reactor.timers.release(timer)
      sessions.release(index)
      return -1
    }
    beginServiceSession(index, timer, http2, on: transport, .connecting, place, service)
    endpoints[Int(place)].connections += 1
    meter.upstreamOpened(service.pointee.metrics)
    return index
  }

  func makeServiceCodec() -> H2Session? {
    H2Session(isServer: false, settings: Self.sessionSettings, workspace: workspace)
  }

  /// Makes a session of a transport, which is accounted for already.
  func beginServiceSession(
    _ index: Int32,
    _ timer: Int32,
    _ http2: H2Session,
    on transport: Transport,
    _ phase: Session.Phase,
    _ place: Int32,
    _ service: UnsafePointer<CompiledService>
  ) {
    sessions[index].initialize(
      to: Session(
        transport: transport,
        http2: Unmanaged.passRetained(http2),
        timer: timer,
        listener: -1,
        phase: phase,
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
        settingsAt: reactor.now,
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
    meter.serviceSessionOpened()
    listSession(index)
    makeDirty(index, sessions[index])
  }
}
