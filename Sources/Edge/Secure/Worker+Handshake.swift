internal import Admission
internal import CLinux
internal import Glibc
internal import Reactor
internal import TLS
internal import Telemetry
internal import Units

/// Handshakes: how many at once, how many in one turn, and what comes after them.
///
/// They are what an attacker buys with a few hundred bytes. A slot is taken once the ClientHello is
/// whole, so that those who only connect or only begin take none, and held until the end, or until
/// somebody waits for it and the client has not come back for a while.
extension Worker {
  /// Unread bytes of a handshake at which nothing more is read before its turn, and at which a
  /// ClientHello that is still not whole is OpenSSL's to judge.
  static let mostHandshakeInput = 16_384

  /// Bytes of a client came that has no handshake yet: `block` lies behind the input.
  func greet(_ index: Int32, _ block: Int32, _ count: Int) {
    let link = secureLinks[index]
    let isReady = link.pointee.hello.isReady(after: reactor.pool.bytes(block), count: count)
    guard append(&link.pointee.input, block, 0, count) else { return tellFailure(index) }
    greeted(index, isReady)
  }

  /// The same where the bytes lie in the input already.
  func greet(_ index: Int32) {
    let link = secureLinks[index]
    var isReady = link.pointee.hello.isReady(
      after: bytes(&link.pointee.input),
      count: link.pointee.input.count
    )
    var at = link.pointee.input.more.first
    while at >= 0, !isReady {
      let stretch = stretches[at].pointee
      isReady = link.pointee.hello.isReady(
        after: reactor.pool.bytes(stretch.block) + Int(stretch.start),
        count: Int(stretch.end - stretch.start)
      )
      at = stretch.next
    }
    greeted(index, isReady)
  }

  private func greeted(_ index: Int32, _ isReady: Bool) {
    let link = secureLinks[index]
    if isReady || link.pointee.input.total >= Self.mostHandshakeInput {
      if link.pointee.place == .greeting { unlist(index) }
      return requestHandshake(index)
    }
    guard link.pointee.phase == .silent else { return }
    // The oldest one has had more time than any other; where all are attackers' it is one of those.
    if greetingLinks.count >= max(1, handshakeBounds.greeting) { displace(greetingLinks.first) }
    link.pointee.phase = .greeting
    enlist(index, .greeting)
  }

  private func requestHandshake(_ index: Int32) {
    guard !overload.pressure.refusesHandshakes else {
      meter.handshakeFailed(.overload)
      return closeConnection(secureLinks[index].pointee.owner.index, reset: true)
    }
    if handshakes < handshakeBounds.running, waitingLinks.first < 0 { return start(index) }
    guard waitingLinks.count < handshakeBounds.waiting else {
      meter.handshakeFailed(.refused)
      return closeConnection(secureLinks[index].pointee.owner.index, reset: true)
    }
    meter.handshakeWaited()
    let link = secureLinks[index]
    link.pointee.phase = .waiting
    enlist(index, .waiting)
    holdWaiting(link)
  }

  /// A client that waits is read, so that its end is seen and frees its place; it has nothing to say
  /// before we answer, so that one which does is held like any other.
  func holdWaiting(_ link: UnsafeMutablePointer<SecureLink>) {
    if link.pointee.input.total >= Self.mostHandshakeInput { reactor.pause(link.pointee.socket) }
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
    letIn()
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

  /// Begins with those that wait, in free slots and in those of handshakes that stand still.
  private func letIn() {
    while waitingLinks.first >= 0 {
      if handshakes >= handshakeBounds.running {
        // What has bytes is our turn, not the client's.
        guard let time = displaceAt, time <= reactor.now,
          secureLinks[answeredLinks.first].pointee.place == .none
        else { return }
        displace(answeredLinks.first)
      }
      let index = waitingLinks.first
      unlist(index)
      start(index)
    }
  }

  /// When the oldest handshake that was answered has to make room, where somebody waits.
  var displaceAt: Instant? {
    guard waitingLinks.first >= 0, answeredLinks.first >= 0 else { return nil }
    let since = secureLinks[answeredLinks.first].pointee.answeredAt
    return since + handshakeBounds.patience(whileWaiting: waitingLinks.count)
  }

  private func displace(_ index: Int32) {
    meter.handshakeFailed(.displaced)
    closeConnection(secureLinks[index].pointee.owner.index, reset: true)
  }

  /// Puts a handshake behind all that were answered before; bytes that dribble in do not move it.
  private func noteAnswered(_ index: Int32, _ link: UnsafeMutablePointer<SecureLink>) {
    guard !link.pointee.isUpstream, !link.pointee.flags.contains(.answered) else { return }
    link.pointee.flags.insert(.answered)
    link.pointee.answeredAt = reactor.now
    link.pointee.older = answeredLinks.last
    link.pointee.newer = -1
    if answeredLinks.last >= 0 {
      secureLinks[answeredLinks.last].pointee.newer = index
    } else {
      answeredLinks.first = index
    }
    answeredLinks.last = index
    answeredLinks.count += 1
  }

  /// Takes a handshake off that list, where it is in there.
  func forgetAnswered(_ link: UnsafeMutablePointer<SecureLink>) {
    guard link.pointee.flags.contains(.answered) else { return }
    link.pointee.flags.remove(.answered)
    let (older, newer) = (link.pointee.older, link.pointee.newer)
    if older >= 0 { secureLinks[older].pointee.newer = newer } else { answeredLinks.first = newer }
    if newer >= 0 { secureLinks[newer].pointee.older = older } else { answeredLinks.last = older }
    answeredLinks.count -= 1
  }

  /// Goes as far as the bytes that are there allow.
  ///
  /// - Returns: Whether something was answered, which is dear nearly always.
  private func step(_ index: Int32) -> Bool {
    let link = secureLinks[index]
    guard let session = link.pointee.session?.takeUnretainedValue() else { return false }
    if hasLeft(link) {
      noteAbandoned(index)
      closeConnection(link.pointee.owner.index, reset: true)
      return false
    }
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
      case .needsInput:
        guard link.pointee.input.isEmpty, !hasEnded else { continue }
        noteAnswered(index, link)
        return hasAnswered
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

  /// Whether a client that was not answered yet has gone already: a flood that connects, says hello and
  /// leaves would else cost a thousand times of what it costs to look.
  private func hasLeft(_ link: UnsafeMutablePointer<SecureLink>) -> Bool {
    guard !link.pointee.isUpstream, !link.pointee.flags.contains(.answered) else { return false }
    var byte: UInt8 = 0
    let peeked = clinux_peek(reactor.descriptor(link.pointee.socket), &byte)
    return peeked <= 0 && peeked != -Int64(EAGAIN) && peeked != -Int64(EINTR)
  }

  private func established(_ index: Int32, _ session: TLSSession) {
    if secureLinks[index].pointee.isUpstream { return upstreamEstablished(index, session) }
    let generation = secureLinks.generation(index)
    let link = secureLinks[index]
    link.pointee.phase = .open
    handshakes -= 1
    forgetAnswered(link)
    meter.handshakeDone(session.version, isResumed: session.isResumed)
    link.pointee.identity = session.peerIdentity().map { .passRetained(ClientIdentity($0)) }
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
    if phase == .greeting || phase == .waiting || phase == .handshaking {
      meter.handshakeFailed(.abandoned)
    }
  }
}
