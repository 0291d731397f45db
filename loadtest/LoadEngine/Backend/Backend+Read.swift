internal import HTTPCodec
internal import Reactor
internal import Units

/// Requests on their way in.
extension Backend {
  /// Blocks that a client may send ahead of its answers, beyond the pause that follows the first:
  /// what one vectored read may have taken already.
  private static let maximumPending: Int32 = 8

  func received(_ index: Int32, block: Int32, count: Int) {
    let connection = connections[index]
    guard connection.pointee.http2 == nil else {
      return sessionReceived(index, block: block, start: 0, count: count)
    }
    guard connection.pointee.block >= 0 else {
      connection.pointee.block = block
      connection.pointee.start = 0
      connection.pointee.end = Int32(count)
      return read(index)
    }
    switch connection.pointee.state {
    case .head, .body, .chunks, .trailers: join(index, block: block, count: count)
    case .inside, .hanging, .dribbling: hold(index, block: block, count: count)
    case .closing, .gone, .session: reactor.pool.release(block)
    }
  }

  /// Keeps a block for later, and asks for no more.
  private func hold(_ index: Int32, block: Int32, count: Int) {
    let connection = connections[index]
    let place = connection.pointee.pendingCount < Self.maximumPending ? pending.allocate() : -1
    guard place >= 0 else {
      reactor.pool.release(block)
      return clientLeft(index)
    }
    pending[place].initialize(to: PendingBlock(block: block, count: Int32(count), next: -1))
    if connection.pointee.lastPending >= 0 {
      pending[connection.pointee.lastPending].pointee.next = place
    } else {
      connection.pointee.firstPending = place
    }
    connection.pointee.lastPending = place
    connection.pointee.pendingCount += 1
    guard !connection.pointee.isPaused else { return }
    connection.pointee.isPaused = true
    reactor.pause(connection.pointee.socket)
  }

  func takePending(_ connection: UnsafeMutablePointer<BackendConnection>) -> PendingBlock? {
    let place = connection.pointee.firstPending
    guard place >= 0 else { return nil }
    let entry = pending[place].pointee
    pending.release(place)
    connection.pointee.firstPending = entry.next
    if entry.next < 0 { connection.pointee.lastPending = -1 }
    connection.pointee.pendingCount -= 1
    return entry
  }

  /// Reads what was held, as far as the state allows, and then asks for more.
  func readPending(_ index: Int32) {
    let connection = connections[index]
    let generation = connections.generation(index)
    while connections.generation(index) == generation {
      switch connection.pointee.state {
      case .head, .body, .chunks, .trailers: break
      case .inside, .hanging, .dribbling, .closing, .gone, .session: return
      }
      guard let next = takePending(connection) else {
        guard connection.pointee.isPaused else { return }
        connection.pointee.isPaused = false
        return reactor.resume(connection.pointee.socket)
      }
      received(index, block: next.block, count: Int(next.count))
    }
  }

  /// Puts bytes behind those of a head or trailer section that is not whole yet.
  private func join(_ index: Int32, block: Int32, count: Int) {
    let connection = connections[index]
    let pool = reactor.pool
    let held = pool.bytes(connection.pointee.block)
    let kept = Int(connection.pointee.end - connection.pointee.start)
    if connection.pointee.start > 0 {
      held.update(from: held + Int(connection.pointee.start), count: kept)
      connection.pointee.start = 0
    }
    let taken = min(BlockPool.blockSize - kept, count)
    (held + kept).update(from: pool.bytes(block), count: taken)
    connection.pointee.end = Int32(kept + taken)
    let generation = connections.generation(index)
    read(index)
    guard taken < count, connections.generation(index) == generation else {
      return pool.release(block)
    }
    // The parsers refuse a section that fills a block, so something was read.
    (pool.bytes(block)).update(from: pool.bytes(block) + taken, count: count - taken)
    received(index, block: block, count: count - taken)
  }

  /// Reads as far as the bytes and the state allow.
  func read(_ index: Int32) {
    let connection = connections[index]
    while connection.pointee.block >= 0 {
      guard connection.pointee.end > connection.pointee.start else { return dropBlock(connection) }
      let isDone: Bool
      switch connection.pointee.state {
      case .head: isDone = !readHead(index, connection)
      case .body: isDone = !readBody(index, connection)
      case .chunks: isDone = !readChunks(index, connection)
      case .trailers: isDone = !readTrailers(index, connection)
      // The client is heard all the same, so that its end is seen.
      case .inside, .hanging, .dribbling: return
      case .closing, .gone, .session: return dropBlock(connection)
      }
      if isDone { return }
    }
  }

  private func dropBlock(_ connection: UnsafeMutablePointer<BackendConnection>) {
    reactor.pool.release(connection.pointee.block)
    connection.pointee.block = -1
  }

  /// Each returns whether to go on with the same connection.
  private func readHead(
    _ index: Int32,
    _ connection: UnsafeMutablePointer<BackendConnection>
  ) -> Bool {
    let bytes = reactor.pool.bytes(connection.pointee.block) + Int(connection.pointee.start)
    let count = Int(connection.pointee.end - connection.pointee.start)
    switch preface(index, bytes, count: count) {
    case .no: break
    case .perhaps: return false
    case .yes:
      openSession(index)
      return false
    }
    var head = RequestHead()
    let outcome = RequestParser.parse(
      bytes,
      count: count,
      limits: Self.limits,
      fields: fields,
      into: &head
    )
    switch outcome {
    case .incomplete: return false
    case .refused:
      malformed(index)
      return false
    case .complete: break
    }
    connection.pointee.keepsAlive = head.keepsAlive
    connection.pointee.isHead = head.method == .head
    connection.pointee.isPost = head.method == .post
    connection.pointee.start += Int32(head.headLength)
    if connection.pointee.isControl {
      // Control requests have no bodies worth reading; the connection ends with the answer.
      connection.pointee.keepsAlive = false
      let target = UnsafeBufferPointer(
        start: bytes + Int(head.targetStart),
        count: Int(head.targetLength)
      )
      control(index, target: String(decoding: target, as: UTF8.self))
      return false
    }
    connection.pointee.hasBegun = true
    connection.pointee.route = findRoute(
      UnsafeBufferPointer(start: bytes + Int(head.pathStart), count: Int(head.pathLength))
    )
    if head.isChunked {
      connection.pointee.decoder = ChunkedDecoder(maximumExtensionBytes: 4_096)
      connection.pointee.state = .chunks
    } else if head.contentLength > 0 {
      connection.pointee.bodyLeft = head.contentLength
      connection.pointee.state = .body
    } else {
      submit(index)
      return true
    }
    if head.expectsContinue { _ = answers.goOn.write(to: connection.pointee.socket, reactor) }
    return true
  }

  func findRoute(_ path: UnsafeBufferPointer<UInt8>) -> Int32 {
    for (place, prefix) in answers.prefixes.enumerated() where path.starts(with: prefix) {
      return Int32(place)
    }
    return -1
  }

  private func readBody(
    _ index: Int32,
    _ connection: UnsafeMutablePointer<BackendConnection>
  ) -> Bool {
    let count = Int64(connection.pointee.end - connection.pointee.start)
    let taken = min(count, connection.pointee.bodyLeft)
    connection.pointee.start += Int32(taken)
    connection.pointee.bodyLeft -= taken
    if connection.pointee.bodyLeft == 0 { submit(index) }
    return true
  }

  private func readChunks(
    _ index: Int32,
    _ connection: UnsafeMutablePointer<BackendConnection>
  ) -> Bool {
    let bytes = reactor.pool.bytes(connection.pointee.block)
    var offset = Int(connection.pointee.start)
    while true {
      let step = connection.pointee.decoder.next(
        bytes,
        count: Int(connection.pointee.end),
        offset: &offset
      )
      connection.pointee.start = Int32(offset)
      switch step {
      case .data: continue
      case .needMore: return true
      case .trailersBegin:
        connection.pointee.state = .trailers
        return true
      case .refused:
        malformed(index)
        return false
      }
    }
  }

  private func readTrailers(
    _ index: Int32,
    _ connection: UnsafeMutablePointer<BackendConnection>
  ) -> Bool {
    var section = TrailerSection()
    let outcome = TrailerParser.parse(
      reactor.pool.bytes(connection.pointee.block) + Int(connection.pointee.start),
      count: Int(connection.pointee.end - connection.pointee.start),
      limits: Self.limits,
      fields: fields,
      into: &section
    )
    switch outcome {
    case .incomplete: return false
    case .refused:
      malformed(index)
      return false
    case .complete:
      connection.pointee.start += Int32(section.length)
      submit(index)
      return true
    }
  }

  private func malformed(_ index: Int32) {
    counters.malformed += 1
    close(index, reset: true)
  }
}
