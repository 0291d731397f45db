internal import Units

/// What a session keeps, at a place that does not move, for nghttp2 to call back to.
struct H2State {
  /// What `NativeCallbacks` does after a field.
  enum FieldVerdict {
    case proceed
    /// Stop reading, to go on behind this field.
    case pause
    /// No more of anything: the session is cut.
    case abort
  }

  let isServer: Bool
  let settings: H2Settings
  let memory: UnsafeMutablePointer<H2Memory>
  let rules: H2RequestBuilder.Rules
  var walker: H2FrameWalker
  var budget: AbuseBudget
  /// Set right after the state has got its place.
  var native: NativeSession?

  // Receiving.
  /// Bytes that the walker has seen and nghttp2 has not.
  var ahead = 0
  /// Where the bytes begin that are being received.
  var input: UnsafePointer<UInt8>?
  /// A head cut in two by the end of the bytes.
  var carry: H2Carry?
  /// PRIORITY_UPDATE under way: the stream's number and what is of use of the field behind it.
  var update = InlineArray<32, UInt8>(repeating: 0)
  var updateCount = 0
  /// Frames that waited to be sent before the peer's SETTINGS under way were looked at.
  var queuedBefore = 0

  // Sending.
  /// Where bytes are being written, and how much room is left.
  var output: UnsafeMutablePointer<UInt8>?
  var room = 0
  /// Bytes written there by `writeData`.
  var written = 0

  // The connection.
  var failure: H2Failure?
  /// Nothing more comes of nghttp2: what is left to send is GOAWAY, if anything.
  var isCut = false
  var isGoodbyeSent = false
  /// Whether anything was sent, SETTINGS first.
  var hasSpoken = false
  var isLeaving = false
  var knowsPeer = false
  /// SETTINGS of ours that the peer has not acknowledged; the first are sent with the begin.
  var unacknowledged = 1
  /// All streams, and those with news for the caller.
  var firstStream: Int32 = -1
  var openStreams = 0
  var firstListed: Int32 = -1
  var lastListed: Int32 = -1
  var firstClosed: Int32 = -1
  var lastClosed: Int32 = -1

  init(isServer: Bool, _ settings: H2Settings, _ memory: UnsafeMutablePointer<H2Memory>) {
    self.isServer = isServer
    self.settings = settings
    self.memory = memory
    rules = H2RequestBuilder.Rules(
      limits: settings.limits,
      allowsConnect: settings.allowsConnect,
      allowsExtendedConnect: settings.allowsExtendedConnect
    )
    walker = H2FrameWalker(
      isServer: isServer,
      maximumContinuations: settings.maximumContinuations,
      maximumList: settings.limits.maximumBytes
    )
    budget = AbuseBudget(settings.abuse)
  }

  /// The stream at an index.
  @inline(__always)
  func stream(_ index: Int32) -> UnsafeMutablePointer<H2Stream> { memory.pointee.streams[index] }

  // MARK: - Failing

  /// Ends the session here and now; only GOAWAY is still to be sent.
  mutating func cut(_ reason: H2Failure) {
    if failure == nil { failure = reason }
    isCut = true
  }

  /// A call of the library that should not have failed, did.
  mutating func expect(_ success: Bool) {
    if !success { cut(.broken) }
  }

  /// Ends the session if a budget ran out.
  mutating func enforceBudget() {
    if let reason = budget.exhausted { cut(.abuse(reason)) }
  }

  // MARK: - Streams

  /// Takes an entry for a stream; -1 when the workspace has none.
  mutating func open(_ id: Int32) -> Int32 {
    let index = memory.pointee.streams.allocate()
    guard index >= 0 else { return -1 }
    var entry = H2Stream(id: id)
    entry.next = firstStream
    if firstStream >= 0 { stream(firstStream).pointee.previous = index }
    stream(index).initialize(to: entry)
    firstStream = index
    openStreams &+= 1
    return index
  }

  /// Gives an entry back, and to the connection's window what nobody consumed.
  mutating func release(_ index: Int32) {
    let entry = stream(index).pointee
    if entry.unconsumed > 0, !isCut, let native { expect(native.consume(entry.unconsumed)) }
    if entry.flags.contains(.isListed) { unlist(index) }
    if entry.previous >= 0 {
      stream(entry.previous).pointee.next = entry.next
    } else {
      firstStream = entry.next
    }
    if entry.next >= 0 { stream(entry.next).pointee.previous = entry.previous }
    memory.pointee.streams.release(index)
    openStreams &-= 1
  }

  /// The library lets go of a stream.
  mutating func close(_ id: Int32, _ code: H2ErrorCode) {
    guard let native else { return }
    let index = native.index(of: id)
    guard index >= 0 else { return }
    let entry = stream(index)
    entry.pointee.flags.insert(.isClosed)
    entry.pointee.code = code
    entry.pointee.offered = nil
    entry.pointee.offeredCount = 0
    if memory.pointee.building.stream == index { memory.pointee.building.end() }
    if code == .noError, entry.pointee.flags.isSuperset(of: [.isReceived, .isSent]) {
      budget.earnExchange()
    }
    guard entry.pointee.flags.contains(.isAnnounced) else {
      release(index)
      return
    }
    if lastClosed >= 0 {
      stream(lastClosed).pointee.nextClosed = index
    } else {
      firstClosed = index
    }
    lastClosed = index
  }

  /// Takes the next stream that is gone and that the caller knew of.
  mutating func takeClosed() -> H2Closed? {
    while firstClosed >= 0 {
      let index = firstClosed
      let entry = stream(index).pointee
      firstClosed = entry.nextClosed
      if firstClosed < 0 { lastClosed = -1 }
      release(index)
      guard entry.flags.contains(.isAnnounced) else { continue }
      return H2Closed(
        stream: index,
        token: entry.token,
        code: entry.code,
        isReceived: entry.flags.contains(.isReceived),
        isSent: entry.flags.contains(.isSent),
        isResetByPeer: entry.flags.contains(.isResetByPeer),
        isStarted: entry.flags.contains(.isStarted)
      )
    }
    return nil
  }

  /// Resets a stream for what its message says, and tells so.
  mutating func refuse(_ index: Int32, _ fault: H2HeadFault) {
    guard let native else { return }
    let entry = stream(index)
    expect(native.reset(entry.pointee.id, .protocolError))
    var event = H2Event(.malformed)
    if entry.pointee.flags.contains(.isAnnounced) {
      event.stream = index
      event.token = entry.pointee.token
    }
    event.fault = fault
    memory.pointee.append(event)
  }

  // MARK: - Progress

  /// Puts a stream on the list of those of which the caller's bytes were sent.
  mutating func list(_ index: Int32) {
    let entry = stream(index)
    guard !entry.pointee.flags.contains(.isListed) else { return }
    entry.pointee.flags.insert(.isListed)
    entry.pointee.nextListed = -1
    if lastListed >= 0 {
      stream(lastListed).pointee.nextListed = index
    } else {
      firstListed = index
    }
    lastListed = index
  }

  mutating func takeListed() -> Int32 {
    while firstListed >= 0 {
      let index = firstListed
      let entry = stream(index)
      firstListed = entry.pointee.nextListed
      if firstListed < 0 { lastListed = -1 }
      entry.pointee.flags.remove(.isListed)
      if !entry.pointee.flags.contains(.isClosed) { return index }
    }
    return -1
  }

  /// Takes a stream out of the list, which is short: it is emptied after each turn's sending.
  private mutating func unlist(_ index: Int32) {
    var before: Int32 = -1
    var at = firstListed
    while at >= 0, at != index {
      before = at
      at = stream(at).pointee.nextListed
    }
    guard at == index else { return }
    let next = stream(index).pointee.nextListed
    if before >= 0 { stream(before).pointee.nextListed = next } else { firstListed = next }
    if lastListed == index { lastListed = before }
  }
}
