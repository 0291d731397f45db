internal import Admission
internal import HTTPCodec
internal import Reactor
internal import Units

/// A session's begin, and the bytes that come for it.
extension Worker {
  /// Streams that the sessions of one worker may have open: as many as it could serve upstream.
  static func maximumStreams(_ bounds: Reactor.Bounds) -> Int { max(1, bounds.sockets / 2) }

  /// Turns a connection that has carried no request into a session, on the same transport.
  ///
  /// For prior knowledge, when the preface has come, and for TLS once ALPN has chosen `h2`. What was
  /// accounted to the connection is the session's from here on; bytes that came are its first ones.
  func openSession(_ connection: Int32) {
    let entry = connections[connection]
    let settings = listeners[Int(entry.pointee.listener)].settings.http2
    guard
      let http2 = H2Session(isServer: true, settings: settings, workspace: workspace),
      let (index, timer) = allocateSession()
    else {
      meter.acceptFailed()
      return closeConnection(connection, reset: true)
    }
    let transport = entry.pointee.transport
    sessions[index].initialize(
      to: Session(
        transport: transport,
        http2: Unmanaged.passRetained(http2),
        timer: timer,
        listener: entry.pointee.listener,
        phase: .open,
        flags: [],
        origin: entry.pointee.flags.intersection([
          .isTrusted, .peerIsUnix, .isCounted, .sharesMaximum,
        ]),
        peerPort: entry.pointee.peerPort,
        peer: entry.pointee.peer,
        requests: 0,
        requestBound: entry.pointee.requestBound,
        firstLink: -1,
        streams: 0,
        firstReady: -1,
        nextDirty: -1,
        queued: 0,
        deadline: .never,
        idleSince: reactor.now,
        jitter: UInt8(truncatingIfNeeded: random.next() >> 56),
        retiresAt: entry.pointee.retiresAt,
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
    meter.sessionOpened()
    readInBulk(transport, false)
    setOwner(transport, owner(.session, index, sessions.generation(index)))
    resumeReading(entry)
    var input = entry.pointee.input
    reactor.timers.release(entry.pointee.timer)
    entry.pointee.phase = .gone
    connections.release(connection)
    if isClosingIdle {
      http2.shutDown()
      setPhase(index, .going)
    } else if isDraining {
      leave(index)
    }
    while !input.isEmpty {
      receive(index, input.block, Int(input.start), input.count)
      consume(&input, input.count)
    }
    makeDirty(index, sessions[index])
  }

  func allocateSession() -> (Int32, Int32)? {
    let index = sessions.allocate()
    guard index >= 0 else { return nil }
    let timer = reactor.timers.allocate(
      for: owner(.sessionTimer, index, sessions.generation(index))
    )
    guard timer >= 0 else {
      sessions.release(index)
      return nil
    }
    return (index, timer)
  }

  func handleSession(_ index: Int32, _ event: Event) {
    if sessions[index].pointee.flags.contains(.isUpstream) {
      return handleServiceSession(index, event)
    }
    switch event.kind {
    case .received: sessionReceived(index, event.block, Int(event.value))
    case .endOfStream: sessionEnded(index)
    case .failed: closeSession(index, reset: false)
    case .drained: sessionDrained(index)
    case .none, .connected, .accepted, .ready, .timer, .mailbox: break
    }
  }

  func sessionReceived(_ index: Int32, _ block: Int32, _ count: Int) {
    // The bytes that a connection brought along when it became a session were counted as its own.
    let session = sessions[index]
    if !session.pointee.flags.contains(.isUpstream) {
      meter.receivedDownstream(count)
      judgeReads(session, count)
    }
    receive(index, block, 0, count)
    reactor.pool.release(block)
    guard session.pointee.phase == .closing || session.pointee.phase == .lingering else { return }
    noteDropped(index, session, count)
  }

  /// Bytes after which a client's session is read many blocks at a time: what comes behind a fault in
  /// the same read is read for nothing, and those who only come to break the rules do it early.
  private static let bulkAfter: Int32 = 131_072

  @inline(__always)
  private func judgeReads(_ session: UnsafeMutablePointer<Session>, _ count: Int) {
    guard session.pointee.bytesIn < Self.bulkAfter else { return }
    session.pointee.bytesIn += Int32(count)
    guard session.pointee.bytesIn >= Self.bulkAfter, session.pointee.phase == .open else { return }
    readInBulk(session.pointee.transport, true)
  }

  /// Bytes of a peer at fault that are read once GOAWAY is on its way: what a client sends without
  /// waiting for anything (RFC 6928, ten segments).
  ///
  /// Without a bound they cost more than all that it did before. Whoever sends more gets RST, which
  /// GOAWAY has come before.
  private static let mostDropped: Int32 = 16_384

  private func noteDropped(
    _ index: Int32,
    _ session: UnsafeMutablePointer<Session>,
    _ count: Int
  ) {
    guard session.pointee.http2.takeUnretainedValue().failure != nil else { return }
    session.pointee.dropped += Int32(count)
    // Before GOAWAY is out the reset would take it along.
    guard session.pointee.phase == .lingering, isDroppingMuch(session) else { return }
    closeSession(index, reset: true)
  }

  private func isDroppingMuch(_ session: UnsafeMutablePointer<Session>) -> Bool {
    session.pointee.dropped >= Self.mostDropped
  }

  /// Takes bytes of a block, and carries out what they say before the next are looked at.
  private func receive(_ index: Int32, _ block: Int32, _ start: Int, _ count: Int) {
    let session = sessions[index]
    guard session.pointee.phase != .closing, session.pointee.phase != .lingering else { return }
    servedSession = index
    defer { servedSession = -1 }
    let http2 = session.pointee.http2.takeUnretainedValue()
    let bytes = UnsafePointer(reactor.pool.bytes(block)) + start
    let frames = http2.framesReceived
    var offset = 0
    repeat {
      let base = start + offset
      offset += http2.receive(bytes + offset, count: count - offset, at: reactor.now)
      while let event = http2.nextEvent() { take(event, of: index, block, base: base) }
      takeClosed(http2)
    } while offset < count || http2.isPaused
    makeDirty(index, session)
    guard !session.pointee.flags.contains(.isUpstream) else { return }
    meter.received(frames: http2.framesReceived &- frames)
    noteHeard(session, http2)
    if overload.pressure.narrowsStreams != session.pointee.flags.contains(.isNarrowed) {
      fitStreams(session, http2)
    }
    if session.pointee.phase == .open,
      session.pointee.requests >= session.pointee.requestBound
    {
      leave(index)
    }
  }

  /// Whoever ends in the middle of a request has gone away, as with HTTP/1.1; one that is through
  /// may have ended its side only, and still read what is on its way.
  func sessionEnded(_ index: Int32) {
    let session = sessions[index]
    guard session.pointee.streams == 0, session.pointee.phase != .lingering,
      queuedBytes(session.pointee.transport) > 0
    else { return closeSession(index, reset: false) }
    session.pointee.flags.insert(.peerEnded)
    if session.pointee.phase != .closing { endSession(index) }
  }

  func sessionDrained(_ index: Int32) {
    let session = sessions[index]
    guard session.pointee.phase != .closing else {
      guard queuedBytes(session.pointee.transport) == 0 else {
        // The notice is one that was asked for before, at a higher mark.
        return notifyWhenDrained(session.pointee.transport, below: 0)
      }
      if isDroppingMuch(session) { return closeSession(index, reset: true) }
      guard session.pointee.flags.contains(.peerEnded) else { return linger(index) }
      return closeSession(index, reset: false)
    }
    session.pointee.flags.remove(.waitsForReader)
    makeDirty(index, session)
  }
}
