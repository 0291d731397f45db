internal import Glibc
internal import Reactor
internal import TLS
internal import Units

/// Links towards services: the client's side of the handshake, and what its failure means.
///
/// Nothing was sent before a handshake is through, so a failed one is a failed connect: another
/// endpoint may be tried whatever the method. The time for the connect holds for both, and for the
/// wait where too many handshakes are under way.
extension Worker {
  /// Begins to connect to an endpoint that speaks TLS.
  ///
  /// Returns: The transport, or `nil` with the error number in `code`.
  func connectSecure(
    to address: UnsafePointer<KernelAddress>,
    _ target: SecureTarget,
    _ owner: Owner,
    _ code: inout Int32
  ) -> Transport? {
    let index = secureLinks.allocate()
    guard index >= 0 else {
      code = ENOBUFS
      return nil
    }
    let own = self.owner(.secure, index, secureLinks.generation(index))
    let socket = reactor.connect(to: address, owner: own)
    guard socket >= 0 else {
      secureLinks.release(index)
      code = -socket
      return nil
    }
    secureLinks[index].initialize(
      to: SecureLink(
        socket: socket,
        listener: -1,
        target: Unmanaged.passRetained(target),
        owner: owner,
        phase: .connecting
      )
    )
    return .secure(index)
  }

  /// The connection stands: the prelude goes out in clear where there is one, then the handshake.
  func secureConnected(_ index: Int32) {
    let link = secureLinks[index]
    guard link.pointee.phase == .connecting else { return }
    if isUpstreamConnection(link.pointee.owner),
      !sendPrelude(upstreams[link.pointee.owner.index], on: link.pointee.socket)
    {
      return failUpstreamHandshake(index, .fault(.internalError))
    }
    link.pointee.service = service(link.pointee.owner)
    if mayShakeHands(link.pointee.service) { return startUpstreamHandshake(index) }
    meter.upstreamHandshakeWaited()
    link.pointee.phase = .waiting
    // A server speaks second; what one says all the same is looked at in its turn.
    reactor.pause(link.pointee.socket)
    enlist(index, .upstreamWaiting)
  }

  /// Whether a service may have one more handshake under way now.
  private func mayShakeHands(_ service: Int32) -> Bool {
    upstreamHandshakes < handshakeBounds.upstream
      && serviceHandshakes[Int(service)] < handshakeBounds.perService
  }

  /// Begins with connections that wait, in order, but for those of services that have their share.
  func startWaitingHandshakes() {
    guard hasEndedUpstreamHandshake else { return }
    hasEndedUpstreamHandshake = false
    var index = upstreamWaitingLinks.first
    while index >= 0, upstreamHandshakes < handshakeBounds.upstream {
      let next = secureLinks[index].pointee.next
      if mayShakeHands(secureLinks[index].pointee.service) {
        unlist(index)
        startUpstreamHandshake(index)
      }
      // One that fails at once may take others along.
      let isLost = next >= 0 && secureLinks[next].pointee.place != .upstreamWaiting
      index = isLost ? upstreamWaitingLinks.first : next
    }
  }

  private func startUpstreamHandshake(_ index: Int32) {
    let link = secureLinks[index]
    if link.pointee.phase == .waiting { reactor.resume(link.pointee.socket) }
    link.pointee.phase = .handshaking
    upstreamHandshakes += 1
    serviceHandshakes[Int(link.pointee.service)] += 1
    let target = target(link)
    guard
      let session = TLSSession(
        client: target.tls.context,
        host: target.host,
        sessions: upstreamSessions,
        endpoint: Int(endpoint(link.pointee.owner))
      )
    else { return failUpstreamHandshake(index, .fault(.internalError)) }
    link.pointee.session = Unmanaged.passRetained(session)
    enlist(index, .upstreamHandshakes)
  }

  func upstreamEstablished(_ index: Int32, _ session: TLSSession) {
    let generation = secureLinks.generation(index)
    let link = secureLinks[index]
    // Nothing was sent yet: another connection can still do it.
    guard !link.pointee.flags.contains(.socketEnded) else {
      return failUpstreamHandshake(index, .broken)
    }
    let tls = target(link).tls
    guard let spoken = tls.context.spoken(session.applicationProtocol) else {
      return failUpstreamHandshake(index, .noHTTP2)
    }
    link.pointee.phase = .open
    noteEndOfHandshake(link)
    meter.upstreamHandshakeDone(tls.metrics, session.version, isResumed: session.isResumed)
    let owner = link.pointee.owner
    switch (isUpstreamConnection(owner), spoken) {
    case (true, .http1): upstreamConnected(owner.index)
    case (false, .http2): serviceSessionConnected(owner.index)
    case (true, .http2): becomeSession(owner.index)
    case (false, .http1): becomeConnection(owner.index)
    }
    guard secureLinks.generation(index) == generation else { return }
    decrypt(index)
  }

  /// A handshake with a service is over, however it ended: another may begin.
  func noteEndOfHandshake(_ link: UnsafeMutablePointer<SecureLink>) {
    upstreamHandshakes -= 1
    serviceHandshakes[Int(link.pointee.service)] -= 1
    hasEndedUpstreamHandshake = true
  }

  /// What a fault in the middle of a handshake says of the service.
  func upstreamFailure(_ index: Int32, _ fault: TLSFault) -> UpstreamHandshakeFailure {
    let link = secureLinks[index]
    if fault == .truncated { return .broken }
    // no_application_protocol (RFC 7301 section 3.2).
    if fault == .peerRefusesHandshake, target(link).tls.context.wantsHTTP2,
      link.pointee.session?.takeUnretainedValue().alerts.received == 120
    {
      return .noHTTP2
    }
    return .fault(fault)
  }

  /// Gives the connection up and moves on to another endpoint, where there is one.
  func failUpstreamHandshake(_ index: Int32, _ failure: UpstreamHandshakeFailure) {
    let link = secureLinks[index]
    let owner = link.pointee.owner
    let place = endpoint(owner)
    meter.upstreamHandshakeFailed(target(link).tls.metrics, failure)
    upstreamSessions.forget(Int(place))
    guard isUpstreamConnection(owner) else {
      return closeServiceSession(owner.index, reset: false, failure.reply)
    }
    let exchange = upstreams[owner.index].pointee.exchange
    closeUpstream(owner.index, reset: false)
    exchanges[exchange].pointee.upstream = -1
    connectFailed(exchange, place, failure.reply)
  }

  /// Counts a handshake that the time for a connect ended.
  func noteHandshakeTimeout(_ transport: Transport) {
    guard transport.isSecure else { return }
    let link = secureLinks[transport.index]
    guard link.pointee.phase == .handshaking || link.pointee.phase == .waiting else { return }
    meter.upstreamHandshakeFailed(target(link).tls.metrics, .timeout)
  }

  /// Whether a connection stands and waits for the handshakes of others: whatever that takes is not
  /// its endpoint's fault.
  func awaitsHandshake(_ transport: Transport) -> Bool {
    transport.isSecure && secureLinks[transport.index].pointee.phase == .waiting
  }

  /// The socket brings nothing more in the middle of a handshake: what came may still say why.
  func endUpstreamHandshake(_ index: Int32) {
    let link = secureLinks[index]
    link.pointee.flags.insert(.socketEnded)
    if link.pointee.place == .none { enlist(index, .upstreamHandshakes) }
  }

  /// A link that was open broke.
  ///
  /// In TLS 1.3 a server judges our certificate after our side of the handshake is through; its
  /// alert comes before it has looked at any request (RFC 8446 section 4.4.2.4).
  func failUpstreamLink(_ index: Int32, _ fault: TLSFault) {
    let link = secureLinks[index]
    let owner = link.pointee.owner
    let isRefused = isUpstreamConnection(owner) ? isUnanswered(owner.index) : isUnheard(owner.index)
    if isBusy(owner) { meter.upstreamSecureFault(fault) }
    guard fault.isRefusal, isRefused else { return tellFailure(index) }
    let place = endpoint(owner)
    meter.upstreamHandshakeFailed(target(link).tls.metrics, .fault(fault))
    upstreamSessions.forget(Int(place))
    guard isUpstreamConnection(owner) else { return refuseServiceSession(owner.index, fault) }
    let request = upstreams[owner.index].pointee.exchange
    let exchange = exchanges[request]
    guard fault == .peerRefusesCertificate, exchange.pointee.flags.contains(.canReplay) else {
      return fail(request, .upstreamTLSRefused)
    }
    closeUpstream(owner.index, reset: false)
    exchange.pointee.upstream = -1
    connectFailed(request, place, .upstreamTLSRefused)
  }

  /// Whether nothing of an answer came on a connection that is used for the first time.
  private func isUnanswered(_ index: Int32) -> Bool {
    let upstream = upstreams[index]
    guard upstream.pointee.phase == .busy else { return false }
    let exchange = exchanges[upstream.pointee.exchange]
    return exchange.pointee.phase == .waiting
      && exchange.pointee.flags.isDisjoint(with: [.isReused, .hasResponse])
  }

  private func isBusy(_ owner: Owner) -> Bool {
    isUpstreamConnection(owner)
      ? upstreams[owner.index].pointee.phase == .busy : sessions[owner.index].pointee.streams > 0
  }

  private func isUpstreamConnection(_ owner: Owner) -> Bool {
    owner.kind == OwnerKind.upstream.rawValue
  }

  private func endpoint(_ owner: Owner) -> Int32 {
    isUpstreamConnection(owner)
      ? upstreams[owner.index].pointee.endpoint : serviceSessions[Int(owner.index)].endpoint
  }

  private func service(_ owner: Owner) -> Int32 {
    isUpstreamConnection(owner)
      ? upstreams[owner.index].pointee.service : serviceSessions[Int(owner.index)].service
  }

  private func target(_ link: UnsafeMutablePointer<SecureLink>) -> SecureTarget {
    guard let target = link.pointee.target else { preconditionFailure("a client has no target") }
    return target.takeUnretainedValue()
  }

  /// Whether something came, or an end, that nobody has looked at.
  ///
  /// Behind a complete response it belongs to no request, and must not become the next one's.
  func hasLeftover(_ transport: Transport) -> Bool {
    guard transport.isSecure else { return false }
    let link = secureLinks[transport.index]
    guard let session = link.pointee.session?.takeUnretainedValue() else { return true }
    return !link.pointee.input.isEmpty || session.hasUnread || session.peerEnded
      || !link.pointee.flags.isDisjoint(with: [.socketEnded, .endDelivered])
  }
}
