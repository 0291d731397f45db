/// What concerns the connection as a whole.
extension H2Session {
  /// The first step of a server's drain, GOAWAY that excludes no stream.
  ///
  /// Requests that are under way to us are taken still (RFC 9113 section 6.8).
  public func announceShutdown() {
    guard !state.pointee.isCut, state.pointee.isServer else { return }
    state.pointee.isLeaving = true
    state.pointee.expect(native.announceShutdown())
  }

  /// The second step, a round trip or more later, GOAWAY with the last stream taken.
  ///
  /// Streams behind it are dropped; the session is finished when those before it are.
  public func shutDown(_ code: H2ErrorCode = .noError) {
    guard !state.pointee.isCut else { return }
    state.pointee.isLeaving = true
    state.pointee.expect(native.shutDown(code))
  }

  /// Sends PING; the answer is an event with the same number.
  public func ping(_ number: UInt64) {
    guard !state.pointee.isCut else { return }
    state.pointee.expect(native.ping(number))
  }

  /// Says how urgent a response is, instead of what the client said.
  public func prioritise(_ stream: Int32, _ priority: H2Priority) {
    let entry = state.pointee.stream(stream)
    guard !state.pointee.isCut, state.pointee.isServer,
      !entry.pointee.flags.contains(.isClosed)
    else { return }
    state.pointee.expect(native.prioritise(entry.pointee.id, priority))
  }

  /// Ends the session here and now because the peer let us wait; `failure` says so.
  public func giveUp(on wait: H2Wait) { state.pointee.cut(.late(wait)) }

  /// Ends the session here and now because of what the peer costs; `failure` says so.
  public func giveUp(for abuse: AbuseReason) { state.pointee.cut(.abuse(abuse)) }

  /// Lets a client have so many streams open from now on.
  ///
  /// Streams that are open already stay; those that the client opens before it has heard of a smaller
  /// number are refused (RFC 9113 sections 5.1.2 and 6.5.3). Meant for when all that was sent before
  /// is acknowledged, so that a client that never does has not many of these.
  ///
  /// - Parameter count: In `1...1_000`.
  public func allowStreams(_ count: Int) {
    precondition((1...1_000).contains(count), "unvalidated number of streams")
    guard !state.pointee.isCut, state.pointee.isServer else { return }
    state.pointee.unacknowledged += 1
    state.pointee.expect(native.allowStreams(count))
  }

  /// Whether the peer has acknowledged all our SETTINGS.
  public var isAcknowledged: Bool { state.pointee.unacknowledged == 0 }

  /// Whether the rest of a frame other than DATA, or of a field section, is to come.
  public var isAmidFrame: Bool { !state.pointee.isCut && state.pointee.walker.isAmid }

  /// A number that is another one for each frame or section begun.
  public var frameNumber: UInt32 { state.pointee.walker.messages }

  /// Frames that came.
  public var framesReceived: UInt64 { state.pointee.walker.frames }

  /// Whether the peer's SETTINGS came; before, its bounds are guesses.
  public var knowsPeer: Bool { state.pointee.knowsPeer }

  /// Streams that the peer lets us have open at once; 100 until its SETTINGS come.
  public var peerMaximumStreams: Int { native.peerMaximumStreams }

  /// Whether the peer takes extended CONNECT (RFC 8441 section 3).
  public var peerAllowsExtendedConnect: Bool { native.peerAllowsExtendedConnect }

  /// The last stream of the peer that was handed on, as GOAWAY says it.
  public var lastStream: Int32 { native.lastStream }
}
