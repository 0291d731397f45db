internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Units

/// Replies of the edge itself: refusals, routes that answer, and failures of the service.
extension Worker {
  /// Room for a reply's fields around its prepared parts.
  private static let replyRoom = 512

  /// Answers a request whose head lies at the front of the input and that has no exchange.
  ///
  /// `priority`: The request's class where that is known, else it is the route's.
  /// `retryAfter`: When it is worth trying again, for refusals by admission.
  func answer(
    _ index: Int32,
    _ view: RequestView,
    _ reason: ReplyReason,
    route: Int32,
    priority: Int = -1,
    retryAfter: Nanoseconds = .zero
  ) {
    let className =
      priority >= 0
      ? priority : route >= 0 ? Int(snapshots.newest.route(route).pointee.classPlace) : -1
    let isCall = MediaType.isGRPC(view.bytes, view.fields, Int(view.head.fieldCount))
    let reply =
      isCall && !view.asksForTunnel
      ? snapshots.newest.replies.call(reason)
      : snapshots.newest.replies.problem(reason, className: className)
    meter.replied(reason)
    finish(index, view, reply, reason, route, priority: priority, retryAfter: retryAfter)
  }

  /// A route that answers by itself.
  ///
  /// `fallback`: Why it stands in for another one.
  func answerRoute(
    _ index: Int32,
    _ view: RequestView,
    _ route: Int32,
    fallback: ReplyReason? = nil
  ) {
    let compiled = snapshots.newest.route(route)
    let reply = snapshots.newest.replies.answer(compiled.pointee.answer)
    // Every 2xx would say that the tunnel stands (RFC 8441 section 5).
    if view.asksForTunnel, (200..<300).contains(reply.status) {
      return answer(index, view, .methodNotImplemented, route: route)
    }
    if let fallback { meter.fellBack(compiled, fallback) }
    finish(index, view, reply, nil, route, fallback: fallback)
  }

  private func finish(
    _ index: Int32,
    _ view: RequestView,
    _ reply: PreparedReplies.Reply,
    _ reason: ReplyReason?,
    _ route: Int32,
    priority: Int = -1,
    retryAfter: Nanoseconds = .zero,
    fallback: ReplyReason? = nil
  ) {
    let connection = connections[index]
    var body = view.body
    // A client that waits for 100 will not send the body: nothing to drop, but no next request
    // can be told from a body that comes all the same, so the connection ends.
    let isDroppable = canDiscard(body) && !view.head.expectsContinue
    let keepsAlive =
      view.head.keepsAlive && isDroppable && !shouldRetire(index)
      && reason != .methodNotImplemented
    let isSent = send(
      connection,
      reply,
      replies: snapshots.newest.replies,
      identifier: (view.identifier, view.identifierLength),
      isHead: view.head.method == .head,
      isOld: view.head.minorVersion == 0,
      keepsAlive: keepsAlive,
      listsAllowed: reason == .methodNotAllowed,
      retryAfter: retryAfter
    )
    let length = view.head.method == .head ? 0 : reply.bodyLength(view.identifierLength)
    accountReply(
      index,
      view,
      reply.status,
      reason,
      route,
      priority: priority,
      fallback: fallback,
      bytesOut: length
    )
    guard isSent else { return closeConnection(index, reset: true) }
    if !view.isHTTP2 { consume(&connection.pointee.input, Int(view.head.headLength)) }
    if body.framing == .chunked, keepsAlive { body.state = .complete }
    settle(index, body, keepsAlive: keepsAlive)
  }

  /// Ends an exchange that has no response yet with a reply of our own.
  ///
  /// `retryAfter`: When it is worth trying again, for refusals by admission.
  func fail(_ index: Int32, _ reason: ReplyReason, retryAfter: Nanoseconds = .zero) {
    let exchange = exchanges[index]
    if exchange.pointee.flags.contains(.isHedged) { return loseLeg(index, reason) }
    if reason.fallbackPlace != nil, fallsBack(index, reason) { return }
    if exchange.pointee.flags.contains(.mayRetry), retriesFailure(index, reason) { return }
    noteFailure(exchange, reason)
    if exchange.pointee.health.isWatched { judgeFailure(exchange, reason) }
    meter.replied(reason)
    let snapshot = snapshots[exchange.pointee.snapshot]
    let className = Int(exchange.pointee.admission.priority)
    let reply =
      isCall(exchange)
      ? snapshot.replies.call(reason) : snapshot.replies.problem(reason, className: className)
    end(index, with: reply, reason, retryAfter: retryAfter)
  }

  /// Ends an exchange that has no response yet with a prepared reply.
  ///
  /// `reason`: Why, or `nil` for what a route answers by itself.
  func end(
    _ index: Int32,
    with reply: PreparedReplies.Reply,
    _ reason: ReplyReason?,
    retryAfter: Nanoseconds = .zero
  ) {
    let exchange = exchanges[index]
    let connection = exchange.pointee.connection
    let entry = connections[connection]
    let snapshot = snapshots[exchange.pointee.snapshot]
    releaseUpstream(index, reusable: false)
    let body = exchange.pointee.request
    let isDroppable = canDiscard(body) && !exchange.pointee.flags.contains(.expectsContinue)
    let keepsAlive =
      exchange.pointee.flags.contains(.keepsAlive) && isDroppable && !shouldRetire(connection)
      && reason != .malformedBody && reason != .bodyTooLarge && reason != .bodyTimeout
    let bytes = reactor.pool.bytes(exchange.pointee.requestBlock)
    let isSent = send(
      entry,
      reply,
      replies: snapshot.replies,
      identifier: (
        UnsafePointer(bytes) + Int(exchange.pointee.identifierStart),
        Int(exchange.pointee.identifierLength)
      ),
      isHead: exchange.pointee.method == .head,
      isOld: exchange.pointee.flags.contains(.isHTTP10),
      keepsAlive: keepsAlive,
      listsAllowed: false,
      retryAfter: retryAfter
    )
    exchange.pointee.status = reply.status
    if exchange.pointee.method != .head {
      exchange.pointee.bytesOut = Int64(
        reply.bodyLength(Int(exchange.pointee.identifierLength))
      )
    }
    account(index, reason: reason)
    endExchange(index)
    entry.pointee.exchange = -1
    guard isSent else { return closeConnection(connection, reset: true) }
    settle(connection, body, keepsAlive: keepsAlive)
  }

  /// Whether an exchange is a call of gRPC; its head is read once more, as few of them fail.
  func isCall(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
    // The status of a call is 200, which says to who asks for a tunnel that it stands.
    guard !exchange.pointee.flags.contains(.wantsUpgrade) else { return false }
    let bytes = UnsafePointer(reactor.pool.bytes(exchange.pointee.requestBlock))
    var head = RequestHead()
    let outcome = RequestParser.parse(
      bytes,
      count: Int(exchange.pointee.requestCount),
      limits: Self.requestLimits,
      fields: responseFields,
      into: &head
    )
    guard case .complete = outcome else { return false }
    return MediaType.isGRPC(bytes, responseFields, Int(head.fieldCount))
  }

  /// Refuses a head that is no request: the reply, then the end.
  func refuseHead(_ index: Int32, _ fault: ParseFault) {
    meter.refused(fault)
    let reason: ReplyReason =
      switch fault.status {
      case 414: .targetTooLong
      case 431: .headTooLarge
      case 501: .codingNotImplemented
      case 505: .versionNotSupported
      default: .malformedRequest
      }
    replyToBroken(index, reason)
  }

  /// Answers where no request could be read; the connection ends.
  ///
  /// `isHead`: Whether it is known to have been HEAD; on a connection of HTTP/1.1 the bytes are asked.
  func replyToBroken(_ index: Int32, _ reason: ReplyReason, isHead: Bool = false) {
    let connection = connections[index]
    let isHead = isHead || beginsAsHead(&connection.pointee.input)
    var writer = ByteWriter(identifier, capacity: 32)
    writer.fixedHexadecimal(random.next())
    writer.fixedHexadecimal(random.next())
    let reply = snapshots.newest.replies.problem(reason, className: -1)
    meter.replied(reason)
    let isSent = send(
      connection,
      reply,
      replies: snapshots.newest.replies,
      identifier: (UnsafePointer(identifier), 32),
      isHead: isHead,
      isOld: false,
      keepsAlive: false,
      listsAllowed: false
    )
    accountBroken(index, reply.status, reason, bytesOut: isHead ? 0 : reply.bodyLength(32))
    guard isSent else { return closeConnection(index, reset: true) }
    closeWhenSent(index, lingering: true)
  }

  /// Whether unread bytes begin as a request of HEAD does, whose answer has no body
  /// (RFC 9110 section 9.3.2).
  private func beginsAsHead(_ input: UnsafeMutablePointer<Input>) -> Bool {
    guard !input.pointee.isEmpty else { return false }
    let (start, count) = (bytes(input), input.pointee.count)
    var at = 0
    // Empty lines before a request line are passed over (RFC 9112 section 2.2).
    while at < count, start[at] == 0x0D || start[at] == 0x0A { at += 1 }
    let method: StaticString = "HEAD "
    let length = method.utf8CodeUnitCount
    return count - at >= length && memcmp(start + at, method.utf8Start, length) == 0
  }

  /// Queues a prepared reply.
  ///
  /// - Returns: `false` when there is no buffer for it.
  private func send(
    _ connection: UnsafeMutablePointer<Connection>,
    _ reply: PreparedReplies.Reply,
    replies: PreparedReplies,
    identifier: (UnsafePointer<UInt8>, Int),
    isHead: Bool,
    isOld: Bool,
    keepsAlive: Bool,
    listsAllowed: Bool,
    retryAfter: Nanoseconds = .zero
  ) -> Bool {
    date.refresh(at: reactor.now)
    let size =
      Int(reply.head.count + reply.bodyStart.count + reply.bodyEnd.count) + identifier.1 * 2
      + Self.replyRoom
    // Configuration bounds the answers of routes so that every reply fits.
    guard size <= BlockPool.blockSize else { return false }
    let block = reactor.pool.acquire()
    guard block >= 0 else { return false }
    var writer = ByteWriter(reactor.pool.bytes(block), capacity: BlockPool.blockSize)
    writeReplyHead(
      &writer,
      reply,
      replies,
      identifier,
      isOld: isOld,
      keepsAlive: keepsAlive,
      listsAllowed: listsAllowed,
      retryAfter: retryAfter
    )
    if !isHead {
      writer.run(reply.bodyStart, of: replies)
      if !reply.isPlain {
        writer.bytes(identifier.0, identifier.1)
        writer.run(reply.bodyEnd, of: replies)
      }
    }
    if connection.pointee.transport.isStream {
      return sendReply(connection, block, writer.count, isHead: isHead)
    }
    noteSent(connection, writer.count)
    if append(connection.pointee.transport, writer.base, count: writer.count) {
      reactor.pool.release(block)
      return true
    }
    return write(connection.pointee.transport, block: block, start: 0, count: writer.count)
  }

  /// Writes into its hole when the client may try again, drawn anew for each: clients that were
  /// refused together shall not come back together.
  private func fill(
    _ reply: PreparedReplies.Reply,
    _ retryAfter: Nanoseconds,
    _ hole: UnsafeMutablePointer<UInt8>
  ) {
    var writer = ByteWriter(hole, capacity: Int(reply.retryWidth))
    switch reply.retryUnit {
    case .digit:
      writer.decimal(UInt64(UInt8.random(in: PreparedReplies.retrySeconds, using: &random)))
    case .seconds:
      let least = max(1, (retryAfter.rawValue + 999_999_999) / 1_000_000_000)
      let seconds = Int64.random(in: least...(least + max(2, least)), using: &random)
      writer.aligned(UInt64(seconds), width: Int(reply.retryWidth))
    case .milliseconds:
      let least = max(1, retryAfter.rawValue / 1_000_000)
      let span = max(1_000, least)
      let milliseconds = Int64.random(in: least...(least + span), using: &random)
      writer.aligned(UInt64(milliseconds), width: Int(reply.retryWidth))
    }
  }

  private func writeReplyHead(
    _ writer: inout ByteWriter,
    _ reply: PreparedReplies.Reply,
    _ replies: PreparedReplies,
    _ identifier: (UnsafePointer<UInt8>, Int),
    isOld: Bool,
    keepsAlive: Bool,
    listsAllowed: Bool,
    retryAfter: Nanoseconds
  ) {
    let start = writer.count
    writer.run(reply.head, of: replies)
    if reply.retryAfter >= 0, !writer.isFull {
      fill(reply, retryAfter, writer.base + start + Int(reply.retryAfter))
    }
    let length = reply.bodyLength(identifier.1)
    if reply.status != 204, reply.status != 304 {
      writer.text("content-length: ")
      writer.decimal(UInt64(length))
      writer.crlf()
    }
    writer.bytes(date.bytes, DateField.length)
    writer.text("x-request-id: ")
    writer.bytes(identifier.0, identifier.1)
    writer.crlf()
    if listsAllowed {
      writer.text("allow: ")
      writer.bytes(allowed, allowedLength)
      writer.crlf()
    }
    if !keepsAlive {
      writer.text("connection: close\r\n")
    } else if isOld {
      writer.text("connection: keep-alive\r\n")
    }
    writer.crlf()
  }
}

extension ByteWriter {
  mutating func run(_ run: PreparedReplies.Run, of replies: PreparedReplies) {
    bytes(replies.memory + Int(run.offset), Int(run.count))
  }
}
