internal import HTTPCodec

/// The response head as the client gets it (RFC 9110 section 7.6).
enum DownstreamHead {
  /// How the head says what follows.
  struct Framing {
    /// How the body goes out; `untilClose` says nothing and ends with the connection.
    var body: BodyFraming
    /// The service's Content-Length is passed on.
    var keepsLength: Bool
    var connection: StaticString?
    /// Upgrade fields are passed on: this is the 101.
    var isUpgrade: Bool
    /// There is no body, which the service has not said in the head and HTTP/1.1 has no other way to.
    var isEmpty = false
    /// What the service says of its load is passed on.
    var keepsReports = false
  }

  /// Writes the head, through its empty line.
  ///
  /// `date`: The line that a response gets whose service has no clock, as whoever forwards it must
  /// say when it came (RFC 9110 section 6.6.1).
  static func write(
    _ view: ResponseView,
    _ framing: Framing,
    date: UnsafePointer<UInt8>,
    into writer: inout ByteWriter
  ) {
    let (bytes, head, fields) = (view.bytes, view.head, view.fields)
    writer.text("HTTP/1.1 ")
    if view.webSocketAccept != nil {
      writer.text("101 Switching Protocols")
    } else {
      writer.decimal(UInt64(head.status))
      writer.byte(UInt8(ascii: " "))
      writer.bytes(bytes + Int(head.reasonStart), Int(head.reasonLength))
    }
    writer.crlf()
    var runStart = -1
    var lacksDate = head.status >= 200
    let count = Int(head.fieldCount)
    for index in 0..<count {
      let field = fields[index]
      if field.known == .date { lacksDate = false }
      if isKept(field, bytes, head, fields, framing) {
        if runStart < 0 { runStart = Int(field.nameStart) }
        continue
      }
      if runStart >= 0 {
        writer.bytes(bytes + runStart, Int(field.nameStart) - runStart)
        runStart = -1
      }
    }
    if runStart >= 0 { writer.bytes(bytes + runStart, Int(head.headLength) - 2 - runStart) }
    if lacksDate { writer.bytes(date, DateField.length) }
    if framing.body == .chunked { writer.text("transfer-encoding: chunked\r\n") }
    if framing.isEmpty { writer.text("content-length: 0\r\n") }
    writer.text("via: ")
    writer.text(view.version)
    writer.text(" spillway\r\n")
    if let accept = view.webSocketAccept {
      writer.text("upgrade: websocket\r\nsec-websocket-accept: ")
      for index in accept.indices { writer.byte(accept[index]) }
      writer.crlf()
    }
    if let connection = framing.connection {
      writer.text("connection: ")
      writer.text(connection)
      writer.crlf()
    }
    writer.crlf()
  }

  /// Whether the client gets the field.
  @inline(__always)
  static func isKept(
    _ field: HeadField,
    _ bytes: UnsafePointer<UInt8>,
    _ head: ResponseHead,
    _ fields: UnsafePointer<HeadField>,
    _ framing: Framing
  ) -> Bool {
    switch field.known {
    case .connection, .keepAlive, .proxyConnection, .transferEncoding, .te:
      return false
    case .upgrade:
      return framing.isUpgrade
    case .contentLength:
      return framing.keepsLength
    case .endpointLoadMetrics, .endpointLoadMetricsBin:
      guard framing.keepsReports else { return false }
      fallthrough
    default:
      guard head.connectionNamesOthers else { return true }
      return !ConnectionOptions.names(
        field,
        bytes: bytes,
        fields: fields,
        count: Int(head.fieldCount)
      )
    }
  }
}
