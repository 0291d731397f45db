import HTTPCodec

/// A request head parsed from a buffer of exactly the size of its bytes, so that the address
/// sanitizer sees any read past them.
struct ParsedRequest {
  var outcome: ParseOutcome
  var head: RequestHead
  var bytes: [UInt8]
  var fields: [HeadField]

  init(_ bytes: [UInt8], limits: HeadLimits = HeadLimits()) {
    var head = RequestHead()
    var outcome = ParseOutcome.incomplete
    fields = withTable(limits) { table in
      outcome = withExactBuffer(bytes) {
        RequestParser.parse($0, count: bytes.count, limits: limits, fields: table, into: &head)
      }
      return outcome == .complete ? Int(head.fieldCount) : 0
    }
    self.outcome = outcome
    self.head = head
    self.bytes = bytes
  }

  init(_ text: String, limits: HeadLimits = HeadLimits()) {
    self.init(Array(text.utf8), limits: limits)
  }

  var target: String { text(head.targetStart, head.targetLength) }
  var path: String { text(head.pathStart, head.pathLength) }
  var query: String? { head.hasQuery ? text(head.queryStart, head.queryLength) : nil }
  var authority: String { text(head.authorityStart, head.authorityLength) }
  var host: String { text(head.authorityStart, head.hostLength) }

  /// Names and values as text.
  var pairs: [String] {
    fields.map { text($0.nameStart, $0.nameLength) + "=" + text($0.valueStart, $0.valueLength) }
  }

  func text(_ start: UInt16, _ length: UInt16) -> String {
    String(decoding: bytes[Int(start)..<Int(start) + Int(length)], as: UTF8.self)
  }
}

/// A response head parsed like `ParsedRequest`.
struct ParsedResponse {
  var outcome: ParseOutcome
  var head: ResponseHead
  var bytes: [UInt8]
  var fields: [HeadField]

  init(_ bytes: [UInt8], to method: Method = .get, limits: HeadLimits = HeadLimits()) {
    var head = ResponseHead()
    var outcome = ParseOutcome.incomplete
    fields = withTable(limits) { table in
      outcome = withExactBuffer(bytes) {
        ResponseParser.parse(
          $0,
          count: bytes.count,
          request: method,
          limits: limits,
          fields: table,
          into: &head
        )
      }
      return outcome == .complete ? Int(head.fieldCount) : 0
    }
    self.outcome = outcome
    self.head = head
    self.bytes = bytes
  }

  init(_ text: String, to method: Method = .get, limits: HeadLimits = HeadLimits()) {
    self.init(Array(text.utf8), to: method, limits: limits)
  }

  func text(_ start: UInt16, _ length: UInt16) -> String {
    String(decoding: bytes[Int(start)..<Int(start) + Int(length)], as: UTF8.self)
  }
}

/// A trailer section parsed like `ParsedRequest`.
struct ParsedTrailers {
  var outcome: ParseOutcome
  var section: TrailerSection

  init(_ bytes: [UInt8], limits: HeadLimits = HeadLimits()) {
    var section = TrailerSection()
    var outcome = ParseOutcome.incomplete
    _ = withTable(limits) { table in
      outcome = withExactBuffer(bytes) {
        TrailerParser.parse($0, count: bytes.count, limits: limits, fields: table, into: &section)
      }
      return 0
    }
    self.outcome = outcome
    self.section = section
  }

  init(_ text: String, limits: HeadLimits = HeadLimits()) {
    self.init(Array(text.utf8), limits: limits)
  }
}

/// What a chunked body came to.
struct DecodedBody: Equatable {
  var data: [UInt8] = []
  /// `needMore`, `trailersBegin` or a refusal.
  var last = ChunkedDecoder.Step.needMore
  /// Bytes used over all pieces.
  var used = 0

  init(_ pieces: [[UInt8]], maximumExtensionBytes: Int = 64) {
    var decoder = ChunkedDecoder(maximumExtensionBytes: maximumExtensionBytes)
    for piece in pieces {
      var offset = 0
      withExactBuffer(piece) { bytes in
        while true {
          last = decoder.next(bytes, count: piece.count, offset: &offset)
          guard case .data(let start, let count) = last else { break }
          data += piece[start..<start + count]
        }
      }
      used += offset
      if last != .needMore { return }
    }
  }

  init(_ text: String, maximumExtensionBytes: Int = 64) {
    self.init([Array(text.utf8)], maximumExtensionBytes: maximumExtensionBytes)
  }
}

func withExactBuffer<Result>(
  _ bytes: [UInt8],
  _ body: (UnsafePointer<UInt8>) -> Result
) -> Result {
  let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
  defer { copy.deallocate() }
  for (index, byte) in bytes.enumerated() { copy[index] = byte }
  return body(UnsafePointer(copy))
}

/// Runs `body` with a field table and returns as many of its entries as it says.
private func withTable(
  _ limits: HeadLimits,
  _ body: (UnsafeMutablePointer<HeadField>) -> Int
) -> [HeadField] {
  let table = UnsafeMutablePointer<HeadField>.allocate(capacity: limits.maximumFields)
  defer { table.deallocate() }
  return Array(UnsafeBufferPointer(start: table, count: body(table)))
}
