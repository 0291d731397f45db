internal import LoadKit
internal import Reactor
internal import Units

/// Answers on their way out.
extension Backend {
  func answer(_ index: Int32, _ kind: BackendAnswers.Kind) {
    let connection = connections[index]
    guard connection.pointee.session < 0 else { return respond(index, kind) }
    let answer = answers.find(
      kind,
      route: Int(connection.pointee.route),
      keepsAlive: connection.pointee.keepsAlive
    )
    let isWritten = answer.write(
      to: connection.pointee.socket,
      reactor,
      headOnly: connection.pointee.isHead
    )
    isWritten ? answered(index) : close(index, reset: true)
  }

  /// Sends bytes that were made for this answer.
  func answer(_ index: Int32, bytes: [UInt8]) {
    let socket = connections[index].pointee.socket
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(BlockPool.blockSize)
      rest = rest.dropFirst(part.count)
      let block = reactor.pool.acquire()
      guard block >= 0 else { return close(index, reset: true) }
      part.withUnsafeBufferPointer { part in
        if let base = part.baseAddress {
          reactor.pool.bytes(block).update(from: base, count: part.count)
        }
      }
      guard reactor.write(socket, block: block, start: 0, count: part.count) else {
        return close(index, reset: true)
      }
    }
    answered(index)
  }

  /// The next request, or the end.
  private func answered(_ index: Int32) {
    let connection = connections[index]
    guard connection.pointee.keepsAlive else {
      connection.pointee.state = .closing
      reactor.finishWriting(connection.pointee.socket)
      reactor.notifyWhenDrained(connection.pointee.socket, below: 0)
      return
    }
    connection.pointee.state = .head
    if connection.pointee.block >= 0 { read(index) }
    readPending(index)
  }

  // MARK: - Slow bodies

  func beginPieces(_ index: Int32) {
    let connection = connections[index]
    let owner = Owner(
      kind: OwnerKind.connection,
      index: index,
      generation: connections.generation(index)
    )
    connection.pointee.timer = reactor.timers.allocate(for: owner)
    guard connection.pointee.session < 0 else {
      guard connection.pointee.timer >= 0 else { return close(index, reset: true) }
      connection.pointee.state = .dribbling
      connection.pointee.piecesLeft = BackendAnswers.pieces
      respond(index, .slow)
      return armPiece(connection)
    }
    guard connection.pointee.timer >= 0,
      answers.slowHead.write(to: connection.pointee.socket, reactor)
    else { return close(index, reset: true) }
    connection.pointee.keepsAlive = false
    connection.pointee.state = .dribbling
    connection.pointee.piecesLeft = BackendAnswers.pieces
    armPiece(connection)
  }

  func sendPiece(_ index: Int32) {
    let connection = connections[index]
    guard connection.pointee.state == .dribbling else { return }
    guard connection.pointee.session < 0 else {
      connection.pointee.piecesLeft -= 1
      offerAnswer(index)
      if connection.pointee.piecesLeft > 0 { armPiece(connection) }
      return
    }
    guard answers.slowPiece.write(to: connection.pointee.socket, reactor) else {
      return close(index, reset: true)
    }
    connection.pointee.piecesLeft -= 1
    connection.pointee.piecesLeft > 0 ? armPiece(connection) : answered(index)
  }

  private func armPiece(_ connection: UnsafeMutablePointer<BackendConnection>) {
    let step = faults.slowBodyTime.rawValue / Int64(BackendAnswers.pieces)
    reactor.timers.set(connection.pointee.timer, at: reactor.now + Nanoseconds(step))
  }
}
