internal import HTTPCodec
internal import Reactor
internal import Units

/// The request head as the service gets it (RFC 9110 sections 7.6 and 7.7).
///
/// Runs of unchanged fields are copied at once; hop-by-hop fields, and those that Connection names,
/// go; who the client is, is said anew unless the client is one whose word counts.
enum UpstreamHead {
  /// Where parts of the written head lie, from its start.
  struct Layout {
    var methodLength = 0
    var pathStart = 0
    var identifierStart = 0
    /// Where the milliseconds that are left stand, and those of a call of gRPC, 0 for none.
    var deadlineStart = 0
    var callTimeStart = 0
    /// Where the attempt's digit stands, 0 for none.
    var attemptStart = 0
    var count = 0
  }

  /// Writes the head, through its empty line.
  ///
  /// `countsAttempts`: Whether the service is told which attempt it is, in place of what the client
  /// said of its own.
  ///
  /// - Returns: `nil` when it does not fit the block.
  static func write(
    _ view: RequestView,
    isUpgrade: Bool,
    demand: RequestDemand,
    classes: ClassNames,
    now: Instant,
    countsAttempts: Bool = false,
    into writer: inout ByteWriter
  ) -> Layout? {
    var layout = Layout()
    let head = view.head
    if view.webSocketKey != nil {
      writer.text("GET")
    } else {
      writer.bytes(view.bytes + Int(head.methodStart), Int(head.methodLength))
    }
    layout.methodLength = writer.count
    writer.byte(UInt8(ascii: " "))
    layout.pathStart = writer.count
    writer.bytes(view.path, view.pathLength)
    if head.hasQuery {
      writer.byte(UInt8(ascii: "?"))
      writer.bytes(view.bytes + Int(head.queryStart), Int(head.queryLength))
    }
    writer.text(" HTTP/1.1\r\nhost: ")
    writer.bytes(view.bytes + Int(head.authorityStart), Int(head.authorityLength))
    writer.crlf()
    copyFields(view, classes, countsAttempts, into: &writer)
    if head.isChunked { writer.text("transfer-encoding: chunked\r\n") }
    if let key = view.webSocketKey {
      WebSocketRequest.write(key, into: &writer)
    } else if isUpgrade {
      writer.text("connection: upgrade\r\n")
      copyLines(view, .upgrade, into: &writer)
    } else if head.acceptsTrailers {
      writer.text("te: trailers\r\nconnection: te\r\n")
    }
    if !view.isInternal { ForwardingFields.write(view, into: &writer) }
    DemandFields.write(demand, classes, now: now, &layout, into: &writer)
    if countsAttempts {
      writer.text("x-envoy-attempt-count: ")
      layout.attemptStart = writer.count
      writer.text("1\r\n")
    }
    writer.text("x-request-id: ")
    layout.identifierStart = writer.count
    writer.bytes(view.identifier, view.identifierLength)
    writer.text("\r\n\r\n")
    layout.count = writer.count
    return writer.isFull ? nil : layout
  }

  private static func copyFields(
    _ view: RequestView,
    _ classes: ClassNames,
    _ countsAttempts: Bool,
    into writer: inout ByteWriter
  ) {
    var runStart = -1
    let count = Int(view.head.fieldCount)
    for index in 0..<count {
      let field = view.fields[index]
      if isKept(field, view, classes, countsAttempts) {
        if runStart < 0 { runStart = Int(field.nameStart) }
        continue
      }
      if runStart >= 0 {
        writer.bytes(view.bytes + runStart, Int(field.nameStart) - runStart)
        runStart = -1
      }
    }
    if runStart >= 0 {
      writer.bytes(view.bytes + runStart, Int(view.head.headLength) - 2 - runStart)
    }
  }

  @inline(__always)
  private static func isKept(
    _ field: HeadField,
    _ view: RequestView,
    _ classes: ClassNames,
    _ countsAttempts: Bool
  ) -> Bool {
    switch field.known {
    case .other:
      let name = view.bytes + Int(field.nameStart)
      if ForgedName.isLeftOut(name, Int(field.nameLength), isTrusted: view.isTrusted) {
        return false
      }
      if let kind = DemandField.find(name, Int(field.nameLength), classes) {
        if kind.isReplaced || countsAttempts && kind == .attemptCount { return false }
      }
      // The key of a WebSocket is ours there; the service would see two.
      if view.webSocketKey != nil, WebSocketRequest.isKey(field, view.bytes) { return false }
    case .accept, .acceptEncoding, .userAgent, .cookie, .authorization, .contentType:
      break
    case .host, .connection, .keepAlive, .proxyConnection, .te, .upgrade,
      .transferEncoding, .http2Settings, .proxyAuthorization, .xForwardedFor, .xForwardedProto,
      .xForwardedHost, .forwarded, .xRequestID:
      return false
    case .contentLength:
      // Never dropped because Connection names it: the body would become a request.
      return true
    case .expect where view.head.minorVersion == 0:
      // To be ignored from HTTP/1.0 (RFC 9110 section 10.1.1): such a client does not wait, and the
      // service behind our HTTP/1.1 would believe that it does. Otherwise the service answers the
      // expectation, because only it knows whether it wants the body.
      return false
    default:
      break
    }
    return !view.head.connectionNamesOthers || !ConnectionOptions.names(field, in: view)
  }

  static func copyLines(
    _ view: RequestView,
    _ kind: KnownField,
    into writer: inout ByteWriter
  ) {
    for index in 0..<Int(view.head.fieldCount) where view.fields[index].known == kind {
      let start = Int(view.fields[index].nameStart)
      writer.bytes(view.bytes + start, view.lineEnd(index) - start)
    }
  }
}

/// The options of Connection, which name fields that concern this hop alone.
enum ConnectionOptions {
  /// Whether a Connection field of the head names the field.
  static func names(_ field: HeadField, in view: RequestView) -> Bool {
    names(field, bytes: view.bytes, fields: view.fields, count: Int(view.head.fieldCount))
  }

  static func names(
    _ field: HeadField,
    bytes: UnsafePointer<UInt8>,
    fields: UnsafePointer<HeadField>,
    count: Int
  ) -> Bool {
    let name = bytes + Int(field.nameStart)
    let length = Int(field.nameLength)
    for index in 0..<count where fields[index].known == .connection {
      let value = bytes + Int(fields[index].valueStart)
      let end = Int(fields[index].valueLength)
      var start = 0
      while start < end {
        while start < end, isSeparator(value[start]) { start += 1 }
        var stop = start
        while stop < end, !isSeparator(value[stop]) { stop += 1 }
        if stop - start == length, equalsIgnoringCase(value + start, name, length) { return true }
        start = stop
      }
    }
    return false
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ",") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }

  private static func equalsIgnoringCase(
    _ a: UnsafePointer<UInt8>,
    _ b: UnsafePointer<UInt8>,
    _ count: Int
  ) -> Bool {
    for index in 0..<count where lower(a[index]) != lower(b[index]) { return false }
    return true
  }

  private static func lower(_ byte: UInt8) -> UInt8 {
    byte >= 65 && byte <= 90 ? byte | 32 : byte
  }
}
