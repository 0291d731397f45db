internal import HTTPCodec
internal import Units

/// Turns the bytes of an answer into the events of a call (RFC 9112 section 6); no I/O.
///
/// ```
/// head ─┬─▶ length ───────────────▶ ended
///  ▲ │  ├─▶ chunks ─▶ trailers ──────▲
///  └─┘  └────────────────────────────┘
///  1xx
/// ```
///
/// What it reads was framed by a worker, which never ends a body by ending the connection.
struct CallReader {
  private enum State {
    case head
    case length(Int64)
    case chunks(ChunkedDecoder)
    case trailers
    case ended
  }

  /// Chunk extensions: a worker writes none.
  private static let extensionBytes = 0

  private let method: Method
  private let isStream: Bool
  private let maximumBytes: Int
  private var state = State.head
  /// Bytes of a head or of trailers that are not complete, at most those and one read.
  private var pending: [UInt8] = []
  private var content = 0

  /// - Parameters:
  ///   - method: That of the request: the answer to HEAD has no body.
  ///   - isStream: Whether its content has no bound.
  ///   - maximumBytes: The bound of content otherwise.
  init(method: Method, isStream: Bool, maximumBytes: Int) {
    self.method = method
    self.isStream = isStream
    self.maximumBytes = maximumBytes
  }

  /// Whether the head of the answer has come.
  var hasHead: Bool {
    if case .head = state { false } else { true }
  }

  var hasEnded: Bool {
    if case .ended = state { true } else { false }
  }

  /// Takes bytes that came.
  ///
  /// - Returns: What they mean, `.end` included; what lies behind it is dropped.
  mutating func take(_ bytes: UnsafeBufferPointer<UInt8>) throws(CallFault) -> [ServiceEvent] {
    var events: [ServiceEvent] = []
    switch state {
    case .head, .trailers:
      pending.append(contentsOf: bytes)
      let all = pending
      pending = []
      let used = try read(all, into: &events)
      pending = Array(all[used...])
    case .length, .chunks, .ended:
      pending = try Array(bytes.dropFirst(read(Array(bytes), into: &events)))
    }
    return events
  }

  /// - Returns: How many bytes were used; the rest begins a section that is not complete.
  private mutating func read(
    _ bytes: [UInt8],
    into events: inout [ServiceEvent]
  ) throws(CallFault) -> Int {
    var offset = 0
    while true {
      switch state {
      case .head:
        guard let length = try readHead(bytes, from: offset, &events) else { return offset }
        offset += length
      case .length(let left):
        guard offset < bytes.count else { return offset }
        let count = Int(min(left, Int64(bytes.count - offset)))
        try add(bytes[offset..<(offset + count)], &events)
        offset += count
        state = .length(left - Int64(count))
        if left == Int64(count) { end(&events) }
      case .chunks(let decoder):
        guard try readChunks(bytes, decoder, &offset, &events) else { return offset }
      case .trailers:
        guard let length = try readTrailers(bytes, from: offset) else { return offset }
        offset += length
        end(&events)
      case .ended: return bytes.count
      }
    }
  }

  /// - Returns: Its length, `nil` while it is not complete.
  private mutating func readHead(
    _ bytes: [UInt8],
    from start: Int,
    _ events: inout [ServiceEvent]
  ) throws(CallFault) -> Int? {
    var head = ResponseHead()
    var fields: [ServiceField] = []
    let method = method
    let outcome = Self.parse(bytes, from: start) { place, count, table in
      let outcome = ResponseParser.parse(
        place,
        count: count,
        request: method,
        limits: CallBounds.head,
        fields: table,
        into: &head
      )
      guard outcome == .complete, !head.isInterim else { return outcome }
      fields.reserveCapacity(Int(head.fieldCount))
      for index in 0..<Int(head.fieldCount) { fields.append(Self.field(table[index], in: place)) }
      return outcome
    }
    switch outcome {
    case .incomplete: return nil
    case .refused(let fault): throw CallFault("its answer is malformed (\(fault.reason))")
    case .complete: break
    }
    guard !head.isInterim else { return Int(head.headLength) }
    guard !head.isUpgrade, head.framing != .untilClose else {
      throw CallFault("its answer is malformed (no end)")
    }
    if head.framing == .length, !isStream, head.contentLength > Int64(maximumBytes) {
      throw tooLarge
    }
    events.append(.head(status: Int(head.status), fields: fields))
    switch head.framing {
    case .length: state = .length(head.contentLength)
    case .chunked: state = .chunks(ChunkedDecoder(maximumExtensionBytes: Self.extensionBytes))
    case .none, .untilClose: end(&events)
    }
    return Int(head.headLength)
  }

  /// - Returns: Whether there is more to read than chunks.
  private mutating func readChunks(
    _ bytes: [UInt8],
    _ decoder: ChunkedDecoder,
    _ offset: inout Int,
    _ events: inout [ServiceEvent]
  ) throws(CallFault) -> Bool {
    var decoder = decoder
    while true {
      let step = bytes.withUnsafeBufferPointer { bytes in
        bytes.baseAddress.map { decoder.next($0, count: bytes.count, offset: &offset) }
      }
      switch step {
      case nil, .needMore:
        state = .chunks(decoder)
        return false
      case .data(let start, let count): try add(bytes[start..<(start + count)], &events)
      case .trailersBegin:
        state = .trailers
        return true
      case .refused(let fault): throw CallFault("its answer is malformed (\(fault.reason))")
      }
    }
  }

  /// Trailers mean nothing to callers.
  ///
  /// - Returns: Their length with the empty line, `nil` while that has not come.
  private func readTrailers(_ bytes: [UInt8], from start: Int) throws(CallFault) -> Int? {
    var section = TrailerSection()
    let outcome = Self.parse(bytes, from: start) { place, count, table in
      TrailerParser.parse(
        place,
        count: count,
        limits: CallBounds.head,
        fields: table,
        into: &section
      )
    }
    switch outcome {
    case .incomplete: return nil
    case .complete: return Int(section.length)
    case .refused(let fault): throw CallFault("its answer is malformed (\(fault.reason))")
    }
  }

  private mutating func add(
    _ bytes: ArraySlice<UInt8>,
    _ events: inout [ServiceEvent]
  ) throws(CallFault) {
    guard !bytes.isEmpty else { return }
    if !isStream {
      content += bytes.count
      guard content <= maximumBytes else { throw tooLarge }
    }
    events.append(.body(Array(bytes)))
  }

  private var tooLarge: CallFault {
    CallFault("its answer is larger than \(maximumBytes) bytes")
  }

  private mutating func end(_ events: inout [ServiceEvent]) {
    state = .ended
    events.append(.end)
  }

  private static func field(
    _ field: HeadField,
    in bytes: UnsafePointer<UInt8>
  ) -> ServiceField {
    func text(_ start: UInt16, _ count: UInt16) -> String {
      String(
        decoding: UnsafeBufferPointer(start: bytes + Int(start), count: Int(count)),
        as: UTF8.self
      )
    }
    return ServiceField(
      text(field.nameStart, field.nameLength).lowercased(),
      text(field.valueStart, field.valueLength)
    )
  }

  /// Lends a parser what came and a table for its fields.
  private static func parse(
    _ bytes: [UInt8],
    from start: Int,
    _ body: (UnsafePointer<UInt8>, Int, UnsafeMutablePointer<HeadField>) -> ParseOutcome
  ) -> ParseOutcome {
    guard start < bytes.count else { return .incomplete }
    return bytes.withUnsafeBufferPointer { bytes in
      withUnsafeTemporaryAllocation(of: HeadField.self, capacity: HeadLimits.mostFields) { table in
        guard let place = bytes.baseAddress, let room = table.baseAddress else {
          return .incomplete
        }
        return body(place + start, bytes.count - start, room)
      }
    }
  }
}
