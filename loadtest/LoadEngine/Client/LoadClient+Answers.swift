internal import HTTPCodec
internal import LoadKit
internal import Reactor
internal import Units

/// Answers, which may be anything.
extension LoadClient {
  /// Interim answers to one request.
  private static let maximumInterims: UInt8 = 16

  /// Bytes of a socket.
  func received(_ index: Int32, block: Int32, count: Int) {
    figures.bytesReceived += UInt64(count)
    guard connections[index].pointee.tls == nil else {
      return decrypt(index, block: block, count: count)
    }
    plainReceived(index, block: block, count: count)
  }

  /// Bytes of what is spoken on it.
  func plainReceived(_ index: Int32, block: Int32, count: Int) {
    let connection = connections[index]
    guard connection.pointee.http2 == nil else {
      return sessionReceived(index, block: block, count: count)
    }
    let pool = reactor.pool
    guard connection.pointee.state != .idle, connection.pointee.call >= 0 else {
      // Nobody asked: whatever it is would be taken for the next answer.
      pool.release(block)
      figures.unsolicited += 1
      return closeConnection(index)
    }
    connection.pointee.hasAnswer = true
    guard connection.pointee.block >= 0 else {
      let used = feed(index, pool.bytes(block), count: count)
      if used >= 0, used < count {
        connection.pointee.block = block
        connection.pointee.start = Int32(used)
        connection.pointee.end = Int32(count)
      } else {
        pool.release(block)
      }
      return
    }
    // The rest of a section that is not whole: join it in the block that holds its beginning.
    let held = pool.bytes(connection.pointee.block)
    let kept = Int(connection.pointee.end - connection.pointee.start)
    if connection.pointee.start > 0 {
      held.update(from: held + Int(connection.pointee.start), count: kept)
    }
    let taken = min(BlockPool.blockSize - kept, count)
    (held + kept).update(from: pool.bytes(block), count: taken)
    connection.pointee.start = 0
    connection.pointee.end = Int32(kept + taken)
    let used = feed(index, held, count: kept + taken)
    guard used >= 0 else { return pool.release(block) }
    if used < kept + taken {
      connection.pointee.start = Int32(used)
      // A section that fills a block is refused, so there was room for all.
      return pool.release(block)
    }
    pool.release(connection.pointee.block)
    connection.pointee.block = -1
    guard taken < count else { return pool.release(block) }
    let rest = pool.bytes(block)
    rest.update(from: rest + taken, count: count - taken)
    plainReceived(index, block: block, count: count - taken)
  }

  /// Reads bytes of an answer.
  ///
  /// - Returns: How many were used; fewer than all are the beginning of a section. -1 when the
  ///   connection is another's or gone.
  private func feed(_ index: Int32, _ bytes: UnsafeMutablePointer<UInt8>, count: Int) -> Int {
    let connection = connections[index]
    var offset = 0
    while offset < count {
      switch connection.pointee.state {
      case .head:
        let used = readHead(index, bytes + offset, count: count - offset)
        guard used > 0 else { return used < 0 ? -1 : offset }
        offset += used
        // What has no body ends with its head.
        if connection.pointee.state == .body, connection.pointee.bodyLeft == 0 {
          completed(index, isClean: offset == count)
          return -1
        }
      case .body:
        let taken = Int(min(Int64(count - offset), connection.pointee.bodyLeft))
        look(index, bytes + offset, count: taken)
        offset += taken
        connection.pointee.bodyLeft -= Int64(taken)
        if connection.pointee.bodyLeft == 0 {
          completed(index, isClean: offset == count)
          return -1
        }
        pauseIfSlow(connection, taken)
      case .chunks:
        let step = connection.pointee.decoder.next(bytes, count: count, offset: &offset)
        switch step {
        case .data(let start, let length):
          look(index, bytes + start, count: length)
          pauseIfSlow(connection, length)
        case .needMore: return count
        case .trailersBegin: connection.pointee.state = .trailers
        case .refused(let fault):
          malformed(index, fault)
          return -1
        }
      case .trailers:
        var section = TrailerSection()
        let outcome = TrailerParser.parse(
          bytes + offset,
          count: count - offset,
          limits: Self.limits,
          fields: fields,
          into: &section
        )
        switch outcome {
        case .incomplete: return offset
        case .refused(let fault):
          malformed(index, fault)
          return -1
        case .complete:
          offset += Int(section.length)
          completed(index, isClean: offset == count)
          return -1
        }
      case .untilClose:
        look(index, bytes + offset, count: count - offset)
        pauseIfSlow(connection, count - offset)
        return count
      case .connecting, .handshaking, .session, .idle: return -1
      }
    }
    return offset
  }

  /// The bytes of a head: more than 0 when it is whole, 0 when it is not, -1 when it was refused.
  private func readHead(
    _ index: Int32,
    _ bytes: UnsafeMutablePointer<UInt8>,
    count: Int
  ) -> Int {
    let connection = connections[index]
    var head = ResponseHead()
    let method = methods[Int(calls[connection.pointee.call].pointee.kind)]
    let outcome = ResponseParser.parse(
      bytes,
      count: count,
      request: method,
      limits: Self.limits,
      fields: fields,
      into: &head
    )
    switch outcome {
    case .incomplete: return 0
    case .refused(let fault):
      malformed(index, fault)
      return -1
    case .complete: break
    }
    if head.isInterim {
      connection.pointee.interims += 1
      guard connection.pointee.interims <= Self.maximumInterims else {
        breakOff(index, .tooManyInterim)
        return -1
      }
      return Int(head.headLength)
    }
    guard !head.isUpgrade else {
      // Nobody asked for another protocol.
      breakOff(index, .malformed)
      return -1
    }
    connection.pointee.status = head.status
    connection.pointee.keepsAlive = head.keepsAlive
    switch head.framing {
    case .none:
      connection.pointee.state = .body
      connection.pointee.bodyLeft = 0
    case .length:
      connection.pointee.state = .body
      connection.pointee.bodyLeft = head.contentLength
    case .chunked:
      connection.pointee.state = .chunks
      connection.pointee.decoder = ChunkedDecoder(maximumExtensionBytes: 4_096)
    case .untilClose: connection.pointee.state = .untilClose
    }
    return Int(head.headLength)
  }

  /// Looks for a reason in a piece of a refusal's body.
  private func look(_ index: Int32, _ bytes: UnsafeMutablePointer<UInt8>, count: Int) {
    let connection = connections[index]
    guard connection.pointee.status >= 400, connection.pointee.reason < 0 else { return }
    connection.pointee.reason = explain(
      connection.pointee.call,
      connection.pointee.status,
      UnsafeBufferPointer(start: bytes, count: count)
    )
  }

  /// The place of the reason that a refusal or failure gives in its body.
  ///
  /// - Parameters:
  ///   - call: Whose answer it is.
  ///   - status: Its status, 400 or more.
  ///   - piece: What came of the body now.
  /// - Returns: A place of the account, or -1 while there is no reason in what came.
  func explain(_ call: Int32, _ status: UInt16, _ piece: UnsafeBufferPointer<UInt8>) -> Int16 {
    explanations.find(in: piece, of: call) { word in
      Int16(account.place(of: Self.outcome(of: status), word: word))
    } ?? -1
  }

  private func pauseIfSlow(_ connection: UnsafeMutablePointer<ClientConnection>, _ count: Int) {
    let call = connection.pointee.call
    guard kinds[Int(calls[call].pointee.kind)].pace?.pause ?? .zero > .zero else { return }
    pauseReading(call, count)
  }

  private func malformed(_ index: Int32, _ fault: ParseFault) {
    guard fault != .headTooLarge else { return breakOff(index, .headTooLarge) }
    breakConnection(index, word("malformed: \(fault.reason)"))
  }

  private static func outcome(of status: UInt16) -> Outcome {
    status == 503 || status == 429 ? .shed : .failed
  }

  /// A whole answer is there.
  ///
  /// `isClean`: Whether nothing came behind it, so that the connection can be used again.
  func completed(_ index: Int32, isClean: Bool) {
    let connection = connections[index]
    let call = connection.pointee.call
    let status = connection.pointee.status
    let (reason, cause) = judge(call, status: status, reason: Int(connection.pointee.reason))
    // What was not sent yet would be taken for the next request.
    let isSent = calls[call].pointee.sent >= Int64(prepared[Int(calls[call].pointee.kind)].length)
    if calls[call].pointee.isReadPaused { reactor.resume(connection.pointee.socket) }
    if connection.pointee.block >= 0 {
      reactor.pool.release(connection.pointee.block)
      connection.pointee.block = -1
    }
    if isClean, isSent, connection.pointee.keepsAlive {
      free(index)
      finishAttempt(call, reason: reason, cause: cause)
    } else {
      if !isClean, connection.pointee.state != .untilClose { figures.unsolicited += 1 }
      closeConnection(index)
      finishAttempt(call, reason: reason, cause: cause)
      serveWaiting()
    }
  }

  /// What an answer means to its caller.
  ///
  /// `reason`: What the answer gave, as a place of the account, or -1.
  func judge(
    _ call: Int32,
    status: UInt16,
    reason: Int
  ) -> (reason: Int, cause: RetryBehaviour.Cause?) {
    // Looked up field by field: a copy of the kind would retain its texts.
    let kind = Int(calls[call].pointee.kind)
    if status >= 400 {
      let outcome = Self.outcome(of: status)
      let place = reason >= 0 ? reason : account.place(of: outcome, status: status)
      return (place, outcome == .shed ? .shed : .failed)
    }
    let grpcStatus = calls[call].pointee.grpcStatus
    if kinds[kind].isGRPC, grpcStatus != GRPCStatus.ok {
      let outcome = GRPCStatus.outcome(grpcStatus)
      var name = GRPCStatus.name(grpcStatus)
      let place = name.withUTF8 { account.place(of: outcome, word: $0) }
      return (place, outcome == .shed ? .shed : .failed)
    }
    let latency = now() - calls[call].pointee.intended
    return (latency <= kinds[kind].deadline ? ReasonTable.good : ReasonTable.late, nil)
  }
}
