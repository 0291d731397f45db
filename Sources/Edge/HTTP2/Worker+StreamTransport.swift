internal import HTTPCodec
internal import Reactor
internal import Units

/// The calls that connections make on what carries them, where that is a stream.
///
/// Nothing is sent here: what is queued is offered to the session at the end of the turn, which
/// fills whole blocks with frames of many streams.
extension Worker {
  func writeStream(_ index: Int32, block: Int32, start: Int, count: Int) -> Bool {
    let link = links + Int(index)
    guard count > 0, link.pointee.flags.isDisjoint(with: [.isGone, .isReset]) else {
      reactor.pool.release(block)
      return true
    }
    let (block, start) =
      link.pointee.outgoing.isEmpty && count <= Self.smallBody
      ? share(sessions[link.pointee.session], block, start, count) : (block, start)
    guard push(block, start: start, count: count, to: &link.pointee.outgoing) else { return false }
    noteQueued(link.pointee.session, count)
    makeReady(index, link)
    return true
  }

  /// A first body up to this long shares a block with those of other streams: a client that opens
  /// no window could make each byte of an answer hold a block otherwise.
  static let smallBody = BlockPool.blockSize / 2

  /// Moves a body into the block that the session's streams share, where one can be had.
  private func share(
    _ session: UnsafeMutablePointer<Session>,
    _ block: Int32,
    _ start: Int,
    _ count: Int
  ) -> (Int32, Int) {
    let place = shareCopy(session, reactor.pool.bytes(block) + start, count)
    guard place >= 0 else { return (block, start) }
    reactor.pool.release(block)
    return (session.pointee.sharedBlock, place)
  }

  /// Copies bytes into the block that the session's streams share, and takes a reference to it.
  ///
  /// `count`: At most a block.
  /// - Returns: Where they begin there, or -1 when there is no block.
  func shareCopy(
    _ session: UnsafeMutablePointer<Session>,
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int
  ) -> Int {
    let place = shareRoom(session, count)
    guard place >= 0 else { return -1 }
    (reactor.pool.bytes(session.pointee.sharedBlock) + place).update(from: bytes, count: count)
    return place
  }

  /// Takes room in the block that the session's streams share, and a reference to it.
  ///
  /// `count`: At most a block.
  /// - Returns: Where the room begins, or -1 when there is no block.
  func shareRoom(_ session: UnsafeMutablePointer<Session>, _ count: Int) -> Int {
    if session.pointee.sharedBlock >= 0 {
      if reactor.pool.isUnique(session.pointee.sharedBlock) { session.pointee.sharedEnd = 0 }
      let room = BlockPool.blockSize - Int(session.pointee.sharedEnd)
      if count > room { dropShared(session) }
    }
    if session.pointee.sharedBlock < 0 {
      session.pointee.sharedBlock = reactor.pool.acquire()
      session.pointee.sharedEnd = 0
    }
    guard session.pointee.sharedBlock >= 0 else { return -1 }
    let start = Int(session.pointee.sharedEnd)
    session.pointee.sharedEnd += Int32(count)
    reactor.pool.retain(session.pointee.sharedBlock)
    return start
  }

  /// Whether bytes in the session's shared block wait, with a stream or on their way to a service.
  func isSharedBlockInUse(_ session: UnsafeMutablePointer<Session>) -> Bool {
    session.pointee.sharedBlock >= 0 && !reactor.pool.isUnique(session.pointee.sharedBlock)
  }

  /// Lets go of the session's shared block; streams that have bytes in it keep it.
  func dropShared(_ session: UnsafeMutablePointer<Session>) {
    guard session.pointee.sharedBlock >= 0 else { return }
    reactor.pool.release(session.pointee.sharedBlock)
    session.pointee.sharedBlock = -1
  }

  /// Copies bytes behind what is queued.
  ///
  /// The first bytes of a stream never come here. Those behind it, when they are few, share a
  /// block, as each stretch becomes a frame.
  func appendStream(_ index: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    let link = links + Int(index)
    guard !link.pointee.outgoing.isEmpty else { return false }
    let session = sessions[link.pointee.session]
    guard extendLast(link, session, bytes, count) else {
      let block = reactor.pool.acquire()
      guard block >= 0 else { return false }
      reactor.pool.bytes(block).update(from: bytes, count: count)
      return writeStream(index, block: block, start: 0, count: count)
    }
    noteQueued(link.pointee.session, count)
    makeReady(index, link)
    return true
  }

  private func extendLast(
    _ link: UnsafeMutablePointer<StreamLink>,
    _ session: UnsafeMutablePointer<Session>,
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int
  ) -> Bool {
    let last = stretches[link.pointee.outgoing.last].pointee
    guard last.block == session.pointee.sharedBlock, last.end == session.pointee.sharedEnd else {
      return extend(&link.pointee.outgoing, with: bytes, count: count)
    }
    guard extendShared(&link.pointee.outgoing, with: bytes, count: count) else { return false }
    session.pointee.sharedEnd += Int32(count)
    return true
  }

  func pauseStream(_ index: Int32) { links[Int(index)].flags.insert(.paused) }

  func resumeStream(_ index: Int32) {
    let link = links + Int(index)
    link.pointee.flags.remove(.paused)
    // Given back at the end of the turn: who resumes often pauses again in the same breath.
    if link.pointee.held > 0 { makeReady(index, link) }
  }

  func notifyWhenStreamDrained(_ index: Int32, below mark: Int) {
    let link = links + Int(index)
    link.pointee.drainMark = Int32(mark)
    link.pointee.flags.insert(.wantsDrain)
    if Int(link.pointee.outgoing.bytes) <= mark { makeReady(index, link) }
  }

  func finishStream(_ index: Int32) {
    let link = links + Int(index)
    link.pointee.flags.insert(.finish)
    makeReady(index, link)
  }

  /// The connection has no more interest in the stream.
  ///
  /// A response that ended still goes out; what has no end is cut off.
  func closeStream(_ index: Int32, reset: Bool) {
    let link = links + Int(index)
    link.pointee.receiver = -1
    link.pointee.flags.remove([.paused, .wantsDrain])
    guard !link.pointee.flags.contains(.isGone) else { return }
    if link.pointee.flags.contains(.isUpstream) { return closeServiceStream(index, link) }
    if reset || !link.pointee.flags.contains(.finish) {
      resetStream(index, reset ? .internalError : .cancel)
    } else {
      makeReady(index, link)
    }
  }

  func resetStream(_ index: Int32, _ code: H2ErrorCode) {
    let link = links + Int(index)
    guard link.pointee.flags.isDisjoint(with: [.isGone, .isReset]) else { return }
    link.pointee.flags.insert(.isReset)
    http2(link).reset(index, code)
    dropOutgoing(link)
    if link.pointee.flags.contains(.isUpstream) {
      meter.serviceStreamReset(.edge, code)
    } else {
      meter.streamReset(.edge)
    }
    makeReady(index, link)
  }

  func dropOutgoing(_ link: UnsafeMutablePointer<StreamLink>) {
    sessions[link.pointee.session].pointee.queued -= Int(link.pointee.outgoing.bytes)
    drop(&link.pointee.outgoing)
    release(&link.pointee.incomingTrailers)
    release(&link.pointee.outgoingTrailers)
  }

  /// Whether a stream has enough to send for now: as much as any transport, or anything at all
  /// where its session has a lot.
  func isStreamFull(_ index: Int32) -> Bool {
    let link = links + Int(index)
    let queued = Int(link.pointee.outgoing.bytes)
    return queued > Self.highWatermark
      || queued > 0 && sessions[link.pointee.session].pointee.queued > Self.sessionWatermark
  }

  /// Unsent bytes of all streams of a session above which each waits until its own are gone: else
  /// a client that does not read could hold as much as a hundred that do not.
  static let sessionWatermark = 8 * highWatermark

  func release(_ trailers: UnsafeMutablePointer<StreamLink.Trailers>) {
    guard trailers.pointee.block >= 0 else { return }
    reactor.pool.release(trailers.pointee.block)
    trailers.pointee = StreamLink.Trailers()
  }

  @inline(__always)
  func http2(_ link: UnsafeMutablePointer<StreamLink>) -> H2Session {
    sessions[link.pointee.session].pointee.http2.takeUnretainedValue()
  }

  /// Puts a stream in its session's list, and the session in the worker's.
  func makeReady(_ index: Int32, _ link: UnsafeMutablePointer<StreamLink>) {
    guard link.pointee.flags.isDisjoint(with: [.isReady, .isGone]) else { return }
    link.pointee.flags.insert(.isReady)
    let session = sessions[link.pointee.session]
    link.pointee.nextReady = session.pointee.firstReady
    session.pointee.firstReady = index
    makeDirty(link.pointee.session, session)
  }

  @inline(__always)
  func makeDirty(_ index: Int32, _ session: UnsafeMutablePointer<Session>) {
    guard !session.pointee.flags.contains(.isDirty) else { return }
    session.pointee.flags.insert(.isDirty)
    session.pointee.nextDirty = firstDirtySession
    firstDirtySession = index
  }
}
