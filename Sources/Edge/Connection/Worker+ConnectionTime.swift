internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// What time does to a client connection: heads that do not come, bodies and readers that crawl.
extension Worker {
  func connectionTimerFired(_ index: Int32) {
    let connection = connections[index]
    guard connection.pointee.deadline <= reactor.now else {
      // Moved later, or disarmed, while the wheel still had the old place.
      return reactor.timers.set(connection.pointee.timer, at: connection.pointee.deadline)
    }
    switch connection.pointee.phase {
    case .prelude:
      preludeTimedOut(index)
    case .idle where isShakingHands(connection.pointee.transport):
      handshakeTimedOut(index)
    case .idle where queuedBytes(connection.pointee.transport) > 0:
      // The last reply is not read yet: this is no idle client but a slow one.
      if connection.pointee.paceMark == Connection.unpaced {
        judgePaceFromNow(connection)
      } else {
        judgePace(index)
      }
    case .idle where connection.pointee.paceMark != Connection.unpaced:
      beginIdleTime(connection)
    case .idle:
      meter.timedOut(connection.pointee.requests == 0 ? .head : .keepAliveIdle)
      closeConnection(index, reset: false)
    case .head:
      meter.timedOut(.head)
      replyToBroken(index, .headTimeout)
    case .discard:
      meter.timedOut(.bodyIdle)
      closeConnection(index, reset: true)
    case .closing:
      judgePace(index)
    case .lingering:
      closeConnection(index, reset: true)
    case .exchange:
      judgePace(index)
    case .tunnel:
      tunnelTimerFired(index)
    case .gone:
      break
    }
  }

  /// From now on the client has to keep up the minimum rate.
  func judgePaceFromNow(_ connection: UnsafeMutablePointer<Connection>) {
    connection.pointee.paceSince = reactor.now
    connection.pointee.paceMark = paceBytes(connection)
    setDeadline(connection, reactor.now + limits(connection).bodyIdle)
  }

  /// The client owes nothing while we wait for the service.
  func stopJudging(_ connection: UnsafeMutablePointer<Connection>) {
    // The wheel may keep the old instant: it finds nothing due then.
    connection.pointee.deadline = .never
  }

  /// Bytes that the client moved: those it sent, and those it took from us.
  private func paceBytes(_ connection: UnsafeMutablePointer<Connection>) -> Int64 {
    connection.pointee.bytesIn + connection.pointee.bytesOut
      - Int64(queuedBytes(connection.pointee.transport))
  }

  /// Whether we wait for the client: for its body, or for it to read.
  private func awaitsClient(_ connection: UnsafeMutablePointer<Connection>) -> Bool {
    if queuedBytes(connection.pointee.transport) > 0 { return true }
    guard connection.pointee.exchange >= 0 else { return false }
    let exchange = exchanges[connection.pointee.exchange]
    // It waits for the service's 100, as it must.
    if exchange.pointee.flags.contains(.expectsContinue), exchange.pointee.interims == 0 {
      return false
    }
    return !exchange.pointee.request.isComplete
      && !connection.pointee.flags.contains(.paused)
      && (exchange.pointee.phase.hasService || exchange.pointee.admission.state == .gathering)
  }

  /// Ends a connection whose client moved less than the minimum rate over the last look.
  private func judgePace(_ index: Int32) {
    let connection = connections[index]
    let settings = limits(connection)
    guard awaitsClient(connection) else {
      // Looked at again once it is its turn.
      return judgePaceFromNow(connection)
    }
    let moved = paceBytes(connection) - connection.pointee.paceMark
    let seconds = (reactor.now - connection.pointee.paceSince).seconds
    guard Double(moved) < Double(settings.minimumRate) * seconds || moved == 0 else {
      return judgePaceFromNow(connection)
    }
    let isReading = queuedBytes(connection.pointee.transport) > 0
    if isReading, awaitsTurn(connection.pointee.transport) { return judgePaceFromNow(connection) }
    meter.timedOut(isReading ? .slowReader : moved == 0 ? .bodyIdle : .slowBody)
    let exchange = connection.pointee.exchange
    guard exchange >= 0, !isReading, exchanges[exchange].pointee.phase != .relaying else {
      return abandon(index, reset: true)
    }
    fail(exchange, .bodyTimeout)
  }
}
