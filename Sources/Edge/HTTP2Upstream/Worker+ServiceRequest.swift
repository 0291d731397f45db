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
    _ http2: H2Session
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
    var list = H2FieldList(workspace)
    list.add(":method", bytes + Int(head.methodStart), Int(head.methodLength))
    list.add(":scheme", "http")
    if head.authorityLength > 0 {
      list.add(":authority", bytes + Int(head.authorityStart), Int(head.authorityLength))
    }
    list.add(":path", bytes + Int(head.targetStart), Int(head.targetLength))
    list.add(responseFields, count: Int(head.fieldCount), of: bytes)
    guard !list.isOverfull else { return (-1, -1) }
    let length = Int(head.headLength)
    let hasNoBody =
      exchange.pointee.request.isComplete && Int(exchange.pointee.requestCount) == length
    let stream = http2.request(exchange.pointee.method, fields: list, endsStream: hasNoBody)
    return (stream, length)
  }
}
