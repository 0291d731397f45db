internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import Units

/// HTTP/2 by prior knowledge (RFC 9113 section 3.3): each request is an entry of its own, as a
/// connection of HTTP/1.1 is.
extension Backend {
  /// Unsent bytes of a session beyond which it is not asked for more.
  private static let highWatermark = 262_144
  private static let lowWatermark = 65_536
  private static let prefaceBytes: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
  /// Callers that give up reset streams, as many as they like; nothing else is theirs to overdo.
  private static let settings: H2Settings = {
    let often = AbuseLimit(burst: 1_000_000, perSecond: 1_000_000)
    var abuse = AbuseSettings()
    abuse.resets = often
    abuse.tinyFrames = often
    abuse.windowUpdates = often
    return H2Settings(
      maximumStreams: 1_000,
      streamWindow: 1 << 20,
      connectionWindow: 1 << 24,
      abuse: abuse
    )
  }()

  enum Preface { case no, perhaps, yes }

  /// Whether a connection's first bytes are HTTP/2's.
  func preface(_ index: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) -> Preface {
    let connection = connections[index]
    guard !connection.pointee.hasBegun, !connection.pointee.isControl else { return .no }
    let length = Self.prefaceBytes.utf8CodeUnitCount
    let there = min(count, length)
    let start = Self.prefaceBytes.utf8Start
    for place in 0..<there where bytes[place] != start[place] { return .no }
    return there == length ? .yes : .perhaps
  }

  /// Turns a connection into a session; its block holds the beginning.
  func openSession(_ index: Int32) {
    let connection = connections[index]
    guard
      let http2 = H2Session(isServer: true, settings: Self.settings, workspace: workspace)
    else { return close(index, reset: true) }
    connection.pointee.http2 = Unmanaged.passRetained(http2)
    connection.pointee.state = .session
    let block = connection.pointee.block
    let start = Int(connection.pointee.start)
    let count = Int(connection.pointee.end) - start
    connection.pointee.block = -1
    sessionReceived(index, block: block, start: start, count: count)
  }

  func markDirty(_ index: Int32) {
    let connection = connections[index]
    guard !connection.pointee.isDirty else { return }
    connection.pointee.isDirty = true
    connection.pointee.nextDirty = firstDirty
    firstDirty = index
  }

  func sessionReceived(_ index: Int32, block: Int32, start: Int, count: Int) {
    defer { reactor.pool.release(block) }
    guard let http2 = connections[index].pointee.http2?.takeUnretainedValue() else { return }
    let bytes = UnsafePointer(reactor.pool.bytes(block)) + start
    var offset = 0
    repeat {
      offset += http2.receive(bytes + offset, count: count - offset, at: reactor.now)
      while let event = http2.nextEvent() { take(event, of: index, http2) }
      takeClosed(index, http2)
    } while offset < count || http2.isPaused
    markDirty(index)
  }

  private func take(_ event: H2Event, of index: Int32, _ http2: H2Session) {
    switch event.kind {
    case .request: begin(event, of: index, http2)
    case .oversizedRequest:
      counters.malformed += 1
      http2.reset(event.stream, .cancel)
    case .data, .trailers:
      if event.kind == .data { http2.consume(event.stream, Int(event.count)) }
      // Not the token: an event of the same reading as its request was made before there was one.
      let child = childOfStream[Int(event.stream)]
      guard child >= 0 else { return }
      guard event.isLast || event.kind == .trailers,
        connections[child].pointee.state == .body
      else { return }
      submit(child)
    case .malformed: counters.malformed += 1
    case .response, .interim, .settings, .goAway, .pong: break
    }
  }

  private func begin(_ event: H2Event, of index: Int32, _ http2: H2Session) {
    let head = workspace.request(event)
    let child = connections.allocate()
    guard child >= 0 else { return http2.reset(event.stream, .refusedStream) }
    connections[child].initialize(to: BackendConnection())
    let entry = connections[child]
    entry.pointee.session = index
    entry.pointee.stream = event.stream
    entry.pointee.isHead = head.head.method == .head
    entry.pointee.route = findRoute(
      UnsafeBufferPointer(
        start: head.bytes + Int(head.head.pathStart),
        count: Int(head.head.pathLength)
      )
    )
    entry.pointee.isGRPC = Self.isGRPC(head)
    entry.pointee.state = .body
    let parent = connections[index]
    entry.pointee.nextChild = parent.pointee.firstChild
    if parent.pointee.firstChild >= 0 {
      connections[parent.pointee.firstChild].pointee.previousChild = child
    }
    parent.pointee.firstChild = child
    http2.setToken(child, of: event.stream)
    childOfStream[Int(event.stream)] = child
    if event.isLast { submit(child) }
  }

  private static let grpcType: StaticString = "application/grpc"

  private static func isGRPC(_ head: H2RequestHead) -> Bool {
    for place in 0..<Int(head.head.fieldCount) where head.fields[place].known == .contentType {
      let field = head.fields[place]
      let length = grpcType.utf8CodeUnitCount
      guard Int(field.valueLength) >= length else { return false }
      let value = UnsafeBufferPointer(start: head.bytes + Int(field.valueStart), count: length)
      return value.elementsEqual(UnsafeBufferPointer(start: grpcType.utf8Start, count: length))
    }
    return false
  }

  /// Takes a request off its session.
  private func detach(_ child: Int32) {
    let entry = connections[child]
    guard entry.pointee.session >= 0 else { return }
    if entry.pointee.previousChild >= 0 {
      connections[entry.pointee.previousChild].pointee.nextChild = entry.pointee.nextChild
    } else {
      connections[entry.pointee.session].pointee.firstChild = entry.pointee.nextChild
    }
    if entry.pointee.nextChild >= 0 {
      connections[entry.pointee.nextChild].pointee.previousChild = entry.pointee.previousChild
    }
    childOfStream[Int(entry.pointee.stream)] = -1
    entry.pointee.session = -1
    entry.pointee.stream = -1
  }

  /// Streams that are gone: answered, or left by their client.
  private func takeClosed(_ index: Int32, _ http2: H2Session) {
    while let closed = http2.nextClosed() {
      let child = closed.token
      guard child >= 0, connections[child].pointee.stream == closed.stream,
        connections[child].pointee.session == index
      else { continue }
      detach(child)
      clientLeft(child)
    }
  }

  /// Ends a request's stream without an answer.
  func resetStream(_ child: Int32) {
    let entry = connections[child]
    let parent = entry.pointee.session
    if let http2 = connections[parent].pointee.http2?.takeUnretainedValue() {
      http2.setToken(-1, of: entry.pointee.stream)
      http2.reset(entry.pointee.stream, .internalError)
      markDirty(parent)
    }
    detach(child)
  }

  /// Lets all requests of a session go as ones that their client left.
  ///
  /// `each`: Hears the state of each one before.
  func endChildren(of index: Int32, _ each: (BackendConnection.State) -> Void) {
    while connections[index].pointee.firstChild >= 0 {
      let child = connections[index].pointee.firstChild
      each(connections[child].pointee.state)
      detach(child)
      guard isAlive else {
        // The model forgot its work already.
        close(child, reset: true)
        continue
      }
      clientLeft(child)
    }
  }
}

/// Answers on streams.
extension Backend {
  func respond(_ child: Int32, _ kind: BackendAnswers.Kind) {
    let entry = connections[child]
    let parent = entry.pointee.session
    guard let http2 = connections[parent].pointee.http2?.takeUnretainedValue() else { return }
    entry.pointee.answer = kind
    if kind != .slow { entry.pointee.state = .closing }
    let body = self.body(entry)
    let hasBody = body.count > 0 && !entry.pointee.isHead
    var list = H2FieldList(workspace)
    list.add("server", "loadtest-backend")
    var status = 200
    if entry.pointee.isGRPC {
      list.add("content-type", "application/grpc")
      // Without a message the status stands in the head; with one, in trailers.
      if kind == .failed { list.add("grpc-status", "13") }
      if kind == .refused { list.add("grpc-status", "14") }
    } else {
      list.add("content-type", "text/plain")
      status = kind == .refused ? 503 : kind == .failed ? 500 : 200
    }
    _ = http2.respond(entry.pointee.stream, status: status, fields: list, endsStream: !hasBody)
    if hasBody { offerAnswer(child) }
    markDirty(parent)
  }

  private func body(_ entry: UnsafeMutablePointer<BackendConnection>) -> RepeatedBody {
    answers.body(
      entry.pointee.answer,
      route: Int(entry.pointee.route),
      isGRPC: entry.pointee.isGRPC
    )
  }

  /// Offers what is due of an answer's body.
  func offerAnswer(_ child: Int32) {
    let entry = connections[child]
    guard let http2 = connections[entry.pointee.session].pointee.http2?.takeUnretainedValue()
    else { return }
    let body = self.body(entry)
    let offset = Int(entry.pointee.sent)
    let due =
      entry.pointee.answer == .slow ? body.count - Int(entry.pointee.piecesLeft) : body.count
    guard offset < due else { return }
    let piece = body.piece(at: offset)
    let count = min(piece.count, due - offset)
    let isLast = offset + count == body.count
    let end: H2Session.Offer = entry.pointee.isGRPC ? .beforeTrailers : .last
    http2.offer(entry.pointee.stream, piece.baseAddress, count: count, isLast ? end : .more)
    markDirty(entry.pointee.session)
  }

  private func report(_ http2: H2Session) {
    while true {
      let stream = http2.nextProgress()
      guard stream >= 0 else { return }
      let sent = http2.takeSent(stream)
      let child = childOfStream[Int(stream)]
      guard child >= 0 else { continue }
      connections[child].pointee.sent += Int64(sent)
      offerAnswer(child)
      guard http2.awaitsTrailers(stream) else { continue }
      var list = H2FieldList(workspace)
      list.add("grpc-status", "0")
      _ = http2.finish(stream, trailers: list)
    }
  }

  /// Lets sessions say what they have to say, once a turn.
  func flushSessions() {
    while firstDirty >= 0 {
      let index = firstDirty
      let connection = connections[index]
      firstDirty = connection.pointee.nextDirty
      connection.pointee.isDirty = false
      guard connections.generation(index) & 1 == 1,
        let http2 = connection.pointee.http2?.takeUnretainedValue()
      else { continue }
      flush(index, http2)
    }
  }

  private func flush(_ index: Int32, _ http2: H2Session) {
    let socket = connections[index].pointee.socket
    while http2.wantsWrite {
      guard reactor.queuedBytes(socket) <= Self.highWatermark else {
        reactor.notifyWhenDrained(socket, below: Self.lowWatermark)
        break
      }
      let count = http2.send(into: sessionScratch, capacity: BlockPool.blockSize)
      guard count > 0 else { break }
      if !reactor.append(socket, sessionScratch, count: count) {
        let block = reactor.pool.acquire()
        guard block >= 0 else { return clientLeft(index) }
        reactor.pool.bytes(block).update(from: sessionScratch, count: count)
        guard reactor.write(socket, block: block, start: 0, count: count) else {
          return clientLeft(index)
        }
      }
      report(http2)
      takeClosed(index, http2)
    }
    report(http2)
    takeClosed(index, http2)
    if http2.failure != nil { counters.malformed += 1 }
    if http2.failure != nil || http2.isFinished { clientLeft(index) }
  }
}
