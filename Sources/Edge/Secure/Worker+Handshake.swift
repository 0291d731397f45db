internal import Reactor
internal import TLS
internal import Telemetry
internal import Units

/// Handshakes: how many at once, how many in one turn, and what comes after them.
///
/// They are what an attacker buys with a few hundred bytes. A slot is taken with the first byte, so
/// that those who only connect take none, and held until the end.
extension Worker {
  /// Unread bytes of a handshake at which nothing more is read before its turn.
  private static let mostHandshakeInput = 16_384

  /// The first bytes of a client came.
  func requestHandshake(_ index: Int32) {
    if handshakes < handshakeBounds.running, waitingLinks.first < 0 { return start(index) }
    guard waitingLinks.count < handshakeBounds.waiting else {
      meter.handshakeFailed(.refused)
      return closeConnection(secureLinks[index].pointee.owner.index, reset: true)
    }
    meter.handshakeWaited()
    let link = secureLinks[index]
    link.pointee.phase = .waiting
    reactor.pause(link.pointee.socket)
    enlist(index, .waiting)
  }

  private func start(_ index: Int32) {
    let link = secureLinks[index]
    // A reload may have taken TLS from the listener since it was accepted.
    guard let context = listeners[Int(link.pointee.listener)].settings.tls,
      let session = TLSSession(server: context)
    else {
      meter.handshakeFailed(.fault(.internalError))
      return closeConnection(link.pointee.owner.index, reset: true)
    }
    link.pointee.session = Unmanaged.passRetained(session)
    link.pointee.phase = .handshaking
    handshakes += 1
    reactor.resume(link.pointee.socket)
    enlist(index, .handshakes)
  }

  /// More bytes came, to be looked at when it is the link's turn.
  func continueHandshake(_ index: Int32) {
    let link = secureLinks[index]
    if link.pointee.place == .none {
      enlist(index, link.pointee.isUpstream ? .upstreamHandshakes : .handshakes)
    }
    if link.pointee.input.total > Self.mostHandshakeInput { reactor.pause(link.pointee.socket) }
  }

  func serveHandshakes() {
    while waitingLinks.first >= 0, handshakes < handshakeBounds.running {
      let index = waitingLinks.first
      unlist(index)
      start(index)
    }
    startWaitingHandshakes()
    var steps = handshakeBounds.stepsPerTurn
    // Requests wait for these, which were let in already: strangers must not hold them up.
    while steps > 0, upstreamHandshakeLinks.first >= 0 {
      let index = upstreamHandshakeLinks.first
      unlist(index)
      if step(index) { steps -= 1 }
    }
    steps = handshakeBounds.stepsPerTurn
    while steps > 0, handshakeLinks.first >= 0 {
      let index = handshakeLinks.first
      unlist(index)
      if step(index) { steps -= 1 }
    }
  }

  /// Goes as far as the bytes that are there allow.
  ///
  /// - Returns: Whether something was answered, which is dear nearly always.
  private func step(_ index: Int32) -> Bool {
    let link = secureLinks[index]
    guard let session = link.pointee.session?.takeUnretainedValue() else { return false }
    reactor.resume(link.pointee.socket)
    var hasAnswered = false
    while true {
      let hasEnded = link.pointee.flags.contains(.socketEnded)
      if hasEnded, link.pointee.input.more.isEmpty { session.endInput() }
      var window = secureWindow(&link.pointee.input)
      let step = session.handshake(&window)
      let isStuck = window.produced == 0
      if case .fault = step, link.pointee.isUpstream { sendAtOnce(window, link) }
      finish(window, link)
      if window.produced > 0 { hasAnswered = true }
      switch step {
      case .needsInput: if link.pointee.input.isEmpty, !hasEnded { return hasAnswered }
      case .needsOutput where !isStuck: break
      case .established:
        established(index, session)
        // The end of a handshake is as dear as a beginning, whether it is answered or not.
        return true
      case .fault(let fault):
        failHandshake(index, fault)
        return true
      case .needsOutput, .plaintext, .closed:
        failHandshake(index, .internalError)
        return true
      }
    }
  }

  private func established(_ index: Int32, _ session: TLSSession) {
    if secureLinks[index].pointee.isUpstream { return upstreamEstablished(index, session) }
    let generation = secureLinks.generation(index)
    let link = secureLinks[index]
    link.pointee.phase = .open
    handshakes -= 1
    meter.handshakeDone(session.version, isResumed: session.isResumed)
    let connection = link.pointee.owner.index
    // From here on it is a client that has connected and says nothing yet.
    let patience = limits(connections[connection]).headTimeout
    let time = isClosingIdle ? min(patience, Self.firstWord) : patience
    setDeadline(connections[connection], reactor.now + time)
    if session.applicationProtocol == .http2 {
      openSession(connection)
      guard secureLinks.generation(index) == generation else { return }
    }
    decrypt(index)
  }

  /// The alert that says why is sent already, in clear: from here on the socket goes without TLS.
  private func failHandshake(_ index: Int32, _ fault: TLSFault) {
    if secureLinks[index].pointee.isUpstream {
      return failUpstreamHandshake(index, upstreamFailure(index, fault))
    }
    meter.handshakeFailed(.fault(fault))
    let connection = leaveSecure(index)
    if fault == .plainHTTP {
      replyToBroken(connection, .tlsRequired)
    } else {
      closeWhenSent(connection, lingering: true)
    }
  }

  /// Frees the link, and leaves its socket to the connection.
  private func leaveSecure(_ index: Int32) -> Int32 {
    let link = secureLinks[index].pointee
    forget(index)
    let connection = link.owner.index
    connections[connection].pointee.transport = .socket(link.socket)
    reactor.setOwner(link.socket, link.owner)
    if !connections[connection].pointee.flags.contains(.paused) { reactor.resume(link.socket) }
    return connection
  }

  /// Whether the client has yet to finish its handshake.
  func isShakingHands(_ transport: Transport) -> Bool {
    transport.isSecure && secureLinks[transport.index].pointee.phase != .open
  }

  func handshakeTimedOut(_ index: Int32) {
    let transport = connections[index].pointee.transport
    if secureLinks[transport.index].pointee.phase != .silent { meter.handshakeFailed(.timeout) }
    meter.timedOut(.head)
    closeConnection(index, reset: false)
  }

  func noteAbandoned(_ index: Int32) {
    guard !secureLinks[index].pointee.isUpstream else { return }
    let phase = secureLinks[index].pointee.phase
    if phase == .waiting || phase == .handshaking { meter.handshakeFailed(.abandoned) }
  }
}
