internal import Glibc
internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import Units

/// Connections: opened within their bound, kept while the target keeps them.
extension LoadClient {
  /// Connections that a scenario wants before the run; what fails shows in the counters.
  func openConnections() {
    for _ in 0..<bounds.opened where connections.count < bounds.most { _ = open(for: -1) }
    let patience = now() + .seconds(10)
    while figures.connects + figures.connectFailures < UInt64(bounds.opened), now() < patience {
      reactor.turn(limit: .milliseconds(10))
      while true {
        let event = reactor.next()
        guard event.kind != .none else { break }
        switch event.kind {
        case .connected: connected(event.owner.index)
        case .failed: failed(event.owner.index, code: event.value)
        case .endOfStream: ended(event.owner.index)
        case .received: received(event.owner.index, block: event.block, count: Int(event.value))
        default: break
        }
      }
    }
  }

  /// Opens a connection for a call, or for none; false when the bound is reached.
  func open(for call: Int32) -> Bool {
    guard connections.count < bounds.most else { return false }
    let index = connections.allocate()
    guard index >= 0 else { return false }
    connections[index].initialize(to: ClientConnection())
    let owner = Owner(
      kind: OwnerKind.connection,
      index: index,
      generation: connections.generation(index)
    )
    let socket = withUnsafePointer(to: target.address) { reactor.connect(to: $0, owner: owner) }
    guard socket >= 0 else {
      // The kernel refused at once: a refused port, or no descriptor or port is left.
      connections.release(index)
      figures.connectFailures += 1
      guard call >= 0 else { return true }
      calls[call].pointee.state = .active
      account.attempted(calls[call].pointee.place)
      let reason: ErrorReason = -socket == ECONNREFUSED ? .connectRefused : .connectFailed
      finishAttempt(call, reason: account.place(of: reason), cause: .error)
      return true
    }
    connections[index].pointee.socket = socket
    figures.mostConnections = max(figures.mostConnections, connections.count)
    guard call >= 0 else { return true }
    connections[index].pointee.call = call
    calls[call].pointee.connection = index
    calls[call].pointee.state = .active
    account.attempted(calls[call].pointee.place)
    return true
  }

  func connected(_ index: Int32) {
    figures.connects += 1
    let connection = connections[index]
    connection.pointee.state = .head
    connection.pointee.call >= 0 ? write(index) : free(index)
  }

  /// Takes a call onto an idle connection.
  func send(_ call: Int32, on index: Int32) {
    connections[index].pointee.call = call
    calls[call].pointee.connection = index
    calls[call].pointee.state = .active
    account.attempted(calls[call].pointee.place)
    write(index)
  }

  private func write(_ index: Int32) {
    let connection = connections[index]
    connection.pointee.state = .head
    connection.pointee.uses += 1
    connection.pointee.hasAnswer = false
    connection.pointee.interims = 0
    connection.pointee.reason = -1
    let kind = Int(calls[connection.pointee.call].pointee.kind)
    guard requests[kind].write(to: connection.pointee.socket, reactor) else {
      return breakOff(index, .noRoom)
    }
  }

  /// A connection without work: for the queue, or to the idle ones.
  func free(_ index: Int32) {
    let next = takeWaiting()
    guard next < 0 else { return send(next, on: index) }
    let connection = connections[index]
    connection.pointee.state = .idle
    connection.pointee.call = -1
    connection.pointee.previous = idle.last
    connection.pointee.next = -1
    if idle.last >= 0 { connections[idle.last].pointee.next = index } else { idle.first = index }
    idle.last = index
    idle.count += 1
  }

  /// The idle connection to use: in turn when many are held open, else the warmest.
  func takeIdle() -> Int32? {
    let index = bounds.opened > 0 ? idle.first : idle.last
    guard index >= 0 else { return nil }
    unlink(index)
    return index
  }

  private func unlink(_ index: Int32) {
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
      figures.connectFailures += 1
      breakOff(index, code == ECONNREFUSED ? .connectRefused : .connectFailed)
    case .idle: closeConnection(index)
    default:
      if !resend(index) { breakOff(index, .reset) }
    }
  }

  func ended(_ index: Int32) {
    let connection = connections[index]
    switch connection.pointee.state {
    case .idle: closeConnection(index)
    case .untilClose: completed(index, isClean: false)
    case .connecting: breakOff(index, .connectFailed)
    default:
      if !resend(index) { breakOff(index, .closedEarly) }
    }
  }

  /// Ends an attempt without an answer.
  func breakOff(_ index: Int32, _ reason: ErrorReason) {
    breakOff(index, place: account.place(of: reason))
  }

  func breakOff(_ index: Int32, place: Int) {
    let call = connections[index].pointee.call
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
    let call = calls[connection.call]
    guard !call.pointee.isResent, methods[Int(call.pointee.kind)].isIdempotent else { return false }
    call.pointee.isResent = true
    figures.resent += 1
    closeConnection(index)
    // The same attempt still, so it does not count again.
    let fresh = openAgain(for: connection.call)
    if !fresh {
      finishAttempt(connection.call, reason: account.place(of: .connectFailed), cause: .error)
    }
    return true
  }

  private func openAgain(for call: Int32) -> Bool {
    let index = connections.allocate()
    guard index >= 0 else { return false }
    connections[index].initialize(to: ClientConnection())
    let owner = Owner(
      kind: OwnerKind.connection,
      index: index,
      generation: connections.generation(index)
    )
    let socket = withUnsafePointer(to: target.address) { reactor.connect(to: $0, owner: owner) }
    guard socket >= 0 else {
      connections.release(index)
      return false
    }
    connections[index].pointee.socket = socket
    connections[index].pointee.call = call
    calls[call].pointee.connection = index
    return true
  }

  func closeConnection(_ index: Int32) {
    let connection = connections[index]
    if connection.pointee.state == .idle { unlink(index) }
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
    readyCallers = 0
    reactor.settle()
  }
}
