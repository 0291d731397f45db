internal import Admission
internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Units

/// An upstream connection's events, and the two pumps that move bodies.
extension Worker {
  /// Unsent bytes above which a direction's source is paused, and below which it resumes.
  static let highWatermark = 65_536
  static let lowWatermark = 16_384

  func upstreamReceived(_ index: Int32, _ block: Int32, _ start: Int, _ count: Int) {
    let upstream = upstreams[index]
    guard upstream.pointee.phase == .busy else {
      reactor.pool.release(block)
      if upstream.pointee.phase == .idle {
        meter.unasked(upstream.pointee.metrics)
        idleBroken(index)
      }
      return
    }
    let exchange = upstream.pointee.exchange
    guard !isUnasked(exchanges[exchange], on: upstream.pointee.transport) else {
      reactor.pool.release(block)
      meter.unasked(upstream.pointee.metrics)
      return upstreamBroke(exchange)
    }
    // What comes on a stream was counted with its session's frames.
    if !upstream.pointee.transport.isStream { meter.receivedUpstream(count) }
    if exchanges[exchange].pointee.phase == .tunnel {
      return tunnelFromUpstream(exchange, block, start, count)
    }
    guard append(&upstream.pointee.input, block, start, count) else {
      return failOrAbandon(exchange, .buffersExhausted)
    }
    pumpResponse(exchange)
  }

  func upstreamEnded(_ index: Int32) {
    let upstream = upstreams[index]
    switch upstream.pointee.phase {
    case .idle: idleBroken(index)
    case .connecting: upstreamFailed(index, code: ECONNRESET)
    case .busy:
      let exchange = upstream.pointee.exchange
      let entry = exchanges[exchange]
      if entry.pointee.phase == .tunnel { return tunnelUpstreamEnded(exchange) }
      if entry.pointee.phase == .relaying, entry.pointee.response.framing == .untilClose {
        return responseEndedByClose(exchange)
      }
      upstreamBroke(exchange)
    }
  }

  func upstreamFailed(_ index: Int32, code: Int32) {
    let upstream = upstreams[index]
    switch upstream.pointee.phase {
    case .idle: idleBroken(index)
    case .connecting:
      let exchange = upstream.pointee.exchange
      let place = upstream.pointee.endpoint
      closeUpstream(index, reset: false)
      exchanges[exchange].pointee.upstream = -1
      connectFailed(exchange, place, .connect(code))
    case .busy:
      let exchange = upstream.pointee.exchange
      if exchanges[exchange].pointee.phase == .tunnel { return endTunnel(exchange, reset: true) }
      upstreamBroke(exchange)
    }
  }

  /// Whether what comes on a kept connection cannot be this request's answer, of which nothing was
  /// sent yet: a late word about an earlier one, which would go to somebody else.
  ///
  /// A service may answer an upload as soon as it has the head, while most of the body waits here.
  private func isUnasked(
    _ exchange: UnsafeMutablePointer<Exchange>,
    on transport: Transport
  ) -> Bool {
    !transport.isStream && exchange.pointee.phase == .waiting
      && exchange.pointee.flags.contains(.isReused)
      && !exchange.pointee.flags.contains(.hasResponse)
      && queuedBytes(transport)
        >= Int(exchange.pointee.requestCount) + Int(exchange.pointee.bodySent)
  }

  /// The connection ended before the response did.
  func upstreamBroke(_ index: Int32) {
    let exchange = exchanges[index]
    let isUntouched =
      !exchange.pointee.flags.contains(.hasResponse) && exchange.pointee.phase == .waiting
    if isUntouched, exchange.pointee.flags.contains(.isReused),
      !exchange.pointee.flags.contains(.hasRepeated), canRepeat(exchange)
    {
      meter.staleConnection(upstreams[exchange.pointee.upstream].pointee.metrics)
      if exchange.pointee.flags.contains(.isHedged) { return dropLeg(index) }
      closeUpstream(exchange.pointee.upstream, reset: false)
      exchange.pointee.upstream = -1
      return repeatOnFresh(index)
    }
    if exchange.pointee.phase == .relaying { exchange.pointee.admission.outcome = .dropped }
    failOrAbandon(index, .upstreamReset)
  }

  /// A reply while that is possible, a visible break when the response is already out.
  func failOrAbandon(_ index: Int32, _ reason: ReplyReason) {
    let exchange = exchanges[index]
    switch exchange.pointee.phase {
    case .queued, .backoff, .connecting, .waiting: fail(index, reason)
    case .relaying, .tunnel:
      if exchange.pointee.health.isWatched { judgeBreak(exchange, reason) }
      truncate(index, reason)
    }
  }

  func upstreamDrained(_ index: Int32) {
    let upstream = upstreams[index]
    guard upstream.pointee.phase == .busy else { return }
    let exchange = upstream.pointee.exchange
    if exchanges[exchange].pointee.phase == .tunnel { return tunnelUpstreamDrained(exchange) }
    let connection = connections[exchanges[exchange].pointee.connection]
    resumeReading(connection)
    judgePaceFromNow(connection)
    pumpRequest(exchange)
  }

  /// The client took what it was sent: its source may go on.
  func resumeUpstream(_ index: Int32) {
    guard index >= 0 else { return }
    let exchange = exchanges[index]
    guard exchange.pointee.flags.contains(.upstreamPaused), exchange.pointee.upstream >= 0 else {
      return
    }
    exchange.pointee.flags.remove(.upstreamPaused)
    clientMoved(exchange)
    chooseReads(exchange)
    resume(upstreams[exchange.pointee.upstream].pointee.transport)
    pumpResponse(index)
  }

  // MARK: - Request body

  /// Passes on what the client sent of the body, as far as the service takes it.
  func pumpRequest(_ index: Int32) {
    guard index >= 0 else { return }
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    guard !exchange.pointee.request.isComplete else {
      if !exchange.pointee.flags.contains(.wantsUpgrade) { endRequestStream(exchange, connection) }
      // What lies behind the body is the next request: it waits, and so does its sender.
      if !connection.pointee.input.isEmpty { pauseReading(connection) }
      return
    }
    if exchange.pointee.admission.state == .gathering { return gather(index) }
    guard exchange.pointee.phase.hasService, exchange.pointee.upstream >= 0 else {
      // Until the service is reached, what has come is held and no more is asked for.
      if !connection.pointee.input.isEmpty { pauseReading(connection) }
      return
    }
    let transport = upstreams[exchange.pointee.upstream].pointee.transport
    resumeReading(connection)
    guard !connection.pointee.input.isEmpty else {
      if endsWithStream(exchange, connection) { return completeRequest(index) }
      waitForClient(exchange)
      if connection.pointee.deadline == .never { judgePaceFromNow(connection) }
      return
    }
    clientMoved(exchange)
    if exchange.pointee.deadline == .never { touchStream(exchange) }
    switch keepForRepeat(exchange, connection, transport) {
    case .notKept: break
    case .exhausted: return failOrAbandon(index, .buffersExhausted)
    case .sent:
      if exchange.pointee.request.isComplete {
        requestIsWhole(exchange)
        stopJudging(connection)
        if !connection.pointee.input.isEmpty { pauseReading(connection) }
      } else if !connection.pointee.input.isEmpty {
        // What was gathered may lie in several pieces, each of which is kept.
        return pumpRequest(index)
      } else {
        waitForClient(exchange)
        if connection.pointee.deadline == .never { judgePaceFromNow(connection) }
      }
      return
    }
    var passed: Int64 = 0
    // A stream frames and ends what it carries by itself.
    let framing: BodyFraming =
      exchange.pointee.request.framing == .length || transport.isStream ? .length : .chunked
    keeper = exchange.pointee.flags.contains(.keepsBody) ? index : -1
    let outcome = relay(
      &exchange.pointee.request,
      from: &connection.pointee.input,
      to: transport,
      framing: framing,
      passed: &passed
    )
    keeper = -1
    if passed > 0 { exchange.pointee.flags.remove(.expectsContinue) }
    if passed > 0 || exchange.pointee.request.isComplete { noteNotKept(exchange) }
    exchange.pointee.bytesIn += passed
    exchange.pointee.bodySent += passed
    noteSentUpstream(transport, Int(passed))
    switch outcome {
    case .malformed(let fault):
      meter.refused(fault)
      return failOrAbandon(index, .malformedBody)
    case .exhausted:
      return failOrAbandon(index, .buffersExhausted)
    case .complete:
      endRequestStream(exchange, connection)
      requestIsWhole(exchange)
      stopJudging(connection)
      if !connection.pointee.input.isEmpty { pauseReading(connection) }
    case .tooLarge:
      return failOrAbandon(index, .bodyTooLarge)
    case .wantsMore:
      if endsWithStream(exchange, connection) { return completeRequest(index) }
      if !isFull(transport) { waitForClient(exchange) }
      if connection.pointee.deadline == .never { judgePaceFromNow(connection) }
    }
    if isFull(transport) {
      if !exchange.pointee.request.isComplete { pauseReading(connection) }
      notifyWhenThereIsRoom(transport)
    }
  }

  /// Counts bytes that were queued for a service; a session counts the frames that it sends.
  func noteSentUpstream(_ transport: Transport, _ count: Int) {
    if !transport.isStream { meter.sentUpstream(count) }
  }

  private enum Keeping {
    /// The body goes the common way.
    case notKept
    case sent
    /// No buffer; bytes are lost.
    case exhausted
  }

  /// Sends what came of a small body from the request's own block, so that all of it can be sent
  /// once more if the connection turns out closed.
  private func keepForRepeat(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ connection: UnsafeMutablePointer<Connection>,
    _ transport: Transport
  ) -> Keeping {
    let used = Int(exchange.pointee.requestCount)
    // A stream that was not processed may be repeated whatever the method.
    let isOfUse =
      canRepeat(exchange) || transport.isStream && exchange.pointee.flags.contains(.canReplay)
    // A body that is kept elsewhere stays there to its end, or it would go out again out of order.
    guard isOfUse, exchange.pointee.request.framing == .length, exchange.pointee.kept.isEmpty,
      used + Int(clamping: exchange.pointee.request.left) <= BlockPool.blockSize
    else { return .notKept }
    let count = Int(
      min(Int64(connection.pointee.input.count), exchange.pointee.request.left)
    )
    let block = exchange.pointee.requestBlock
    (reactor.pool.bytes(block) + used)
      .update(from: bytes(&connection.pointee.input), count: count)
    consume(&connection.pointee.input, count)
    reactor.pool.retain(block)
    guard write(transport, block: block, start: used, count: count) else { return .exhausted }
    exchange.pointee.requestCount += Int32(count)
    exchange.pointee.request.left -= Int64(count)
    exchange.pointee.request.seen += Int64(count)
    exchange.pointee.bytesIn += Int64(count)
    exchange.pointee.flags.remove(.expectsContinue)
    if exchange.pointee.request.left == 0 {
      exchange.pointee.request.state = .complete
      endRequestStream(exchange, connection)
    }
    noteSentUpstream(transport, count)
    return .sent
  }

  // MARK: - Response

  /// Passes on what the service answered, as far as the client takes it.
  func pumpResponse(_ index: Int32) {
    let exchange = exchanges[index]
    let upstream = upstreams[exchange.pointee.upstream]
    while exchange.pointee.phase == .waiting, !upstream.pointee.transport.isStream {
      guard !upstream.pointee.input.isEmpty else { return }
      exchange.pointee.flags.insert(.hasResponse)
      var head = ResponseHead()
      let outcome = ResponseParser.parse(
        bytes(&upstream.pointee.input),
        count: upstream.pointee.input.count,
        request: exchange.pointee.method,
        limits: Self.responseLimits,
        fields: responseFields,
        into: &head
      )
      switch outcome {
      case .incomplete:
        guard join(&upstream.pointee.input) else { return }
      case .refused(let fault):
        meter.refused(fault)
        return fail(index, .upstreamMalformed)
      case .complete:
        let view = ResponseView(
          bytes: UnsafePointer(bytes(&upstream.pointee.input)),
          fields: UnsafePointer(responseFields),
          head: head
        )
        guard responseHead(index, view) else { return }
      }
    }
    guard exchange.pointee.phase == .relaying else { return }
    relayResponse(index)
  }

  /// A service is given the largest head that a block holds; it is not an attacker's first choice.
  static let responseLimits = HeadLimits(maximumBytes: 16_384, maximumFields: 256)

  func relayResponse(_ index: Int32) {
    let exchange = exchanges[index]
    let upstream = upstreams[exchange.pointee.upstream]
    let connection = connections[exchange.pointee.connection]
    var passed: Int64 = 0
    reporter = index
    let outcome = relay(
      &exchange.pointee.response,
      from: &upstream.pointee.input,
      to: connection.pointee.transport,
      framing: exchange.pointee.responseFraming,
      passed: &passed
    )
    reporter = -1
    exchange.pointee.bytesOut += passed
    noteSent(connection, Int(passed))
    switch outcome {
    case .malformed(let fault):
      meter.refused(fault)
      failOrAbandon(index, .upstreamMalformed)
    case .exhausted, .tooLarge:
      failOrAbandon(index, .buffersExhausted)
    case .complete:
      responseComplete(index)
    case .wantsMore:
      if exchange.pointee.deadline == .never { touchStream(exchange) }
      guard isFull(connection.pointee.transport) else { return }
      if !exchange.pointee.flags.contains(.upstreamPaused) {
        exchange.pointee.flags.insert(.upstreamPaused)
        waitForClient(exchange)
        pause(upstream.pointee.transport)
        if connection.pointee.transport.isStream { keepNames(exchange, connection) }
      }
      notifyWhenThereIsRoom(connection.pointee.transport)
      if connection.pointee.deadline == .never { judgePaceFromNow(connection) }
    }
  }

  /// A body that lasts until the connection ends has ended.
  private func responseEndedByClose(_ index: Int32) {
    let exchange = exchanges[index]
    exchange.pointee.response.state = .complete
    if exchange.pointee.responseFraming == .chunked {
      let connection = connections[exchange.pointee.connection]
      guard passTrailers(exchange, connection) || endChunks(connection.pointee.transport) else {
        return failOrAbandon(index, .buffersExhausted)
      }
    } else {
      _ = passTrailers(exchange, connections[exchange.pointee.connection])
    }
    responseComplete(index)
  }
}
