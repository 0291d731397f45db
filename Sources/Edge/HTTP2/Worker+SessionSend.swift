internal import HTTPCodec
internal import Reactor
internal import Units

/// What sessions have to say, once a turn: bodies, windows, resets and everything else in as few
/// writes as it takes.
extension Worker {
  /// Frames up to this many bytes are copied behind what is queued, as a client that does not read
  /// could make each of them cost a block otherwise.
  private static let smallWrite = 4_096

  func flushSessions() {
    if firstHeavySession >= 0, isShortOfBlocks { relieve() }
    while firstDirtySession >= 0 {
      let index = firstDirtySession
      let session = sessions[index]
      firstDirtySession = session.pointee.nextDirty
      flush(index, session)
    }
    // Sessions that lost their last stream may be what another worker wishes for.
    if !wishes.isEmpty { grantWishes() }
  }

  private func flush(_ index: Int32, _ session: UnsafeMutablePointer<Session>) {
    guard session.pointee.phase != .closing, session.pointee.phase != .lingering else {
      session.pointee.flags.remove(.isDirty)
      return
    }
    servedSession = index
    defer { servedSession = -1 }
    // It stays marked meanwhile, so that what streams do now does not list it once more.
    let http2 = session.pointee.http2.takeUnretainedValue()
    while true {
      serveReady(session, http2)
      let sent = send(index, session, http2)
      reportProgress(http2)
      takeClosed(http2)
      guard sent || session.pointee.firstReady >= 0 else { break }
    }
    session.pointee.flags.remove(.isDirty)
    // While somebody else holds it there may be room in it for more: one block for a session at most.
    if session.pointee.queued == 0, session.pointee.streams == 0 || !isSharedBlockInUse(session) {
      dropShared(session)
    }
    if session.pointee.flags.contains(.isBroken) {
      closeSession(index, reset: true)
    } else if let failure = http2.failure {
      failSession(index, failure)
    } else if http2.isFinished {
      endSession(index)
    } else {
      scheduleSession(index, session)
    }
  }

  /// - Returns: Whether it is worth another try.
  private func send(
    _ index: Int32,
    _ session: UnsafeMutablePointer<Session>,
    _ http2: H2Session
  ) -> Bool {
    guard http2.wantsWrite, session.pointee.phase != .connecting,
      !session.pointee.flags.contains(.isBroken)
    else { return false }
    let transport = session.pointee.transport
    // The last word of a session that failed is short, and it is said whoever does not read.
    let isLast = http2.failure != nil
    guard isLast || !session.pointee.flags.contains(.waitsForReader) else { return false }
    guard isLast || queuedBytes(transport) <= Self.highWatermark else {
      session.pointee.flags.insert(.waitsForReader)
      notifyWhenDrained(transport, below: Self.lowWatermark)
      return false
    }
    let block = reactor.pool.acquire()
    guard block >= 0 else {
      session.pointee.flags.insert(.isStarved)
      return false
    }
    let count = http2.send(into: reactor.pool.bytes(block), capacity: BlockPool.blockSize)
    guard count > 0 else {
      reactor.pool.release(block)
      return false
    }
    if queuedBytes(transport) == 0 {
      session.pointee.paceSince = reactor.now
      session.pointee.paceMark = session.pointee.bytesOut
    }
    session.pointee.bytesOut += Int64(count)
    if session.pointee.flags.contains(.isUpstream) {
      meter.sentUpstream(count)
    } else {
      meter.sentDownstream(count)
    }
    if count <= Self.smallWrite, append(transport, reactor.pool.bytes(block), count: count) {
      reactor.pool.release(block)
    } else if !write(transport, block: block, start: 0, count: count) {
      session.pointee.flags.insert(.isBroken)
      return false
    }
    return true
  }

  /// Tells the session what streams have for it, and streams that they may go on.
  private func serveReady(_ session: UnsafeMutablePointer<Session>, _ http2: H2Session) {
    while session.pointee.firstReady >= 0 {
      let index = session.pointee.firstReady
      let link = links + Int(index)
      session.pointee.firstReady = link.pointee.nextReady
      link.pointee.flags.remove(.isReady)
      if link.pointee.held > 0, !link.pointee.flags.contains(.paused) {
        http2.consume(index, Int(link.pointee.held))
        link.pointee.held = 0
      }
      guard !link.pointee.flags.contains(.isReset) else { continue }
      offer(index, link, http2)
      endRequest(index, link, http2)
      if link.pointee.flags.contains(.wantsDrain),
        link.pointee.outgoing.bytes <= link.pointee.drainMark
      {
        link.pointee.flags.remove(.wantsDrain)
        if link.pointee.receiver >= 0 {
          link.pointee.flags.contains(.isUpstream)
            ? upstreamDrained(link.pointee.receiver) : connectionDrained(link.pointee.receiver)
        }
      }
    }
  }

  private func offer(
    _ index: Int32,
    _ link: UnsafeMutablePointer<StreamLink>,
    _ http2: H2Session
  ) {
    let flags = link.pointee.flags
    guard flags.contains(.isAnswered), !flags.contains(.isEndOffered) else { return }
    let first = link.pointee.outgoing.first
    guard first >= 0 || flags.contains(.finish) else { return }
    var place = H2Session.Offer.more
    if flags.contains(.finish), first == link.pointee.outgoing.last {
      place = link.pointee.outgoingTrailers.block >= 0 ? .beforeTrailers : .last
      link.pointee.flags.insert(.isEndOffered)
    }
    guard first >= 0 else { return http2.offer(index, nil, count: 0, place) }
    let stretch = stretches[first].pointee
    http2.offer(
      index,
      reactor.pool.bytes(stretch.block) + Int(stretch.start),
      count: Int(stretch.end - stretch.start),
      place
    )
  }

  /// Tells the client that the rest of its request is not wanted, behind a response that is sent
  /// whole (RFC 9113 section 8.1).
  private func endRequest(
    _ index: Int32,
    _ link: UnsafeMutablePointer<StreamLink>,
    _ http2: H2Session
  ) {
    guard link.pointee.receiver < 0,
      link.pointee.flags.isDisjoint(with: [.peerEnded, .isUpstream]),
      http2.isSent(index)
    else { return }
    resetStream(index, .noError)
  }

  /// Takes what was sent off the streams' queues.
  private func reportProgress(_ http2: H2Session) {
    while true {
      let index = http2.nextProgress()
      guard index >= 0 else { return }
      let link = links + Int(index)
      let before = link.pointee.outgoing.bytes
      take(http2.takeSent(index), off: &link.pointee.outgoing)
      noteTaken(sessions[link.pointee.session], Int(before - link.pointee.outgoing.bytes))
      if http2.awaitsTrailers(index) { sendTrailers(index, link, http2) }
      // For the next stretch, for whoever waits for room, or for the end of the request.
      makeReady(index, link)
    }
  }

  private func sendTrailers(
    _ index: Int32,
    _ link: UnsafeMutablePointer<StreamLink>,
    _ http2: H2Session
  ) {
    let held = link.pointee.outgoingTrailers
    guard held.block >= 0 else { return }
    let bytes = UnsafePointer(reactor.pool.bytes(held.block))
    var section = TrailerSection()
    let outcome = TrailerParser.parse(
      bytes,
      count: Int(held.count),
      limits: Self.trailerLimits,
      fields: responseFields,
      into: &section
    )
    var list = H2FieldList(workspace)
    if case .complete = outcome {
      list.add(responseFields, count: Int(section.fieldCount), of: bytes)
    }
    if !http2.finish(index, trailers: list) { resetStream(index, .internalError) }
    release(&link.pointee.outgoingTrailers)
  }

  func takeClosed(_ http2: H2Session) {
    while let closed = http2.nextClosed() { streamClosed(closed) }
  }
}
