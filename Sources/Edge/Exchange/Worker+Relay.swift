internal import HTTPCodec
internal import Reactor
internal import Units

/// What a look at a body's bytes came to.
enum RelayOutcome {
  /// All there was is passed on; more is to come.
  case wantsMore
  /// The body, trailers included, is passed on.
  case complete
  /// The bytes are no body.
  case malformed(ParseFault)
  /// More content than the bound.
  case tooLarge
  /// No buffer.
  case exhausted
}

/// Bodies on their way through: never collected, copied only when that is cheaper than a send part.
extension Worker {
  /// Slices up to this many bytes are copied behind what is queued: one contiguous send.
  static let copyThreshold = 4_096

  /// Passes on what of a body lies in the input.
  ///
  /// `framing`: How the body goes out: `chunked`, or as plain bytes for anything else.
  /// `passed`: Grows by the bytes queued.
  func relay(
    _ reader: UnsafeMutablePointer<BodyReader>,
    from input: UnsafeMutablePointer<Input>,
    to transport: Transport,
    framing: BodyFraming,
    passed: inout Int64
  ) -> RelayOutcome {
    while !input.pointee.isEmpty, !reader.pointee.isComplete {
      if reader.pointee.state == .trailers {
        let outcome = relayTrailers(reader, from: input, to: transport, framing: framing)
        guard case .complete = outcome else { return outcome }
        break
      }
      switch reader.pointee.framing {
      case .none: return .complete
      case .length:
        let count = Int(min(Int64(input.pointee.count), reader.pointee.left))
        guard emit(input, 0, count, transport, framing, &passed) else { return .exhausted }
        reader.pointee.left -= Int64(count)
        reader.pointee.seen += Int64(count)
        consume(input, count)
        if reader.pointee.left == 0 { reader.pointee.state = .complete }
      case .untilClose:
        let count = input.pointee.count
        guard emit(input, 0, count, transport, framing, &passed) else { return .exhausted }
        reader.pointee.seen += Int64(count)
        consume(input, count)
        guard reader.pointee.seen <= reader.pointee.bound else { return .tooLarge }
      case .chunked:
        switch relayChunks(reader, from: input, to: transport, framing: framing, passed: &passed) {
        case .wantsMore, .complete: break
        case .malformed(let fault): return .malformed(fault)
        case .tooLarge: return .tooLarge
        case .exhausted: return .exhausted
        }
      }
    }
    guard reader.pointee.isComplete else { return .wantsMore }
    if reader.pointee.framing != .chunked, framing == .chunked {
      guard endChunks(transport) else { return .exhausted }
    }
    return .complete
  }

  /// Ends a chunked body that has no trailers.
  func endChunks(_ transport: Transport) -> Bool { put(transport, "0\r\n\r\n") }

  private func relayChunks(
    _ reader: UnsafeMutablePointer<BodyReader>,
    from input: UnsafeMutablePointer<Input>,
    to transport: Transport,
    framing: BodyFraming,
    passed: inout Int64
  ) -> RelayOutcome {
    let start = bytes(input)
    let count = input.pointee.count
    var offset = 0
    while true {
      switch reader.pointee.decoder.next(start, count: count, offset: &offset) {
      case .needMore:
        consume(input, count)
        return .wantsMore
      case .data(let from, let length):
        reader.pointee.seen += Int64(length)
        guard reader.pointee.seen <= reader.pointee.bound else { return .tooLarge }
        guard emit(input, from, length, transport, framing, &passed) else { return .exhausted }
      case .trailersBegin:
        if offset > 0 { consume(input, offset) }
        reader.pointee.state = .trailers
        return .wantsMore
      case .refused(let fault):
        return .malformed(fault)
      }
    }
  }

  /// Passes trailers on, without those that change what was already said (RFC 9110 section 6.5.1).
  private func relayTrailers(
    _ reader: UnsafeMutablePointer<BodyReader>,
    from input: UnsafeMutablePointer<Input>,
    to transport: Transport,
    framing: BodyFraming
  ) -> RelayOutcome {
    var section = TrailerSection()
    while true {
      let start = bytes(input)
      switch TrailerParser.parse(
        start,
        count: input.pointee.count,
        limits: Self.trailerLimits,
        fields: responseFields,
        into: &section
      )
      {
      case .refused(let fault): return .malformed(fault)
      case .incomplete:
        guard join(input) else { return .wantsMore }
      case .complete:
        // They do not lie with the rest, where a repeat would find them.
        if section.fieldCount > 0, keeper >= 0 { loseBody(exchanges[keeper]) }
        let keepsReports = takeTrailerReports(start, Int(section.fieldCount))
        if transport.isStream {
          guard
            holdTrailers(
              transport,
              start,
              Int(section.fieldCount),
              keepsReports: keepsReports
            )
          else { return .exhausted }
        } else if framing == .chunked {
          guard put(transport, "0\r\n") else { return .exhausted }
          for index in 0..<Int(section.fieldCount) {
            let field = responseFields[index]
            guard !Self.isForbiddenInTrailers(field.known),
              keepsReports || !field.known.isLoadReport
            else { continue }
            guard put(transport, start + Int(field.nameStart), Int(field.nameLength)),
              put(transport, ": "),
              put(transport, start + Int(field.valueStart), Int(field.valueLength)),
              put(transport, "\r\n")
            else { return .exhausted }
          }
          guard put(transport, "\r\n") else { return .exhausted }
        }
        consume(input, Int(section.length))
        reader.pointee.state = .complete
        return .complete
      }
    }
  }

  /// Fields that would change routing, framing or identity after the fact.
  static func isForbiddenInTrailers(_ field: KnownField) -> Bool {
    switch field {
    case .host, .contentLength, .transferEncoding, .connection, .keepAlive, .proxyConnection, .te,
      .trailer, .upgrade, .expect, .via, .xForwardedFor, .xForwardedProto, .xForwardedHost,
      .forwarded, .xRequestID, .authorization, .cookie, .setCookie, .contentType:
      true
    default: false
    }
  }

  /// Bounds on a trailer section; checksums and gRPC statuses need little.
  static let trailerLimits = HeadLimits(maximumBytes: 8_192, maximumFields: 64)

  /// Queues a slice of the input, framed.
  private func emit(
    _ input: UnsafeMutablePointer<Input>,
    _ offset: Int,
    _ count: Int,
    _ transport: Transport,
    _ framing: BodyFraming,
    _ passed: inout Int64
  ) -> Bool {
    guard count > 0 else { return true }
    passed += Int64(count)
    let bytes = bytes(input) + offset
    if keeper >= 0 { keep(exchanges[keeper], bytes, count) }
    guard framing == .chunked else { return putBody(input, bytes, count, transport) }
    return putChunkSize(transport, count) && putBody(input, bytes, count, transport)
      && put(transport, "\r\n")
  }

  private func putBody(
    _ input: UnsafeMutablePointer<Input>,
    _ bytes: UnsafeMutablePointer<UInt8>,
    _ count: Int,
    _ transport: Transport
  ) -> Bool {
    if count <= Self.copyThreshold, append(transport, bytes, count: count) { return true }
    let block = input.pointee.block
    reactor.pool.retain(block)
    return write(
      transport,
      block: block,
      start: bytes - reactor.pool.bytes(block),
      count: count
    )
  }

  func putChunkSize(_ transport: Transport, _ count: Int) -> Bool {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 18) { text in
      guard let base = text.baseAddress else { return false }
      var writer = ByteWriter(base, capacity: 18)
      writer.hexadecimal(UInt64(count))
      writer.crlf()
      return put(transport, base, writer.count)
    }
  }

  func put(_ transport: Transport, _ text: StaticString) -> Bool {
    put(transport, text.utf8Start, text.utf8CodeUnitCount)
  }

  /// Queues a few bytes by copying them, into a fresh block where the last one has no room.
  func put(_ transport: Transport, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    guard count > 0 else { return true }
    if append(transport, bytes, count: count) { return true }
    let block = reactor.pool.acquire()
    guard block >= 0 else { return false }
    reactor.pool.bytes(block).update(from: bytes, count: count)
    return write(transport, block: block, start: 0, count: count)
  }
}
