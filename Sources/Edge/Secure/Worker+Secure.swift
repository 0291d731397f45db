internal import Glibc
internal import Reactor
internal import TLS
internal import Units

/// Links of TLS: their events, and the lists they wait in.
extension Worker {
  /// Takes a client over that will speak TLS; `nil`, and closed, when a bound is reached.
  func adoptSecure(_ descriptor: Int32, _ owner: Owner, listener: Int32) -> Transport? {
    let index = secureLinks.allocate()
    guard index >= 0 else {
      close(descriptor)
      return nil
    }
    let own = self.owner(.secure, index, secureLinks.generation(index))
    let socket = reactor.adopt(descriptor, owner: own)
    guard socket >= 0 else {
      secureLinks.release(index)
      return nil
    }
    secureLinks[index].initialize(
      to: SecureLink(socket: socket, listener: listener, owner: owner)
    )
    return .secure(index)
  }

  /// Puts TLS between a connection and its socket, below the bytes that came already.
  func insertSecure(_ connection: Int32) {
    let entry = connections[connection]
    let index = secureLinks.allocate()
    guard index >= 0 else {
      meter.acceptFailed()
      return closeConnection(connection, reset: true)
    }
    let socket = entry.pointee.transport.index
    secureLinks[index].initialize(
      to: SecureLink(
        socket: socket,
        listener: entry.pointee.listener,
        owner: owner(.connection, connection, connections.generation(connection)),
        input: entry.pointee.input
      )
    )
    entry.pointee.input = Input()
    entry.pointee.transport = .secure(index)
    reactor.setOwner(socket, owner(.secure, index, secureLinks.generation(index)))
    if !secureLinks[index].pointee.input.isEmpty { greet(index) }
  }

  func handleSecure(_ index: Int32, _ event: Event) {
    switch event.kind {
    case .received: secureReceived(index, event.block, Int(event.value))
    case .endOfStream: secureEnded(index)
    case .failed: secureFailed(index, code: event.value)
    case .drained: secureDrained(index)
    case .connected: secureConnected(index)
    case .none, .accepted, .ready, .timer, .mailbox: break
    }
  }

  private func secureReceived(_ index: Int32, _ block: Int32, _ count: Int) {
    let link = secureLinks[index]
    guard !link.pointee.flags.contains(.endDelivered) else { return reactor.pool.release(block) }
    if link.pointee.phase == .silent || link.pointee.phase == .greeting {
      return greet(index, block, count)
    }
    guard append(&link.pointee.input, block, 0, count) else { return tellFailure(index) }
    switch link.pointee.phase {
    case .silent, .greeting, .waiting, .connecting: break
    case .handshaking: continueHandshake(index)
    case .open: decrypt(index)
    }
  }

  private func secureEnded(_ index: Int32) {
    let link = secureLinks[index]
    guard link.pointee.phase == .open else {
      if link.pointee.isUpstream, link.pointee.phase == .handshaking {
        return endUpstreamHandshake(index)
      }
      noteAbandoned(index)
      return tellEnd(index)
    }
    link.pointee.flags.insert(.socketEnded)
    decrypt(index)
  }

  private func secureFailed(_ index: Int32, code: Int32) {
    let link = secureLinks[index]
    guard link.pointee.isUpstream, link.pointee.phase == .handshaking else {
      noteAbandoned(index)
      return tellFailure(index, code: code)
    }
    endUpstreamHandshake(index)
  }

  private func secureDrained(_ index: Int32) {
    let link = secureLinks[index]
    guard link.pointee.flags.contains(.wantsDrain) else { return }
    // Plaintext that was written since asks again once it is encrypted.
    guard link.pointee.plain.isEmpty else { return }
    link.pointee.flags.remove(.wantsDrain)
    let owner = link.pointee.owner
    switch OwnerKind(rawValue: owner.kind) ?? .none {
    case .connection: connectionDrained(owner.index)
    case .session: sessionDrained(owner.index)
    case .upstream: upstreamDrained(owner.index)
    default: break
    }
  }

  // MARK: - Telling the owner

  /// Hands plaintext up as the reactor would.
  func tellReceived(_ index: Int32, _ block: Int32, _ count: Int) {
    let owner = secureLinks[index].pointee.owner
    switch OwnerKind(rawValue: owner.kind) ?? .none {
    case .connection: connectionReceived(owner.index, block, 0, count)
    case .session where secureLinks[index].pointee.isUpstream:
      serviceSessionReceived(owner.index, block, count)
    case .session: sessionReceived(owner.index, block, count)
    case .upstream: upstreamReceived(owner.index, block, 0, count)
    default: reactor.pool.release(block)
    }
  }

  func tellEnd(_ index: Int32) {
    let link = secureLinks[index]
    guard !link.pointee.flags.contains(.endDelivered) else { return }
    link.pointee.flags.insert(.endDelivered)
    let owner = link.pointee.owner
    switch OwnerKind(rawValue: owner.kind) ?? .none {
    case .connection: connectionEnded(owner.index)
    case .session where link.pointee.isUpstream:
      closeServiceSession(owner.index, reset: false, .connectFailed)
    case .session: sessionEnded(owner.index)
    case .upstream: upstreamEnded(owner.index)
    default: break
    }
  }

  /// Tells of a failure; the owner closes the link.
  func tellFailure(_ index: Int32, code: Int32 = ECONNRESET) {
    let link = secureLinks[index]
    link.pointee.flags.insert(.endDelivered)
    let owner = link.pointee.owner
    switch OwnerKind(rawValue: owner.kind) ?? .none {
    case .connection: connectionFailed(owner.index)
    case .session where link.pointee.isUpstream:
      closeServiceSession(owner.index, reset: false, .connect(code))
    case .session: closeSession(owner.index, reset: false)
    case .upstream: upstreamFailed(owner.index, code: code)
    default: break
    }
  }

  // MARK: - Work that no event brings

  /// Whether the next turn must not wait: `nil` when it may.
  var secureWait: Nanoseconds? {
    guard secureLinks.count > 0 || firstDirtySession >= 0 else { return nil }
    // Without blocks there is nothing to do but to let others give some back.
    if isSecureStarved { return .milliseconds(1) }
    let hasWork =
      hotLinks.first >= 0 || handshakeLinks.first >= 0 || upstreamHandshakeLinks.first >= 0
      || !dirtyLinks.isEmpty || firstDirtySession >= 0
      || waitingLinks.first >= 0 && handshakes < handshakeBounds.running
      || upstreamWaitingLinks.first >= 0 && hasEndedUpstreamHandshake
    if hasWork { return .zero }
    return displaceAt.map { max(.zero, $0 - reactor.now) }
  }

  /// Goes on with links that were resumed, and with handshakes as far as one turn may.
  func serveSecure() {
    isSecureStarved = false
    guard secureLinks.count > 0 else { return }
    var left = hotLinks.count
    while left > 0, hotLinks.first >= 0 {
      let index = hotLinks.first
      unlist(index)
      decrypt(index)
      left -= 1
    }
    serveHandshakes()
  }

  func makeHot(_ index: Int32) {
    guard secureLinks[index].pointee.place == .none else { return }
    enlist(index, .hot)
  }

  // MARK: - Lists

  func enlist(_ index: Int32, _ place: SecureLink.Place) {
    let link = secureLinks[index]
    link.pointee.place = place
    withList(place) { list in
      link.pointee.previous = list.last
      link.pointee.next = -1
      if list.last >= 0 {
        secureLinks[list.last].pointee.next = index
      } else {
        list.first = index
      }
      list.last = index
      list.count += 1
    }
  }

  func unlist(_ index: Int32) {
    let link = secureLinks[index]
    withList(link.pointee.place) { list in
      let (previous, next) = (link.pointee.previous, link.pointee.next)
      if previous >= 0 { secureLinks[previous].pointee.next = next } else { list.first = next }
      if next >= 0 { secureLinks[next].pointee.previous = previous } else { list.last = previous }
      list.count -= 1
    }
    link.pointee.place = .none
  }

  private func withList(_ place: SecureLink.Place, _ body: (inout SecureList) -> Void) {
    switch place {
    case .none: break
    case .greeting: body(&greetingLinks)
    case .waiting: body(&waitingLinks)
    case .handshakes: body(&handshakeLinks)
    case .upstreamHandshakes: body(&upstreamHandshakeLinks)
    case .upstreamWaiting: body(&upstreamWaitingLinks)
    case .hot: body(&hotLinks)
    }
  }
}
