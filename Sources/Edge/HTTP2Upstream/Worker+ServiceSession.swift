internal import HTTPCodec
internal import Reactor
internal import TLS
internal import Telemetry
internal import Units
internal import Upstream

/// Sessions towards services: their events, the list they stand in and their end.
extension Worker {
  // MARK: - Events

  func handleServiceSession(_ index: Int32, _ event: Event) {
    switch event.kind {
    case .connected: serviceSessionConnected(index)
    case .received: serviceSessionReceived(index, event.block, Int(event.value))
    case .endOfStream: closeServiceSession(index, reset: false, .connectFailed)
    case .failed: closeServiceSession(index, reset: false, .connect(event.value))
    case .drained: sessionDrained(index)
    case .none, .accepted, .ready, .timer, .mailbox: break
    }
  }

  func serviceSessionReceived(_ index: Int32, _ block: Int32, _ count: Int) {
    let side = serviceSessions + Int(index)
    side.pointee.heardAt = reactor.now
    side.pointee.pingedAt = .never
    side.pointee.wasPong = false
    meter.receivedUpstream(count)
    sessionReceived(index, block, count)
  }

  func serviceSessionConnected(_ index: Int32) {
    let session = sessions[index]
    guard session.pointee.phase == .connecting else { return }
    setPhase(index, .open)
    meter.upstreamSpeaks(serviceSessions[Int(index)].metrics.http2)
    serviceSessions[Int(index)].heardAt = reactor.now
    endpoints[Int(serviceSessions[Int(index)].endpoint)].connected()
    var at = session.pointee.firstLink
    while at >= 0 {
      let link = links + Int(at)
      at = link.pointee.next
      // Streams that begin meanwhile stand before this one.
      if link.pointee.receiver >= 0 { serviceStreamConnected(link.pointee.receiver) }
    }
    if session.pointee.streams == 0 { dismissUnwanted(index) }
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
      !endpoint.pointee.hasLeft, hasRoom(index)
    else { return }
    side.pointee.isListed = true
    side.pointee.previous = -1
    side.pointee.next = endpoint.pointee.firstSession
    if side.pointee.next >= 0 { serviceSessions[Int(side.pointee.next)].previous = index }
    endpoint.pointee.firstSession = index
    countIdle(index)
    noteRoom(side.pointee.service)
  }

  func unlistSession(_ index: Int32) {
    let side = serviceSessions + Int(index)
    guard side.pointee.isListed else { return }
    side.pointee.isListed = false
    countIdle(index)
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

  /// Ends a session without streams whose endpoint has left the configuration meanwhile.
  func dismissUnwanted(_ index: Int32) {
    let side = serviceSessions + Int(index)
    let endpoint = endpoints + Int(side.pointee.endpoint)
    guard endpoint.pointee.epoch != side.pointee.epoch || endpoint.pointee.hasLeft else {
      return
    }
    dismissSession(index)
  }

  // MARK: - Idle ones

  /// Counts a session as idle while it has no stream and stands in its endpoint's list: one that is
  /// on its way out takes no request, and is not closed to make room.
  func countIdle(_ index: Int32) {
    let side = serviceSessions + Int(index)
    let isIdle = side.pointee.isListed && sessions[index].pointee.streams == 0
    guard side.pointee.isIdle != isIdle else { return }
    side.pointee.isIdle = isIdle
    meter.idle(side.pointee.metrics, isIdle ? 1 : -1)
    shared.countIdle(number, side.pointee.service, isIdle ? 1 : -1)
  }

  /// Closes a session of a service that has no stream, to make room for another connection.
  func closeIdleSession(of service: Int32) -> Bool {
    for place in knownPlaces {
      let first = endpoints[Int(place)].firstSession
      guard first >= 0, serviceSessions[Int(first)].service == service else { continue }
      if closeIdleSession(ofEndpoint: place) { return true }
    }
    return false
  }

  /// The same of one endpoint.
  func closeIdleSession(ofEndpoint place: Int32) -> Bool {
    var index = endpoints[Int(place)].firstSession
    while index >= 0 {
      let side = serviceSessions + Int(index)
      if side.pointee.isIdle, index != servedSession {
        closeServiceSession(index, reset: false, .session(.connectFailed), isOurs: true)
        return true
      }
      index = side.pointee.next
    }
    return false
  }

  // MARK: - Ending

  /// Forgets a session at once; what its streams carry fails, or is tried again.
  ///
  /// `reason`: What those are told that waited for it to be made.
  func closeServiceSession(_ index: Int32, reset: Bool, _ reason: ReplyReason) {
    closeServiceSession(index, reset: reset, .session(reason))
  }

  /// Whether the service has not said a word of HTTP/2 yet.
  func isUnheard(_ index: Int32) -> Bool {
    !sessions[index].pointee.http2.takeUnretainedValue().knowsPeer
  }

  /// The service would not speak with us once TLS was through: a connect that failed.
  func refuseServiceSession(_ index: Int32, _ fault: TLSFault) {
    let side = serviceSessions + Int(index)
    if endpoints[Int(side.pointee.endpoint)].epoch == side.pointee.epoch {
      noteConnectFailure(side.pointee.endpoint)
    }
    meter.connectFailed(side.pointee.metrics)
    closeServiceSession(index, reset: false, .refused(fault))
  }

  /// `isOurs`: Whether the end of one that is being made says nothing of its endpoint.
  private func closeServiceSession(
    _ index: Int32,
    reset: Bool,
    _ end: ServiceStreamEnd,
    isOurs: Bool = false
  ) {
    let session = sessions[index]
    let side = serviceSessions + Int(index)
    unlistSession(index)
    let endpoint = endpoints + Int(side.pointee.endpoint)
    let isCurrent = endpoint.pointee.epoch == side.pointee.epoch
    if session.pointee.phase == .connecting {
      if !isOurs {
        // Nor does one that waited for the handshakes of others.
        if isCurrent, !awaitsHandshake(session.pointee.transport) {
          noteConnectFailure(side.pointee.endpoint)
        }
        meter.connectFailed(side.pointee.metrics)
      }
    } else {
      meter.upstreamFellSilent(side.pointee.metrics.http2)
    }
    if isCurrent { endpoint.pointee.connections -= 1 }
    // The room is given back first: what is tried again may need it.
    session.pointee.phase = .lingering
    returnRoom(side.pointee.endpoint, side.pointee.service)
    meter.upstreamClosed(side.pointee.metrics)
    closeTransport(session.pointee.transport, reset: reset)
    while session.pointee.firstLink >= 0 { endServiceStream(session.pointee.firstLink, end) }
    forgetServiceSession(index)
  }

  /// Frees a session that has no stream, but for its transport.
  func forgetServiceSession(_ index: Int32) {
    let session = sessions[index]
    reactor.timers.release(session.pointee.timer)
    if session.pointee.flags.contains(.isDirty) { unlistDirty(index) }
    dropShared(session)
    session.pointee.http2.release()
    serviceSessionCount -= 1
    sessions.release(index)
  }
}
