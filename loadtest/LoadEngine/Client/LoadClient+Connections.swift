internal import Glibc
internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import TLS
internal import Units

/// Connections: opened within their bound, kept while the target keeps them.
extension LoadClient {
  /// Unsent bytes of a message beyond which it waits.
  private static let highWatermark = 65_536
  private static let lowWatermark = 16_384

  /// Connections that a scenario wants before the run; what fails shows in the counters.
  func openConnections() {
    for _ in 0..<bounds.opened where connections.count < bounds.most { _ = open(for: -1) }
    let patience = now() + .seconds(10)
    while figures.connects + figures.connectFailures < UInt64(bounds.opened), now() < patience {
      reactor.turn(limit: .milliseconds(10))
      while true {
        let event = reactor.next()
        guard event.kind != .none else { break }
        handle(event)
      }
      flushSessions()
    }
  }

  /// Opens a connection for a call, or for none; false when the bound is reached.
  func open(for call: Int32) -> Bool {
    guard connections.count < bounds.most else { return false }
    let (index, code) = connect()
    guard index >= 0 else {
      guard code != 0 else { return false }
      // The kernel refused at once: a refused port, or no descriptor or port is left.
      figures.connectFailures += 1
      guard call >= 0 else { return true }
      noteBegun(call, on: -1)
      let reason: ErrorReason = code == ECONNREFUSED ? .connectRefused : .connectFailed
      finishAttempt(call, reason: account.place(of: reason), cause: .error)
      return true
    }
    guard call >= 0 else { return true }
    connections[index].pointee.call = call
    noteBegun(call, on: index)
    return true
  }

  /// The connection, or -1 with the error number, 0 when the table is full.
  private func connect() -> (index: Int32, code: Int32) {
    let index = connections.allocate()
    guard index >= 0 else { return (-1, 0) }
    connections[index].initialize(to: ClientConnection())
    let owner = Owner(
      kind: OwnerKind.connection,
      index: index,
      generation: connections.generation(index)
    )
    let socket = withUnsafePointer(to: target.address) { reactor.connect(to: $0, owner: owner) }
    guard socket >= 0 else {
      connections.release(index)
      return (-1, -socket)
    }
    connections[index].pointee.socket = socket
    opening += 1
    figures.mostConnections = max(figures.mostConnections, connections.count)
    return (index, 0)
  }

  /// TCP stands.
  func connected(_ index: Int32) {
    guard secureContext == nil else { return beginHandshake(index) }
    established(index, isHTTP2: wireProtocol == .http2)
  }

  /// Requests may go out.
  func established(_ index: Int32, isHTTP2: Bool) {
    figures.connects += 1
    opening -= 1
    let connection = connections[index]
    guard !isHTTP2 else { return openSession(index) }
    connection.pointee.state = .head
    connection.pointee.call >= 0 ? write(index) : free(index)
  }

  /// Takes a call onto an idle connection.
  func send(_ call: Int32, on index: Int32) {
    connections[index].pointee.call = call
    noteBegun(call, on: index)
    write(index)
  }

  private func write(_ index: Int32) {
    let connection = connections[index]
    connection.pointee.state = .head
    connection.pointee.uses += 1
    connection.pointee.hasAnswer = false
    connection.pointee.interims = 0
    connection.pointee.reason = -1
    let call = calls[connection.pointee.call]
    let kind = Int(call.pointee.kind)
    call.pointee.began = reactor.now
    guard connection.pointee.tls == nil, kinds[kind].pace == nil else {
      beginPace(connection.pointee.call)
      return pump(index)
    }
    call.pointee.sent = Int64(prepared[kind].length)
    guard requests[kind].write(to: connection.pointee.socket, reactor) else {
      return breakOff(index, .noRoom)
    }
  }

  /// Sends what is due of a message that does not go out as a whole.
  func pump(_ index: Int32) {
    let connection = connections[index]
    let call = calls[connection.pointee.call]
    let request = prepared[Int(call.pointee.kind)]
    let due = dueBytes(call, of: request.length)
    while call.pointee.sent < due {
      guard reactor.queuedBytes(connection.pointee.socket) < Self.highWatermark else {
        reactor.notifyWhenDrained(connection.pointee.socket, below: Self.lowWatermark)
        return
      }
      let offset = Int(call.pointee.sent)
      let piece = request.message(at: offset)
      let count = min(piece.count, due - offset, BlockPool.blockSize)
      guard let bytes = piece.baseAddress, sendPlain(index, bytes, count: count) else {
        return breakOff(index, .noRoom)
      }
      call.pointee.sent += Int64(count)
    }
  }

  func drained(_ index: Int32) {
    let connection = connections[index]
    switch connection.pointee.state {
    case .session: markDirty(index)
    case .head, .body, .chunks, .trailers, .untilClose: pump(index)
    case .connecting, .handshaking, .idle: break
    }
  }

  /// A connection without work: for the queue, or to the idle ones.
  func free(_ index: Int32) {
    connections[index].pointee.call = -1
    let next = takeWaiting()
    guard next < 0 else { return send(next, on: index) }
    connections[index].pointee.state = .idle
    list(index)
  }

  // MARK: - Those that take a call

  func list(_ index: Int32) {
    let connection = connections[index]
    guard !connection.pointee.isListed else { return }
    connection.pointee.isListed = true
    connection.pointee.previous = idle.last
    connection.pointee.next = -1
    if idle.last >= 0 { connections[idle.last].pointee.next = index } else { idle.first = index }
    idle.last = index
    idle.count += 1
  }

  /// A connection that takes a call: in turn when many are held open, else the warmest.
  ///
  /// One of HTTP/1.1 is off the list then, a session is there still, at its end.
  func takeIdle() -> Int32? {
    let index = bounds.opened > 0 ? idle.first : idle.last
    guard index >= 0 else { return nil }
    let isSession = connections[index].pointee.http2 != nil
    guard isSession, bounds.opened == 0 else {
      unlist(index)
      if isSession { list(index) }
      return index
    }
    return index
  }

  func unlist(_ index: Int32) {
    guard connections[index].pointee.isListed else { return }
    connections[index].pointee.isListed = false
    let entry = connections[index].pointee
    if entry.previous >= 0 {
      connections[entry.previous].pointee.next = entry.next
    } else {
      idle.first = entry.next
    }
    if entry.next >= 0 {
      connections[entry.next].pointee.previous = entry.previous
    } else {
      idle.last = entry.previous
    }
    idle.count -= 1
  }

  // MARK: - Ends

  func failed(_ index: Int32, code: Int32) {
    let connection = connections[index]
    switch connection.pointee.state {
    case .connecting:
      breakOff(index, code == ECONNREFUSED ? .connectRefused : .connectFailed)
    case .handshaking, .session: breakOff(index, .reset)
    case .idle: closeConnection(index)
    default:
      if !resend(index) { breakOff(index, .reset) }
    }
  }

  func ended(_ index: Int32) {
    let connection = connections[index]
    switch connection.pointee.state {
    case .idle: closeConnection(index)
    case .untilClose:
      // Without close_notify nobody knows whether something is missing.
      guard connection.pointee.tls?.takeUnretainedValue().peerEnded != false else {
        return breakOff(index, .closedEarly)
      }
      completed(index, isClean: false)
    case .connecting: breakOff(index, .connectFailed)
    case .handshaking, .session: breakOff(index, .closedEarly)
    default:
      if !resend(index) { breakOff(index, .closedEarly) }
    }
  }

  /// Ends an attempt without an answer, or all of a session.
  func breakOff(_ index: Int32, _ reason: ErrorReason) {
    breakConnection(index, account.place(of: reason))
  }

  func breakConnection(_ index: Int32, _ place: Int) {
    let connection = connections[index]
    switch connection.pointee.state {
    case .connecting, .handshaking: figures.connectFailures += 1
    case .session: endCalls(of: index, place: place)
    default: break
    }
    let call = connection.pointee.call
    closeConnection(index)
    if call >= 0 { finishAttempt(call, reason: place, cause: .error) }
    serveWaiting()
  }

  /// A kept connection may be closed just when it is used again: every client sends once more then.
  private func resend(_ index: Int32) -> Bool {
    let connection = connections[index].pointee
    guard connection.call >= 0, connection.uses > 1, !connection.hasAnswer,
      connection.state == .head
    else { return false }
    let again = calls[connection.call]
    guard !again.pointee.isResent, methods[Int(again.pointee.kind)].isIdempotent else {
      return false
    }
    again.pointee.isResent = true
    endPace(again)
    figures.resent += 1
    closeConnection(index)
    // The same attempt still, so it does not count again.
    let call = connection.call
    let (fresh, _) = connect()
    guard fresh >= 0 else {
      finishAttempt(call, reason: account.place(of: .connectFailed), cause: .error)
      return true
    }
    connections[fresh].pointee.call = call
    noteBegun(call, on: fresh)
    return true
  }

  func closeConnection(_ index: Int32) {
    let connection = connections[index]
    unlist(index)
    if connection.pointee.state == .connecting || connection.pointee.state == .handshaking {
      opening -= 1
    }
    connection.pointee.http2?.release()
    connection.pointee.http2 = nil
    connection.pointee.tls?.release()
    connection.pointee.tls = nil
    if connection.pointee.block >= 0 { reactor.pool.release(connection.pointee.block) }
    connection.pointee.block = -1
    reactor.close(connection.pointee.socket)
    connections.release(index)
  }

  func closeAll() {
    for index in 0..<Int32(connections.capacity) where connections.generation(index) & 1 == 1 {
      closeConnection(index)
    }
    idle = LinkedEnds()
    waiting = LinkedEnds()
    firstDirty = -1
    readyCallers = 0
    reactor.settle()
  }
}
