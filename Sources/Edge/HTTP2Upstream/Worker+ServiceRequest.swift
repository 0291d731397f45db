internal import HTTPCodec
internal import Reactor
internal import Units

/// A request head as a stream of a service gets it.
extension Worker {
  /// Ours are as large as the client's, and some fields more.
  static let requestLimits = HeadLimits(
    maximumBytes: HeadLimits.largestHead,
    maximumFields: HeadLimits.mostFields,
    maximumTarget: HeadLimits.largestHead
  )

  /// Submits the head that lies in the exchange's block, written out for HTTP/1.1 with all that is
  /// dropped and added on the way to a service.
  ///
  /// - Returns: The stream, or -1; and where the head ends in the block, -1 when it is too large.
  func submitRequest(
    _ exchange: UnsafeMutablePointer<Exchange>,
    _ http2: H2Session,
    isSecure: Bool
  ) -> (stream: Int32, headLength: Int) {
    let bytes = UnsafePointer(reactor.pool.bytes(exchange.pointee.requestBlock))
    var head = RequestHead()
    guard
      case .complete = RequestParser.parse(
        bytes,
        count: Int(exchange.pointee.requestCount),
        limits: Self.requestLimits,
        fields: responseFields,
        into: &head
      )
    else { return (-1, -1) }
    let isUpgrade = exchange.pointee.flags.contains(.wantsUpgrade)
    var list = H2FieldList(workspace)
    if isUpgrade {
      list.add(":method", "CONNECT")
      list.add(":protocol", "websocket")
    } else {
      list.add(":method", bytes + Int(head.methodStart), Int(head.methodLength))
    }
    list.add(":scheme", isSecure ? "https" : "http")
    if head.authorityLength > 0 {
      list.add(":authority", bytes + Int(head.authorityStart), Int(head.authorityLength))
    }
    list.add(":path", bytes + Int(head.targetStart), Int(head.targetLength))
    if isUpgrade {
      for place in 0..<Int(head.fieldCount)
      where H2FieldList.mayPass(responseFields[place], bytes)
        && !WebSocketRequest.isKey(responseFields[place], bytes)
      {
        list.add(responseFields[place], of: bytes)
      }
    } else {
      list.add(responseFields, count: Int(head.fieldCount), of: bytes)
    }
    guard !list.isOverfull else { return (-1, -1) }
    let length = Int(head.headLength)
    let hasNoBody =
      !isUpgrade && isWhole(exchange) && exchange.pointee.kept.isEmpty
      && Int(exchange.pointee.requestCount) == length
    let stream = http2.request(
      isUpgrade ? .connect : exchange.pointee.method,
      fields: list,
      endsStream: hasNoBody
    )
    return (stream, length)
  }

  /// Makes a 101 of the 200 to an extended CONNECT, for a client of HTTP/1.1.
  func answerKey(_ exchange: UnsafeMutablePointer<Exchange>, _ view: inout ResponseView) {
    guard !connections[exchange.pointee.connection].pointee.transport.isStream else { return }
    let bytes = UnsafePointer(reactor.pool.bytes(exchange.pointee.requestBlock))
    var head = RequestHead()
    let outcome = RequestParser.parse(
      bytes,
      count: Int(exchange.pointee.requestCount),
      limits: Self.requestLimits,
      fields: responseFields,
      into: &head
    )
    guard case .complete = outcome,
      let key = WebSocketRequest.key(bytes, responseFields, Int(head.fieldCount))
    else { return }
    var accept = InlineArray<28, UInt8>(repeating: 0)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: WebSocketAccept.length) { output in
      guard let place = output.baseAddress else { return }
      WebSocketAccept.write(key: key.start, count: key.count, to: place)
      for index in 0..<WebSocketAccept.length { accept[index] = place[index] }
    }
    view.webSocketAccept = accept
  }
}
