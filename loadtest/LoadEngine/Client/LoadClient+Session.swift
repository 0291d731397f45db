internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import Units

/// Connections that are sessions of HTTP/2.
extension LoadClient {
  /// Unsent bytes of a session beyond which it is not asked for more.
  private static let highWatermark = 262_144
  private static let lowWatermark = 65_536

  /// Windows wide enough not to be what is measured; what comes is used up at once.
  ///
  /// What a server may do is bounded as the edge does it towards a service, but for small frames:
  /// short answers are no abuse.
  static let sessionSettings: H2Settings = {
    let often = AbuseLimit(burst: 1_000_000, perSecond: 1_000_000)
    var abuse = AbuseSettings()
    abuse.tinyFrames = often
    abuse.emptyFrames = often
    abuse.windowUpdates = often
    abuse.resets = often
    return H2Settings(streamWindow: 1 << 20, connectionWindow: 1 << 24, abuse: abuse)
  }()

  /// What is spoken on a connection that stands is HTTP/2.
  func openSession(_ index: Int32) {
    let connection = connections[index]
    let first = connection.pointee.call
    guard let workspace,
      let http2 = H2Session(isServer: false, settings: Self.sessionSettings, workspace: workspace)
    else { return breakConnection(index, account.place(of: .noRoom)) }
    connection.pointee.http2 = Unmanaged.passRetained(http2)
    connection.pointee.state = .session
    connection.pointee.call = -1
    connection.pointee.heardAt = reactor.now
    markDirty(index)
    list(index)
    if first >= 0, !begin(first, onSession: index) { putBack(first) }
    serveWaiting()
  }

  /// Whether a session takes another call.
  func hasRoom(_ connection: UnsafeMutablePointer<ClientConnection>) -> Bool {
    guard !connection.pointee.isLeaving, Int(connection.pointee.streams) < bounds.streams,
      let http2 = connection.pointee.http2?.takeUnretainedValue()
    else { return false }
    return http2.canRequest
  }

  func markDirty(_ index: Int32) {
    let connection = connections[index]
    guard !connection.pointee.isDirty else { return }
    connection.pointee.isDirty = true
    connection.pointee.nextDirty = firstDirty
    firstDirty = index
  }

  // MARK: - Receiving

  func sessionReceived(_ index: Int32, block: Int32, count: Int) {
    let connection = connections[index]
    let bytes = UnsafePointer(reactor.pool.bytes(block))
    connection.pointee.heardAt = reactor.now
    if let http2 = connection.pointee.http2?.takeUnretainedValue() {
      var offset = 0
      repeat {
        let start = bytes + offset
        offset += http2.receive(start, count: count - offset, at: reactor.now)
        while let event = http2.nextEvent() { take(event, of: index, http2, start) }
        takeClosed(index, http2)
      } while offset < count || http2.isPaused
    }
    reactor.pool.release(block)
    if hasRoom(connection) { list(index) } else { unlist(index) }
    // Also where nothing is to be said: it may be at its end.
    markDirty(index)
    serveWaiting()
  }

  func takeClosed(_ index: Int32, _ http2: H2Session) {
    while let closed = http2.nextClosed() {
      guard closed.token >= 0 else { continue }
      streamLost(closed, of: index)
    }
  }

  // MARK: - Sending

  /// Lets sessions say what they have to say, each in as few writes as it takes.
  func flushSessions() {
    while firstDirty >= 0 {
      let index = firstDirty
      let connection = connections[index]
      firstDirty = connection.pointee.nextDirty
      connection.pointee.isDirty = false
      // A place may have another owner by now, which then flushes once more than it must.
      guard connections.generation(index) & 1 == 1, let http2 = connection.pointee.http2 else {
        continue
      }
      flush(index, http2.takeUnretainedValue())
      // Calls that a session gave back find another one; each is given back once.
      if waiting.count > 0 { serveWaiting() }
    }
  }

  private func flush(_ index: Int32, _ http2: H2Session) {
    let connection = connections[index]
    let socket = connection.pointee.socket
    while http2.wantsWrite {
      guard reactor.queuedBytes(socket) <= Self.highWatermark else {
        reactor.notifyWhenDrained(socket, below: Self.lowWatermark)
        break
      }
      let count = http2.send(into: sessionScratch, capacity: BlockPool.blockSize)
      guard count > 0 else { break }
      guard sendPlain(index, sessionScratch, count: count) else {
        return breakConnection(index, account.place(of: .noRoom))
      }
      offerMore(http2)
      takeClosed(index, http2)
    }
    offerMore(http2)
    takeClosed(index, http2)
    if let failure = http2.failure {
      breakConnection(index, word("h2: \(Self.name(failure))"))
    } else if http2.isFinished {
      breakConnection(index, account.place(of: .closedEarly))
    } else if connection.pointee.isLeaving, connection.pointee.streams == 0 {
      closeConnection(index)
      serveWaiting()
    }
  }

  /// Bytes in clear, encrypted where TLS is spoken.
  func sendPlain(_ index: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) -> Bool {
    guard connections[index].pointee.tls == nil else {
      return writeSecure(index, bytes, count: count)
    }
    let socket = connections[index].pointee.socket
    if reactor.append(socket, bytes, count: count) { return true }
    let block = reactor.pool.acquire()
    guard block >= 0 else { return false }
    reactor.pool.bytes(block).update(from: bytes, count: count)
    return reactor.write(socket, block: block, start: 0, count: count)
  }

  private func offerMore(_ http2: H2Session) {
    while true {
      let stream = http2.nextProgress()
      guard stream >= 0 else { return }
      let sent = http2.takeSent(stream)
      let call = callOfStream[Int(stream)]
      guard call >= 0 else { continue }
      calls[call].pointee.sent += Int64(sent)
      offerBody(call, http2)
    }
  }

  // MARK: - The end

  private static func name(_ failure: H2Failure) -> String {
    switch failure {
    case .notHTTP2: "not-http2"
    case .violation(let code): "violation-\(code.rawValue)"
    case .abuse(let reason): "\(reason.reason)"
    case .late(let wait): "\(wait.reason)"
    case .broken: "broken"
    }
  }

  /// Ends the calls of a session that is at its end; the connection is closed by the caller.
  func endCalls(of index: Int32, place: Int) {
    while connections[index].pointee.call >= 0 {
      let call = connections[index].pointee.call
      detach(call, from: index)
      finishAttempt(call, reason: place, cause: .error)
    }
  }
}
