internal import HTTPCodec
internal import Reactor
internal import Units

/// What a session's client owes apart from its streams: to acknowledge, to finish what it began, and
/// to be there.
///
/// A client that is gone without a word leaves streams that wait for their service for as long as
/// that takes. Only those are asked by PING; a session without streams has the time of an idle
/// connection.
extension Worker {
  /// The client said something.
  func noteHeard(_ session: UnsafeMutablePointer<Session>, _ http2: H2Session) {
    session.pointee.heardAt = reactor.now
    session.pointee.askedAt = .never
    guard http2.isAmidFrame else {
      session.pointee.amidSince = .never
      return
    }
    let number = http2.frameNumber
    if session.pointee.amidSince == .never || session.pointee.amidNumber != number {
      session.pointee.amidSince = reactor.now
      session.pointee.amidNumber = number
    }
  }

  /// When the client is looked at next.
  func careDeadline(_ session: UnsafeMutablePointer<Session>) -> Instant {
    let limits = listeners[Int(session.pointee.listener)].limits
    var due = pingDeadline(session, limits)
    if !session.pointee.http2.takeUnretainedValue().isAcknowledged {
      due = min(due, session.pointee.settingsAt + limits.settingsTimeout)
    }
    guard session.pointee.amidSince != .never else { return due }
    return min(due, session.pointee.amidSince + limits.headTimeout)
  }

  private func pingDeadline(
    _ session: UnsafeMutablePointer<Session>,
    _ limits: ListenerLimits
  ) -> Instant {
    guard session.pointee.streams > 0 else { return .never }
    return session.pointee.askedAt == .never
      ? session.pointee.heardAt + limits.pingInterval
      : session.pointee.askedAt + limits.pingTimeout
  }

  /// Looks after the client, when it may be time to.
  ///
  /// - Returns: False when it is gone, and nothing more is to be said to it.
  func takeCare(of session: UnsafeMutablePointer<Session>) -> Bool {
    let limits = listeners[Int(session.pointee.listener)].limits
    let http2 = session.pointee.http2.takeUnretainedValue()
    if !http2.isAcknowledged,
      session.pointee.settingsAt + limits.settingsTimeout <= reactor.now
    {
      http2.giveUp(on: .settings)
    }
    if session.pointee.amidSince != .never,
      session.pointee.amidSince + limits.headTimeout <= reactor.now
    {
      http2.giveUp(on: .frame)
    }
    guard pingDeadline(session, limits) <= reactor.now else { return true }
    var acknowledged = acknowledgedBytes(session)
    if session.pointee.askedAt == .never {
      http2.ping(0)
      acknowledged += Self.pingLength
    } else if acknowledged <= session.pointee.askedMark {
      meter.sessionLost()
      return false
    }
    // Where a lot is on its way to a slow reader the question stands behind it: whoever still
    // acknowledges bytes is there.
    session.pointee.askedAt = reactor.now
    session.pointee.askedMark = acknowledged
    return true
  }

  /// Bytes of a PING frame (RFC 9113 section 6.7): that they arrived says nothing of the client.
  private static let pingLength: Int64 = 17

  /// Bytes that the client's kernel has, nearly: TLS adds some that are not counted as written.
  private func acknowledgedBytes(_ session: UnsafeMutablePointer<Session>) -> Int64 {
    let transport = session.pointee.transport
    let unsent = queuedBytes(transport)
    return session.pointee.bytesOut - Int64(unsent)
      - unacknowledged(transport)
  }
}
