internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Units

/// A client connection's events, from its first byte to its end.
extension Worker {
  func connectionReceived(_ index: Int32, _ block: Int32, _ start: Int, _ count: Int) {
    let connection = connections[index]
    connection.pointee.bytesIn += Int64(count)
    // What comes on a stream was counted with its session's frames, and what lies behind a prelude
    // may be ciphertext, of which the plaintext is counted.
    if !connection.pointee.transport.isStream, connection.pointee.phase != .prelude {
      meter.receivedDownstream(count)
    }
    switch connection.pointee.phase {
    case .lingering, .closing, .gone:
      reactor.pool.release(block)
    case .prelude:
      guard append(&connection.pointee.input, block, start, count) else {
        return closeConnection(index, reset: true)
      }
      readPrelude(index)
    case .idle, .head:
      // Only a line end can complete anything: a head that dribbles in is not parsed for each byte.
      let canComplete =
        connection.pointee.phase == .idle
        || memchr(reactor.pool.bytes(block) + start, 0x0A, count) != nil
        || connection.pointee.input.total + count >= limits(connection).headBytes
      guard append(&connection.pointee.input, block, start, count) else {
        return closeConnection(index, reset: true)
      }
      if speaksHTTP2(index) { return }
      if canComplete { readHeads(index) }
    case .exchange:
      guard append(&connection.pointee.input, block, start, count) else {
        return abandon(index)
      }
      pumpRequest(connection.pointee.exchange)
    case .discard:
      guard append(&connection.pointee.input, block, start, count) else {
        return closeConnection(index, reset: true)
      }
      discard(index)
    case .tunnel:
      tunnelFromClient(index, block, start, count)
    }
  }

  /// Counts bytes that were queued for a client.
  func noteSent(_ connection: UnsafeMutablePointer<Connection>, _ count: Int) {
    connection.pointee.bytesOut += Int64(count)
    if !connection.pointee.transport.isStream { meter.sentDownstream(count) }
  }

  func connectionEnded(_ index: Int32) {
    let connection = connections[index]
    connection.pointee.flags.insert(.peerEnded)
    switch connection.pointee.phase {
    case .exchange:
      // A client that ends its side while it waits has gone away, as for every proxy we know.
      abandon(index)
    case .tunnel:
      tunnelClientEnded(index)
    case .closing:
      // The reply is still being sent; there is nobody left to linger for.
      connection.pointee.flags.remove(.lingers)
    case .gone:
      break
    case .prelude:
      preludeEnded(index)
    case .head:
      meter.clientAborted()
      closeConnection(index, reset: false)
    case .idle, .discard:
      // It may have ended its side only, and still read the reply that is on its way.
      closeWhenSent(index, lingering: false)
    case .lingering:
      closeConnection(index, reset: false)
    }
  }

  func connectionFailed(_ index: Int32) {
    let connection = connections[index]
    if connection.pointee.exchange >= 0 {
      abandon(index)
    } else {
      closeConnection(index, reset: false)
    }
  }

  func connectionDrained(_ index: Int32) {
    let connection = connections[index]
    switch connection.pointee.phase {
    case .closing:
      // The notice may be one that was asked for before, at a higher mark.
      if queuedBytes(connection.pointee.transport) == 0 {
        finishClosing(index)
      } else {
        notifyWhenDrained(connection.pointee.transport, below: 0)
      }
    case .exchange:
      resumeUpstream(connection.pointee.exchange)
    case .tunnel:
      tunnelClientDrained(index)
    case .idle, .head:
      guard connection.pointee.flags.contains(.waitsForReader) else { break }
      connection.pointee.flags.remove(.waitsForReader)
      readHeads(index)
    case .prelude, .discard, .lingering, .gone:
      break
    }
  }

  /// Begins every request that lies in the input whole, one after another.
  func readHeads(_ index: Int32) {
    let connection = connections[index]
    while connection.pointee.phase == .idle || connection.pointee.phase == .head {
      guard !connection.pointee.input.isEmpty else {
        resumeReading(connection)
        if connection.pointee.phase == .idle { waitForRequest(index) }
        return
      }
      guard queuedBytes(connection.pointee.transport) <= Self.highWatermark else {
        return waitForReader(connection)
      }
      let isNew = connection.pointee.phase == .idle
      connection.pointee.phase = .head
      var head = RequestHead()
      let outcome = RequestParser.parse(
        bytes(&connection.pointee.input),
        count: connection.pointee.input.count,
        limits: limits(connection).head,
        fields: requestFields,
        into: &head
      )
      switch outcome {
      case .complete:
        begin(index, head)
      case .incomplete:
        if isNew { setDeadline(connection, reactor.now + limits(connection).headTimeout) }
        guard join(&connection.pointee.input) else { return resumeReading(connection) }
      case .refused(let fault):
        // The account of it reads from the deadline when it began.
        if isNew { setDeadline(connection, reactor.now + limits(connection).headTimeout) }
        refuseHead(index, fault)
      }
    }
  }

  /// A client that pipelines and does not read gets no more replies until it does.
  private func waitForReader(_ connection: UnsafeMutablePointer<Connection>) {
    connection.pointee.flags.insert(.waitsForReader)
    pauseReading(connection)
    notifyWhenDrained(connection.pointee.transport, below: Self.lowWatermark)
    setDeadline(connection, reactor.now + limits(connection).bodyIdle)
  }

  /// Between requests: nothing to read; replies may still be on their way.
  private func waitForRequest(_ index: Int32) {
    let connection = connections[index]
    guard !isClosingIdle else { return closeWhenSent(index, lingering: false) }
    beginIdleTime(connection)
  }

  /// From now on the connection may be idle for so long.
  func beginIdleTime(_ connection: UnsafeMutablePointer<Connection>) {
    connection.pointee.paceMark = Connection.unpaced
    setDeadline(connection, reactor.now + jittered(limits(connection).keepAliveIdle))
  }

  /// The exchange is over and the connection stays: the next request may lie there already.
  func connectionFreed(_ index: Int32) {
    let connection = connections[index]
    connection.pointee.phase = .idle
    connection.pointee.exchange = -1
    // More is read only when what lies here is used up: a client that pipelines faster than we
    // answer must not grow the input.
    readHeads(index)
  }

  /// Drops the rest of a refused request's body, then goes on.
  func discard(_ index: Int32) {
    let connection = connections[index]
    while !connection.pointee.input.isEmpty, connection.pointee.discardLeft > 0 {
      let count = Int(
        min(Int64(connection.pointee.input.count), connection.pointee.discardLeft)
      )
      consume(&connection.pointee.input, count)
      connection.pointee.discardLeft -= Int64(count)
    }
    if connection.pointee.discardLeft == 0 { connectionFreed(index) }
  }

  // MARK: - Ending

  /// Ends the connection once what is queued is sent.
  ///
  /// `lingering`: The client may still be sending: closing now would reset the
  ///   connection and could take the reply with it (RFC 9112 section 9.6).
  func closeWhenSent(_ index: Int32, lingering: Bool) {
    let connection = connections[index]
    connection.pointee.phase = .closing
    connection.pointee.exchange = -1
    drop(&connection.pointee.input)
    if connection.pointee.transport.isStream {
      if !connection.pointee.flags.contains(.resets) {
        finishWriting(connection.pointee.transport)
      }
    } else if lingering, !connection.pointee.flags.contains(.peerEnded) {
      connection.pointee.flags.insert(.lingers)
      // Its bytes are dropped, but they must be read.
      resumeReading(connection)
    }
    judgePaceFromNow(connection)
    if queuedBytes(connection.pointee.transport) == 0 {
      finishClosing(index)
    } else {
      notifyWhenDrained(connection.pointee.transport, below: 0)
    }
  }

  private func finishClosing(_ index: Int32) {
    let connection = connections[index]
    guard connection.pointee.flags.contains(.lingers) else {
      return closeConnection(index, reset: connection.pointee.flags.contains(.resets))
    }
    connection.pointee.phase = .lingering
    finishWriting(connection.pointee.transport)
    setDeadline(connection, reactor.now + Self.lingerTime)
  }

  /// How long a client that was refused may take to notice: as nginx's lingering_timeout, less.
  static let lingerTime = Nanoseconds.seconds(2)

  func resumeReading(_ connection: UnsafeMutablePointer<Connection>) {
    guard connection.pointee.flags.contains(.paused) else { return }
    connection.pointee.flags.remove(.paused)
    resume(connection.pointee.transport)
  }

  func pauseReading(_ connection: UnsafeMutablePointer<Connection>) {
    guard !connection.pointee.flags.contains(.paused) else { return }
    connection.pointee.flags.insert(.paused)
    pause(connection.pointee.transport)
  }

  /// Forgets the connection at once; its exchange, if any, must have ended.
  func closeConnection(_ index: Int32, reset: Bool) {
    let connection = connections[index]
    if connection.pointee.phase == .prelude {
      meter.receivedDownstream(connection.pointee.input.total)
    }
    // Callers further out look at the phase to see whether they may go on.
    connection.pointee.phase = .gone
    drop(&connection.pointee.input)
    closeTransport(connection.pointee.transport, reset: reset)
    reactor.timers.release(connection.pointee.timer)
    if connection.pointee.transport.isStream {
      streamConnections -= 1
    } else {
      let listener = Int(connection.pointee.listener)
      if connection.pointee.flags.contains(.isInternal) { calls[index] = nil }
      listeners[listener].clientLeft(connection.pointee.flags, connection.pointee.peer)
      meter.connectionClosed(listeners[listener].metrics)
    }
    connections.release(index)
  }

  func limits(_ connection: UnsafeMutablePointer<Connection>) -> ListenerLimits {
    listeners[Int(connection.pointee.listener)].limits
  }

  func setDeadline(_ connection: UnsafeMutablePointer<Connection>, _ instant: Instant) {
    connection.pointee.deadline = instant
    reactor.timers.set(connection.pointee.timer, at: instant)
  }
}
