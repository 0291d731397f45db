internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Telemetry
internal import Units

/// What time does to a session towards a service: connects that take too long, silence, idleness.
extension Worker {
  /// When the session is looked at next.
  func serviceSessionDeadline(
    _ index: Int32,
    _ session: UnsafeMutablePointer<Session>
  ) -> Instant {
    let side = serviceSessions + Int(index)
    switch session.pointee.phase {
    case .connecting: return side.pointee.connectDeadline
    case .open, .leaving, .going:
      guard session.pointee.streams > 0 else {
        return session.pointee.idleSince + side.pointee.idleTimeout
      }
      return pingDeadline(side)
    case .closing, .lingering: return session.pointee.deadline
    }
  }

  private func pingDeadline(_ side: UnsafeMutablePointer<ServiceSession>) -> Instant {
    guard side.pointee.pingedAt == .never else {
      return side.pointee.pingedAt + side.pointee.pingTimeout
    }
    let silence = side.pointee.wasPong ? ServiceSession.laterPings : side.pointee.pingAfter
    return side.pointee.heardAt + silence
  }

  func serviceSessionTimerFired(_ index: Int32) {
    let session = sessions[index]
    let side = serviceSessions + Int(index)
    switch session.pointee.phase {
    case .connecting where side.pointee.connectDeadline <= reactor.now:
      meter.timedOut(.connect)
      noteHandshakeTimeout(session.pointee.transport)
      return closeServiceSession(index, reset: false, .connectTimeout)
    case .closing, .lingering:
      return closeServiceSession(index, reset: true, .connectFailed)
    case .open, .leaving, .going:
      if session.pointee.streams > 0 {
        guard askForLife(side, session) else {
          meter.serviceSilent()
          return closeServiceSession(index, reset: true, .connectTimeout)
        }
      } else if session.pointee.idleSince + side.pointee.idleTimeout <= reactor.now {
        guard session.pointee.phase == .open else { return endSession(index) }
        unlistSession(index)
        turnAway(index)
      }
    case .connecting: break
    }
    makeDirty(index, session)
  }

  /// Sends a PING when it is time for one.
  ///
  /// - Returns: False when the one before was not answered in time: the peer is gone, although
  ///   nobody said so.
  private func askForLife(
    _ side: UnsafeMutablePointer<ServiceSession>,
    _ session: UnsafeMutablePointer<Session>
  ) -> Bool {
    guard pingDeadline(side) <= reactor.now else { return true }
    guard side.pointee.pingedAt == .never else { return false }
    side.pointee.pingedAt = reactor.now
    session.pointee.http2.takeUnretainedValue().ping(0)
    return true
  }
}
