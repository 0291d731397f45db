/// Reads HTTP messages from a socket, piece by piece, each wait with a deadline.
///
/// Used by one thread. Both ends of the edge are read with it: the client reads responses and the
/// scripted upstream reads requests.
final class ByteStream {
  /// The body of a message as far as it came.
  struct Body {
    var bytes: [UInt8] = []
    var trailers: [Field] = []
    /// False when the stream ended before the framing said so.
    var isComplete = true
    /// Whether the sender used chunks.
    var isChunked = false
  }

  let socket: Socket
  /// How the stream ended, nil while it has not.
  private(set) var end: Socket.End?
  /// Hears every byte as it comes from the socket.
  var tap: ([UInt8]) -> Void = { _ in }

  private var buffer: [UInt8] = []
  private var start = 0

  init(_ socket: Socket) { self.socket = socket }

  /// Bytes that came and were not consumed.
  var pending: ArraySlice<UInt8> { buffer[start...] }

  /// Receives once; false at the end of the stream.
  func fill(by deadline: Deadline) throws -> Bool {
    if end != nil { return false }
    switch try socket.receive(atMost: 65_536, by: deadline) {
    case .success(let bytes):
      tap(bytes)
      if start == buffer.count {
        buffer = bytes
        start = 0
      } else {
        buffer.append(contentsOf: bytes)
      }
      return true
    case .failure(let ended):
      end = ended.end
      return false
    }
  }

  /// Takes what is there, at most `limit` bytes; at least one unless the stream ended.
  func some(atMost limit: Int, by deadline: Deadline = Deadline()) throws -> [UInt8] {
    while pending.isEmpty {
      if try !fill(by: deadline) { return [] }
    }
    let part = Array(pending.prefix(limit))
    start += part.count
    return part
  }

  /// Takes exactly `count` bytes, fewer only when the stream ended before.
  func exactly(_ count: Int, by deadline: Deadline = Deadline()) throws -> [UInt8] {
    var taken: [UInt8] = []
    taken.reserveCapacity(count)
    while taken.count < count {
      let part = try some(atMost: count - taken.count, by: deadline)
      if part.isEmpty { break }
      taken.append(contentsOf: part)
    }
    return taken
  }

  /// Takes everything up to the end of the stream.
  func rest(by deadline: Deadline = Deadline()) throws -> [UInt8] {
    var taken: [UInt8] = []
    while true {
      let part = try some(atMost: .max, by: deadline)
      if part.isEmpty { return taken }
      taken.append(contentsOf: part)
    }
  }

  /// The next head through its empty line, nil when the stream ends before one begins.
  func head(by deadline: Deadline = Deadline()) throws -> MessageHead? {
    while true {
      if let end = endOfHead() {
        let bytes = Array(buffer[start..<end])
        start = end
        return try MessageHead(bytes)
      }
      if try !fill(by: deadline) {
        if pending.isEmpty { return nil }
        let text = String(decoding: pending, as: UTF8.self).debugDescription
        throw WireFailure("the stream ended inside a head: \(text)")
      }
    }
  }

  /// The body that `head` announces; `hasBody` false for what has none whatever the fields say.
  func body(
    of head: MessageHead,
    untilCloseWhenUnframed: Bool,
    by deadline: Deadline = Deadline()
  ) throws -> Body {
    if head.isChunked { return try chunkedBody(by: deadline) }
    if let length = head.contentLength {
      let bytes = try exactly(length, by: deadline)
      return Body(bytes: bytes, isComplete: bytes.count == length)
    }
    guard untilCloseWhenUnframed else { return Body() }
    let bytes = try rest(by: deadline)
    return Body(bytes: bytes, isComplete: end == .finished)
  }

  /// Takes one line without its CRLF, nil when the stream ended before.
  func line(by deadline: Deadline = Deadline()) throws -> String? {
    while true {
      if let feed = pending.firstIndex(of: 0x0A) {
        let line = buffer[start..<feed]
        start = feed + 1
        guard line.last == 0x0D else { throw WireFailure("a line without CR") }
        return String(decoding: line.dropLast(), as: UTF8.self)
      }
      if try !fill(by: deadline) { return nil }
    }
  }

  private func chunkedBody(by deadline: Deadline) throws -> Body {
    var body = Body(isComplete: false, isChunked: true)
    while true {
      guard let line = try line(by: deadline) else { return body }
      let digits = line.prefix { $0 != ";" }
      guard let size = Int(digits, radix: 16), size >= 0, !digits.hasPrefix("+") else {
        throw WireFailure("no chunk size: \(line.debugDescription)")
      }
      if size == 0 { break }
      let data = try exactly(size, by: deadline)
      body.bytes.append(contentsOf: data)
      guard data.count == size else { return body }
      guard let after = try self.line(by: deadline) else { return body }
      guard after.isEmpty else { throw WireFailure("chunk data runs on: \(after)") }
    }
    while let line = try line(by: deadline) {
      if line.isEmpty {
        body.isComplete = true
        break
      }
      guard let colon = line.firstIndex(of: ":") else { throw WireFailure("no trailer: \(line)") }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      body.trailers.append(Field(name: String(line[..<colon]), value: String(value)))
    }
    return body
  }

  private func endOfHead() -> Int? {
    var index = start
    while index + 3 < buffer.count {
      if buffer[index] == 0x0D, buffer[index + 1] == 0x0A, buffer[index + 2] == 0x0D,
        buffer[index + 3] == 0x0A
      {
        return index + 4
      }
      index += 1
    }
    return nil
  }
}
