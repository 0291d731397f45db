internal import HTTPCodec
internal import Reactor
internal import Units

/// Messages on their way between HTTP/1.1, which the rest of the edge speaks, and a stream.
extension Worker {
  // MARK: - Responses

  /// Passes a response head on, interim or final.
  ///
  /// - Returns: Whether the exchange goes on.
  func submitHead(
    _ index: Int32,
    _ view: ResponseView,
    _ framing: DownstreamHead.Framing
  ) -> Bool {
    let exchange = exchanges[index]
    let upstream = upstreams[exchange.pointee.upstream]
    var framing = framing
    framing.isUpgrade = false
    let isSubmitted = submit(
      connections[exchange.pointee.connection].pointee.transport,
      view,
      framing,
      isLocal: false,
      endsStream: exchange.pointee.phase == .relaying && exchange.pointee.response.isComplete
    )
    if !view.isHTTP2 { consume(&upstream.pointee.input, Int(view.head.headLength)) }
    guard isSubmitted else {
      exchange.pointee.phase = .waiting
      fail(index, .upstreamMalformed)
      return false
    }
    return true
  }

  private func submit(
    _ transport: Transport,
    _ view: ResponseView,
    _ framing: DownstreamHead.Framing,
    isLocal: Bool,
    endsStream: Bool
  ) -> Bool {
    let stream = transport.index
    let link = links + Int(stream)
    guard link.pointee.flags.isDisjoint(with: [.isGone, .isReset]) else { return false }
    let (bytes, fields, head) = (view.bytes, view.fields, view.head)
    var list = H2FieldList(workspace)
    var lacksDate = head.status >= 200
    for place in 0..<Int(head.fieldCount)
    where DownstreamHead.isKept(fields[place], bytes, head, fields, framing)
      && !(head.isUpgrade && WebSocketRequest.isAccept(fields[place], bytes))
    {
      if fields[place].known == .date { lacksDate = false }
      list.add(fields[place], of: bytes)
    }
    if lacksDate {
      date.refresh(at: reactor.now)
      list.add("date", date.bytes + DateField.valueStart, DateField.valueLength)
    }
    let http2 = http2(link)
    makeDirty(link.pointee.session, sessions[link.pointee.session])
    if !isLocal {
      if view.isHTTP2 {
        list.add("via", "2.0 spillway")
      } else if head.minorVersion == 0 {
        list.add("via", "1.0 spillway")
      } else {
        list.add("via", "1.1 spillway")
      }
    }
    // The 101 of HTTP/1.1 is a 200 here (RFC 8441 section 5).
    let status = head.isUpgrade ? 200 : Int(head.status)
    if status < 200 { return http2.inform(stream, status: status, fields: list) }
    guard
      http2.respond(stream, status: status, fields: list, endsStream: endsStream)
    else { return false }
    link.pointee.flags.insert(.isAnswered)
    if endsStream { link.pointee.flags.formUnion([.finish, .isEndOffered]) }
    return true
  }

  /// Sends a reply of our own that is written out for HTTP/1.1.
  ///
  /// One reference to the block moves here.
  func sendReply(
    _ connection: UnsafeMutablePointer<Connection>,
    _ block: Int32,
    _ count: Int,
    isHead: Bool
  ) -> Bool {
    let transport = connection.pointee.transport
    let bytes = UnsafePointer(reactor.pool.bytes(block))
    var head = ResponseHead()
    let outcome = ResponseParser.parse(
      bytes,
      count: count,
      request: isHead ? .head : .get,
      limits: Self.responseLimits,
      fields: responseFields,
      into: &head
    )
    let start = Int(head.headLength)
    let framing = DownstreamHead.Framing(
      body: .none,
      keepsLength: true,
      connection: nil,
      isUpgrade: false
    )
    guard case .complete = outcome,
      submit(
        transport,
        ResponseView(bytes: bytes, fields: responseFields, head: head),
        framing,
        isLocal: true,
        endsStream: start == count
      )
    else {
      reactor.pool.release(block)
      return false
    }
    guard start < count else {
      reactor.pool.release(block)
      return true
    }
    noteSent(connection, count - start)
    return write(transport, block: block, start: start, count: count - start)
  }

  /// Keeps trailers until the body before them is sent.
  func holdTrailers(
    _ transport: Transport,
    _ bytes: UnsafePointer<UInt8>,
    _ count: Int,
    keepsReports: Bool
  ) -> Bool {
    let link = links + Int(transport.index)
    guard link.pointee.flags.isDisjoint(with: [.isGone, .isReset]) else { return true }
    return hold(
      bytes,
      responseFields,
      count,
      keepsReports: keepsReports,
      &link.pointee.outgoingTrailers
    )
  }

  /// A window with less room than this is what a stream waits for.
  private static let fairWindow = 512

  /// Whether what is queued waits for other streams, or for the whole session, and not for this
  /// stream's reader.
  ///
  /// The session's own pace is judged by its own timer.
  func awaitsTurn(_ transport: Transport) -> Bool {
    guard transport.isStream else { return false }
    let link = links + Int(transport.index)
    if link.pointee.flags.contains(.isGone) { return true }
    // A window that was opened by a few bytes this moment is no excuse: they are about to be sent.
    return http2(link).window(transport.index)
      >= min(Int(link.pointee.outgoing.bytes), Self.fairWindow)
  }

  // MARK: - Requests

  /// Whether a body that a stream ends has come to its end.
  @inline(__always)
  func endsWithStream(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ connection: UnsafeMutablePointer<Connection>
  ) -> Bool {
    exchange.pointee.request.framing == .untilClose
      && connection.pointee.flags.contains(.peerEnded) && connection.pointee.input.isEmpty
  }

  /// Whether neither bytes nor trailers of a request are still to come or to be passed on.
  func isWhole(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
    guard exchange.pointee.request.isComplete else { return false }
    let connection = connections[exchange.pointee.connection]
    guard connection.pointee.transport.isStream else { return true }
    return connection.pointee.flags.contains(.peerEnded)
      && links[Int(connection.pointee.transport.index)].incomingTrailers.block < 0
  }

  /// Ends the stream of a request whose bytes are all passed on, once the client's own stream has
  /// ended, with its trailers.
  ///
  /// They may follow a body of any framing, one of a stated length as well (RFC 9113 section 8.1).
  func endRequestStream(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ connection: UnsafeMutablePointer<Connection>
  ) {
    guard exchange.pointee.phase.hasService, exchange.pointee.upstream >= 0 else { return }
    let transport = upstreams[exchange.pointee.upstream].pointee.transport
    guard transport.isStream,
      links[Int(transport.index)].flags.isDisjoint(with: [.finish, .isGone, .isReset])
    else { return }
    let client = connection.pointee.transport
    if client.isStream {
      guard connection.pointee.flags.contains(.peerEnded) else { return }
      // They do not lie with the rest, where a repeat would find them.
      if links[Int(client.index)].incomingTrailers.block >= 0 { loseBody(exchange) }
      giveTrailers(of: client, to: transport)
    }
    finishWriting(transport)
  }

  /// Ends a body of unknown length: the last chunk, and the client's trailers.
  func completeRequest(_ index: Int32) {
    let exchange = exchanges[index]
    let connection = connections[exchange.pointee.connection]
    let link = links + Int(connection.pointee.transport.index)
    let transport = upstreams[exchange.pointee.upstream].pointee.transport
    exchange.pointee.request.state = .complete
    exchange.pointee.flags.remove(.expectsContinue)
    if link.pointee.incomingTrailers.block >= 0 { loseBody(exchange) }
    noteNotKept(exchange)
    clientMoved(exchange)
    requestIsWhole(exchange)
    stopJudging(connection)
    if transport.isStream { return endRequestStream(exchange, connection) }
    let trailers = link.pointee.incomingTrailers
    var isSent = put(transport, "0\r\n")
    if trailers.block >= 0 {
      isSent =
        isSent && put(transport, reactor.pool.bytes(trailers.block), Int(trailers.count))
      release(&link.pointee.incomingTrailers)
    } else {
      isSent = isSent && put(transport, "\r\n")
    }
    if !isSent { failOrAbandon(index, .buffersExhausted) }
  }
}
