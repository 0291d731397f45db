internal import HTTPCodec
internal import Reactor
internal import Units

/// A stream's events: a request, its body, its end.
extension Worker {
  func take(_ event: H2Event, of session: Int32, _ block: Int32, base: Int) {
    if sessions[session].pointee.flags.contains(.isUpstream) {
      return takeFromService(event, of: session, block, base + Int(event.start))
    }
    switch event.kind {
    case .request, .oversizedRequest: streamRequested(session, event)
    case .data: streamReceived(event, block, base + Int(event.start))
    case .trailers: streamTrailers(event)
    case .malformed: if let fault = event.fault { meter.malformed(fault) }
    case .response, .interim, .settings, .goAway, .pong: break
    }
  }

  private func streamRequested(_ index: Int32, _ event: H2Event) {
    let session = sessions[index]
    let stream = event.stream
    session.pointee.requests += 1
    meter.streamOpened()
    addLink(stream, to: index, session)
    let link = links + Int(stream)
    if event.isLast { link.pointee.flags.insert(.peerEnded) }
    // The client was, or is about to be, told that nothing was done with this one: what is done all
    // the same would be done twice.
    guard session.pointee.phase == .open || session.pointee.phase == .leaving else {
      return resetStream(stream, .refusedStream)
    }
    let connection = makeConnection(stream, session, hasEnded: event.isLast)
    guard connection >= 0 else {
      // Nothing was done with it: the client may try again elsewhere.
      return resetStream(stream, .refusedStream)
    }
    link.pointee.receiver = connection
    guard event.kind == .request else {
      let isTarget = event.fault?.status == 414
      let reason: ReplyReason = isTarget ? .targetTooLong : .headTooLarge
      return replyToBroken(connection, reason, isHead: event.isHead)
    }
    begin(connection, view(workspace.request(event), session))
  }

  private func view(
    _ head: H2RequestHead,
    _ session: UnsafeMutablePointer<Session>
  ) -> RequestView {
    var view = RequestView(
      bytes: head.bytes,
      fields: head.fields,
      head: head.head,
      path: UnsafePointer(path),
      pathLength: 0,
      identifier: UnsafePointer(path),
      identifierLength: 0,
      peer: session.pointee.peer,
      peerIsUnix: session.pointee.origin.contains(.peerIsUnix),
      isTrusted: session.pointee.origin.contains(.isTrusted),
      isSecure: session.pointee.transport.isSecure,
      isHTTP2: true
    )
    if WebSocketRequest.isAskedFor(by: head) {
      view.webSocketKey = (random.next(), random.next())
      view.head.method = .get
      view.head.wantsUpgrade = true
      // What the client sends belongs to the tunnel.
      view.head.isChunked = false
    }
    return view
  }

  /// An entry for the stream's one exchange; -1 when a bound is reached.
  private func makeConnection(
    _ stream: Int32,
    _ session: UnsafeMutablePointer<Session>,
    hasEnded: Bool
  ) -> Int32 {
    let connection = connections.allocate()
    guard connection >= 0 else { return -1 }
    let timer = reactor.timers.allocate(
      for: owner(.connectionTimer, connection, connections.generation(connection))
    )
    guard timer >= 0 else {
      connections.release(connection)
      return -1
    }
    var flags = session.pointee.origin.intersection([.isTrusted, .peerIsUnix])
    if hasEnded { flags.insert(.peerEnded) }
    connections[connection].initialize(
      to: Connection(
        transport: .stream(stream),
        timer: timer,
        exchange: -1,
        listener: session.pointee.listener,
        phase: .exchange,
        flags: flags,
        peerPort: session.pointee.peerPort,
        requests: 0,
        requestBound: .max,
        input: Input(),
        discardLeft: 0,
        deadline: .never,
        retiresAt: .never,
        paceSince: reactor.now,
        paceMark: 0,
        bytesIn: 0,
        bytesOut: 0,
        peer: session.pointee.peer
      )
    )
    streamConnections += 1
    return connection
  }

  private func streamReceived(_ event: H2Event, _ block: Int32, _ start: Int) {
    let index = event.stream
    let link = links + Int(index)
    if event.count > 0 {
      link.pointee.held += event.count
      makeReady(index, link)
      if link.pointee.receiver >= 0 {
        let (own, from) = piece(block, start, Int(event.count), link)
        connectionReceived(link.pointee.receiver, own, from, Int(event.count))
      }
    }
    if event.isLast { streamEnded(link) }
  }

  /// Pieces of a body up to this many bytes are copied out of the block they came in.
  ///
  /// Each piece that waits for its service holds its block, and the client decides what else is in
  /// there: a byte at a time it could take every block, and every place to note one.
  private static let smallPiece = 4_096

  /// A piece of what came, as a reference that is the caller's to give away.
  ///
  /// The first one of a body that waits for its service, often all of it, shares a block with those
  /// of the session's other streams: of calls that wait each would hold one more than its head else.
  /// What goes on at once does not, since bytes in a block that others have are a send of their own.
  private func piece(
    _ block: Int32,
    _ start: Int,
    _ count: Int,
    _ link: UnsafeMutablePointer<StreamLink>
  ) -> (block: Int32, start: Int) {
    guard count <= Self.smallPiece else {
      reactor.pool.retain(block)
      return (block, start)
    }
    let bytes = UnsafePointer(reactor.pool.bytes(block)) + start
    let connection = connections[link.pointee.receiver]
    if connection.pointee.input.isEmpty, waitsForService(connection) {
      let session = sessions[link.pointee.session]
      let place = shareCopy(session, bytes, count)
      if place >= 0 { return (session.pointee.sharedBlock, place) }
      // There is no block for a copy either.
      reactor.pool.retain(block)
      return (block, start)
    }
    let copy = reactor.pool.acquire()
    guard copy >= 0 else {
      reactor.pool.retain(block)
      return (block, start)
    }
    reactor.pool.bytes(copy).update(from: bytes, count: count)
    return (copy, 0)
  }

  private func waitsForService(_ connection: UnsafeMutablePointer<Connection>) -> Bool {
    connection.pointee.phase == .exchange && connection.pointee.exchange >= 0
      && !exchanges[connection.pointee.exchange].pointee.phase.hasService
  }

  private func streamEnded(_ link: UnsafeMutablePointer<StreamLink>) {
    link.pointee.flags.insert(.peerEnded)
    guard link.pointee.receiver >= 0 else { return }
    let connection = connections[link.pointee.receiver]
    connection.pointee.flags.insert(.peerEnded)
    switch connection.pointee.phase {
    case .exchange: pumpRequest(connection.pointee.exchange)
    case .tunnel: tunnelClientEnded(link.pointee.receiver)
    case .prelude, .idle, .head, .discard, .closing, .lingering, .gone: break
    }
  }

  private func streamTrailers(_ event: H2Event) {
    let link = links + Int(event.stream)
    let section = workspace.trailers(event)
    if link.pointee.receiver >= 0 {
      let isHeld = hold(
        section.bytes,
        section.fields,
        Int(section.section.fieldCount),
        keepsReports: true,
        &link.pointee.incomingTrailers
      )
      guard isHeld else { return abandon(link.pointee.receiver, reset: true, asClient: false) }
    }
    streamEnded(link)
  }

  /// Keeps trailers, without those that must not be, until the body before them is passed on.
  func hold(
    _ bytes: UnsafePointer<UInt8>,
    _ fields: UnsafePointer<HeadField>,
    _ count: Int,
    keepsReports: Bool,
    _ place: UnsafeMutablePointer<StreamLink.Trailers>
  ) -> Bool {
    guard count > 0 else { return true }
    let block = reactor.pool.acquire()
    guard block >= 0 else { return false }
    var writer = ByteWriter(reactor.pool.bytes(block), capacity: BlockPool.blockSize)
    for index in 0..<count where !Self.isForbiddenInTrailers(fields[index].known) {
      if !keepsReports, fields[index].known.isLoadReport { continue }
      writer.bytes(bytes + Int(fields[index].nameStart), Int(fields[index].nameLength))
      writer.text(": ")
      writer.bytes(bytes + Int(fields[index].valueStart), Int(fields[index].valueLength))
      writer.crlf()
    }
    writer.crlf()
    guard !writer.isFull else {
      reactor.pool.release(block)
      return false
    }
    release(place)
    place.pointee = StreamLink.Trailers(block: block, count: Int32(writer.count))
    return true
  }

  /// The session let go of the stream: both sides are done, or one has reset it.
  func streamClosed(_ closed: H2Closed) {
    let link = links + Int(closed.stream)
    if link.pointee.flags.contains(.isUpstream) { return serviceStreamClosed(closed) }
    if closed.isReceived, closed.isSent, link.pointee.receiver >= 0,
      connections[link.pointee.receiver].pointee.phase == .tunnel
    {
      return leaveStream(closed.stream)
    }
    var isRefused = false
    if !closed.isReceived || !closed.isSent, !link.pointee.flags.contains(.isReset) {
      isRefused = !closed.isResetByPeer
      meter.streamReset(isRefused ? .edge : .client)
    }
    endLink(closed.stream, isRefused: isRefused)
  }

  /// Lets a tunnel go on without its stream, both sides of which have ended: what the client sent
  /// last may still be on its way to the service.
  private func leaveStream(_ index: Int32) {
    let link = links + Int(index)
    connections[link.pointee.receiver].pointee.transport = .stream(goneStream)
    link.pointee.receiver = -1
    link.pointee.flags.insert(.isGone)
    removeLink(index)
  }

  /// Ends the link, and with it whatever of its exchange is left.
  ///
  /// `isRefused`: Whether the stream was reset for what its client sent there.
  func endLink(_ index: Int32, isRefused: Bool = false) {
    let link = links + Int(index)
    if link.pointee.flags.contains(.isUpstream) {
      return endServiceStream(index, .session(.connectFailed))
    }
    link.pointee.flags.insert(.isGone)
    let connection = link.pointee.receiver
    if connection >= 0 {
      if isRefused { refuseRest(connection) } else { connectionFailed(connection) }
    }
    removeLink(index)
  }

  /// Ends the exchange of a stream that was reset for what its client sent behind the head: it is
  /// logged as a malformed request, not as a client that left.
  private func refuseRest(_ connection: Int32) {
    let exchange = connections[connection].pointee.exchange
    guard exchange >= 0, exchanges[exchange].pointee.status == 0 else {
      return exchange >= 0
        ? abandon(connection, asClient: false) : closeConnection(connection, reset: false)
    }
    exchanges[exchange].pointee.status = 400
    abandon(connection, asClient: false, reason: .malformedRequest)
  }

  // MARK: - Lists

  func addLink(
    _ index: Int32,
    to session: Int32,
    _ entry: UnsafeMutablePointer<Session>
  ) {
    let link = links + Int(index)
    link.initialize(to: StreamLink(session: session, receiver: -1))
    link.pointee.next = entry.pointee.firstLink
    if entry.pointee.firstLink >= 0 { links[Int(entry.pointee.firstLink)].previous = index }
    entry.pointee.firstLink = index
    entry.pointee.streams += 1
    streamCount += 1
    if entry.pointee.flags.contains(.isUpstream) { serviceStreamBegan(session) }
  }

  func removeLink(_ index: Int32) {
    let link = links + Int(index)
    let session = sessions[link.pointee.session]
    dropOutgoing(link)
    if link.pointee.flags.contains(.isReady) { unlistReady(index, session) }
    if link.pointee.previous >= 0 {
      links[Int(link.pointee.previous)].next = link.pointee.next
    } else {
      session.pointee.firstLink = link.pointee.next
    }
    if link.pointee.next >= 0 {
      links[Int(link.pointee.next)].previous = link.pointee.previous
    }
    session.pointee.streams -= 1
    streamCount -= 1
    if session.pointee.flags.contains(.isUpstream) { serviceStreamEnded(link.pointee.session) }
    if session.pointee.streams == 0 {
      session.pointee.idleSince = reactor.now
      makeDirty(link.pointee.session, session)
    }
  }

  /// The list is short: it is emptied each turn.
  private func unlistReady(_ index: Int32, _ session: UnsafeMutablePointer<Session>) {
    let next = links[Int(index)].nextReady
    guard session.pointee.firstReady != index else {
      session.pointee.firstReady = next
      return
    }
    var at = session.pointee.firstReady
    while at >= 0 {
      let link = links + Int(at)
      if link.pointee.nextReady == index {
        link.pointee.nextReady = next
        return
      }
      at = link.pointee.nextReady
    }
  }
}
