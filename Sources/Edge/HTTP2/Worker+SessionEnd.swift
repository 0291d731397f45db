internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// What time does to a session, and the ways it ends.
extension Worker {
  /// Time between the two steps of a farewell: a round trip to anywhere, so that requests that are
  /// on their way when the first one leaves are still taken.
  private static let farewell = Nanoseconds.seconds(1)
  /// Wait for a block when the pool is empty.
  private static let starvation = Nanoseconds.milliseconds(1)

  // MARK: - Time

  /// Sets the timer for what comes first.
  func scheduleSession(_ index: Int32, _ session: UnsafeMutablePointer<Session>) {
    guard !session.pointee.flags.contains(.isUpstream) else {
      var due = serviceSessionDeadline(index, session)
      if session.pointee.flags.contains(.isStarved) {
        due = min(due, reactor.now + Self.starvation)
      }
      return setDeadline(session, due)
    }
    let limits = listeners[Int(session.pointee.listener)].limits
    var due: Instant
    switch session.pointee.phase {
    case .open: due = min(session.pointee.retiresAt, idleDeadline(session, limits))
    case .leaving: due = session.pointee.phaseSince + Self.farewell
    case .going: due = session.pointee.streams == 0 ? lastWord(session) : .never
    case .connecting, .closing, .lingering: due = .never
    }
    due = min(due, careDeadline(session))
    if queuedBytes(session.pointee.transport) > 0 {
      due = min(due, session.pointee.paceSince + limits.bodyIdle)
    }
    if session.pointee.flags.contains(.isStarved) { due = min(due, reactor.now + Self.starvation) }
    setDeadline(session, due)
  }

  /// Without a stream it has the time for a head first, then that of an idle connection.
  private func idleDeadline(
    _ session: UnsafeMutablePointer<Session>,
    _ limits: ListenerLimits
  ) -> Instant {
    guard session.pointee.streams == 0 else { return .never }
    guard session.pointee.requests > 0 else {
      return session.pointee.idleSince + limits.headTimeout
    }
    let time = Self.jittered(limits.keepAliveIdle, by: session.pointee.jitter)
    return session.pointee.idleSince + time
  }

  /// When a session that is going and has no stream is ended all the same: half a head may hang
  /// in it.
  private func lastWord(_ session: UnsafeMutablePointer<Session>) -> Instant {
    max(session.pointee.phaseSince, session.pointee.idleSince) + Self.lingerTime
  }

  func setDeadline(_ session: UnsafeMutablePointer<Session>, _ instant: Instant) {
    // Later is left to the timer's next look, which is cheaper than moving it each turn.
    let isEarlier = instant < session.pointee.deadline
    session.pointee.deadline = instant
    if isEarlier { reactor.timers.set(session.pointee.timer, at: instant) }
  }

  func sessionTimerFired(_ index: Int32) {
    let session = sessions[index]
    guard session.pointee.deadline <= reactor.now else {
      return reactor.timers.set(session.pointee.timer, at: session.pointee.deadline)
    }
    session.pointee.deadline = .never
    session.pointee.flags.remove(.isStarved)
    if session.pointee.flags.contains(.isUpstream) { return serviceSessionTimerFired(index) }
    let isSpeaking = session.pointee.phase != .closing && session.pointee.phase != .lingering
    guard session.pointee.phase != .lingering, keepsPace(session),
      !isSpeaking || takeCare(of: session)
    else { return closeSession(index, reset: true) }
    let limits = listeners[Int(session.pointee.listener)].limits
    switch session.pointee.phase {
    case .open where idleDeadline(session, limits) <= reactor.now:
      meter.timedOut(session.pointee.requests == 0 ? .head : .keepAliveIdle)
      // The next request may be on its way, as one that was idle is about to be used or not at all.
      session.pointee.requests == 0 ? turnAway(index) : leave(index)
    case .open where session.pointee.retiresAt <= reactor.now: leave(index)
    case .leaving where session.pointee.phaseSince + Self.farewell <= reactor.now: turnAway(index)
    case .going where session.pointee.streams == 0 && lastWord(session) <= reactor.now:
      return endSession(index)
    case .connecting, .open, .leaving, .going: break
    case .closing, .lingering:
      return setDeadline(session, reactor.now + limits.bodyIdle)
    }
    makeDirty(index, session)
  }

  /// Whether the client reads what it is sent, if it is sent anything.
  private func keepsPace(_ session: UnsafeMutablePointer<Session>) -> Bool {
    let queued = queuedBytes(session.pointee.transport)
    let limits = listeners[Int(session.pointee.listener)].limits
    let elapsed = reactor.now - session.pointee.paceSince
    guard queued > 0, elapsed >= limits.bodyIdle else { return true }
    let taken = session.pointee.bytesOut - Int64(queued)
    let moved = taken - session.pointee.paceMark
    guard moved > 0, Double(moved) >= Double(limits.minimumRate) * elapsed.seconds else {
      meter.timedOut(.slowReader)
      return false
    }
    session.pointee.paceSince = reactor.now
    session.pointee.paceMark = taken
    return true
  }

  // MARK: - Farewell

  /// The first step, GOAWAY that excludes nothing yet (RFC 9113 section 6.8).
  func leave(_ index: Int32) {
    guard sessions[index].pointee.phase == .open else { return }
    setPhase(index, .leaving)
    sessions[index].pointee.http2.takeUnretainedValue().announceShutdown()
    makeDirty(index, sessions[index])
  }

  /// The second step: whatever comes from now on is not taken any more.
  func turnAway(_ index: Int32) {
    let session = sessions[index]
    guard session.pointee.phase == .open || session.pointee.phase == .leaving else { return }
    setPhase(index, .going)
    session.pointee.http2.takeUnretainedValue().shutDown()
    makeDirty(index, session)
  }

  func setPhase(_ index: Int32, _ phase: Session.Phase) {
    sessions[index].pointee.phase = phase
    sessions[index].pointee.phaseSince = reactor.now
  }

  /// The peer broke the rules, or overdid it: GOAWAY says so and is the last word.
  func failSession(_ index: Int32, _ failure: H2Failure) {
    if sessions[index].pointee.flags.contains(.isUpstream) {
      meter.serviceSessionFailed(failure)
      unlistSession(index)
    } else {
      meter.sessionFailed(failure)
    }
    readInBulk(sessions[index].pointee.transport, false)
    endSession(index)
  }

  /// Ends the session once what is queued is sent.
  func endSession(_ index: Int32) {
    let session = sessions[index]
    guard session.pointee.phase != .connecting else { return closeSession(index, reset: true) }
    if session.pointee.flags.contains(.isUpstream) { unlistSession(index) }
    endStreams(session)
    setPhase(index, .closing)
    let patience =
      session.pointee.flags.contains(.isUpstream)
      ? Self.lingerTime : listeners[Int(session.pointee.listener)].limits.bodyIdle
    setDeadline(session, reactor.now + patience)
    guard queuedBytes(session.pointee.transport) > 0 else { return linger(index) }
    notifyWhenDrained(session.pointee.transport, below: 0)
  }

  /// Says that no more comes, and waits for the client to see it.
  func linger(_ index: Int32) {
    let session = sessions[index]
    setPhase(index, .lingering)
    finishWriting(session.pointee.transport)
    setDeadline(session, reactor.now + Self.lingerTime)
  }

  private func endStreams(_ session: UnsafeMutablePointer<Session>) {
    while session.pointee.firstLink >= 0 { endLink(session.pointee.firstLink) }
    dropShared(session)
  }

  /// Forgets the session at once, and ends what its streams carry.
  func closeSession(_ index: Int32, reset: Bool) {
    let session = sessions[index]
    if session.pointee.flags.contains(.isUpstream) {
      return closeServiceSession(index, reset: reset, .connectFailed)
    }
    endStreams(session)
    if session.pointee.flags.contains(.isDirty) { unlistDirty(index) }
    if session.pointee.flags.contains(.isHeavy) { unlistHeavy(index, session) }
    closeTransport(session.pointee.transport, reset: reset)
    reactor.timers.release(session.pointee.timer)
    let listener = Int(session.pointee.listener)
    listeners[listener].clientLeft(session.pointee.origin, session.pointee.peer)
    meter.connectionClosed(listeners[listener].metrics)
    dropShared(session)
    session.pointee.http2.release()
    sessions.release(index)
  }

  func unlistDirty(_ index: Int32) {
    unlinkSession(index, from: &firstDirtySession, by: \.nextDirty)
  }

  /// Takes a session out of a list that is linked one way, which is walked from its beginning.
  func unlinkSession(
    _ index: Int32,
    from first: inout Int32,
    by next: WritableKeyPath<Session, Int32>
  ) {
    let following = sessions[index].pointee[keyPath: next]
    guard first != index else {
      first = following
      return
    }
    var at = first
    while at >= 0 {
      let after = sessions[at].pointee[keyPath: next]
      if after == index {
        sessions[at].pointee[keyPath: next] = following
        return
      }
      at = after
    }
  }
}
