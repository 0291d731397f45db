internal import Glibc
internal import Reactor
internal import TLS
internal import Units

/// Links towards services: the client's side of the handshake, and what its failure means.
///
/// Nothing was sent before a handshake is through, so a failed one is a failed connect: another
/// endpoint may be tried whatever the method. The time for the connect holds for both.
extension Worker {
  /// Begins to connect to an endpoint that speaks TLS.
  ///
  /// Returns: The transport, or `nil` with the error number in `code`.
  func connectSecure(
    to address: UnsafePointer<KernelAddress>,
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
      to: SecureLink(socket: socket, listener: -1, owner: owner, phase: .connecting)
    )
    return .secure(index)
  }

  /// The connection stands: the prelude goes out in clear where there is one, then the handshake.
  func secureConnected(_ index: Int32) {
    let link = secureLinks[index]
    guard link.pointee.phase == .connecting else { return }
    let upstream = upstreams[link.pointee.owner.index]
    let exchange = exchanges[upstream.pointee.exchange]
    let snapshot = snapshots[exchange.pointee.snapshot]
    let service = snapshot.service(exchange.pointee.service)
    let place = upstream.pointee.endpoint
    link.pointee.phase = .handshaking
    upstreamHandshakes += 1
    guard sendPrelude(upstream, on: link.pointee.socket),
      let session = TLSSession(
        client: snapshot.tls(service).context,
        host: snapshot.host(of: place, in: service),
        sessions: upstreamSessions,
        endpoint: Int(place)
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
    let upstream = upstreams[link.pointee.owner.index]
    let tls = tls(of: upstream)
    guard let spoken = tls.context.spoken(session.applicationProtocol) else {
      return failUpstreamHandshake(index, .fault(.noApplicationProtocol))
    }
    link.pointee.phase = .open
    upstreamHandshakes -= 1
    meter.upstreamHandshakeDone(tls.metrics, session.version, isResumed: session.isResumed)
    upstream.pointee.applicationProtocol = spoken
    upstreamConnected(link.pointee.owner.index)
    guard secureLinks.generation(index) == generation else { return }
    decrypt(index)
  }

  /// Gives the connection up and moves on to another endpoint, where there is one.
  func failUpstreamHandshake(_ index: Int32, _ failure: UpstreamHandshakeFailure) {
    let owner = secureLinks[index].pointee.owner.index
    let upstream = upstreams[owner]
    let (exchange, place) = (upstream.pointee.exchange, upstream.pointee.endpoint)
    meter.upstreamHandshakeFailed(tls(of: upstream).metrics, failure)
    upstreamSessions.forget(Int(place))
    closeUpstream(owner, reset: false)
    exchanges[exchange].pointee.upstream = -1
    connectFailed(exchange, place, failure.reply)
  }

  /// Counts a handshake that the time for a connect ended.
  func noteHandshakeTimeout(_ index: Int32) {
    let upstream = upstreams[index]
    let transport = upstream.pointee.transport
    guard transport.isSecure, secureLinks[transport.index].pointee.phase == .handshaking else {
      return
    }
    meter.upstreamHandshakeFailed(tls(of: upstream).metrics, .timeout)
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
    let owner = secureLinks[index].pointee.owner.index
    let upstream = upstreams[owner]
    guard upstream.pointee.phase == .busy else { return tellFailure(index) }
    meter.upstreamSecureFault(fault)
    let (request, place) = (upstream.pointee.exchange, upstream.pointee.endpoint)
    let exchange = exchanges[request]
    guard fault.isRefusal, exchange.pointee.phase == .waiting,
      exchange.pointee.flags.isDisjoint(with: [.isReused, .hasResponse])
    else { return tellFailure(index) }
    meter.upstreamHandshakeFailed(tls(of: upstream).metrics, .fault(fault))
    upstreamSessions.forget(Int(place))
    guard fault == .peerRefusesCertificate, exchange.pointee.flags.contains(.canReplay) else {
      return fail(request, .upstreamTLSRefused)
    }
    closeUpstream(owner, reset: false)
    exchange.pointee.upstream = -1
    connectFailed(request, place, .upstreamTLSRefused)
  }

  /// The TLS of a connection whose exchange has its snapshot still: until a response head came.
  private func tls(of upstream: UnsafeMutablePointer<UpstreamConnection>) -> ServiceTLS {
    let exchange = exchanges[upstream.pointee.exchange]
    let snapshot = snapshots[exchange.pointee.snapshot]
    return snapshot.tls(snapshot.service(exchange.pointee.service))
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
