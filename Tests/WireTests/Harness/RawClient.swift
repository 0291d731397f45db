/// A client that sends what it is told, byte for byte, and reads responses strictly.
final class RawClient {
  let socket: Socket
  /// What `sendInBackground` left for `flush`.
  var unsent: [UInt8] = []
  private let stream: ByteStream

  init(_ socket: Socket) {
    self.socket = socket
    stream = ByteStream(socket)
  }

  convenience init(port: UInt16, receiveBuffer: Int32? = nil) throws {
    self.init(try Socket.connected(to: port, receiveBuffer: receiveBuffer))
  }

  // MARK: Sending

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8], within span: Duration = Deadline.patience) throws {
    try socket.send(bytes, by: Deadline(after: span))
  }

  /// Sends to a peer that may close at any moment; false when it did.
  @discardableResult
  func trySend(_ bytes: [UInt8]) -> Bool {
    do {
      try socket.send(bytes, by: Deadline())
      return true
    } catch {
      return false
    }
  }

  @discardableResult
  func trySend(_ text: String) -> Bool { trySend(Array(text.utf8)) }

  /// Sends each byte with a call of its own.
  func dribble(_ text: String) throws {
    for byte in text.utf8 { try send([byte]) }
  }

  /// A request of the common kind: `GET PATH` with a Host and the `extra` field lines.
  func request(_ method: String = "GET", _ path: String = "/", _ extra: String...) throws {
    let lines = extra.map { $0 + "\r\n" }.joined()
    try send("\(method) \(path) HTTP/1.1\r\nHost: edge.test\r\n\(lines)\r\n")
  }

  /// A request and the response to it.
  func exchange(
    _ method: String = "GET",
    _ path: String = "/",
    _ extra: String...
  ) throws -> RawResponse {
    let lines = extra.map { $0 + "\r\n" }.joined()
    try send("\(method) \(path) HTTP/1.1\r\nHost: edge.test\r\n\(lines)\r\n")
    return try response(to: method)
  }

  /// A POST of `body` with its length.
  func post(_ path: String = "/", _ body: String, _ extra: String...) throws {
    let lines = (["Content-Length: \(body.utf8.count)"] + extra).map { $0 + "\r\n" }.joined()
    try send("POST \(path) HTTP/1.1\r\nHost: edge.test\r\n\(lines)\r\n\(body)")
  }

  func finish() { socket.finish() }
  func reset() { socket.reset() }
  func close() { socket.close() }

  // MARK: Receiving

  /// The next final response with the interim ones that came before it.
  func response(
    to method: String = "GET",
    within span: Duration = Deadline.patience
  ) throws -> RawResponse {
    let deadline = Deadline(after: span)
    var interim: [RawResponse] = []
    while true {
      var next = try head(by: deadline)
      if next.isInterim {
        interim.append(next)
        continue
      }
      next.interim = interim
      try readBody(of: &next, to: method, by: deadline)
      return next
    }
  }

  /// The next response head, interim or final, without its body.
  func head(within span: Duration = Deadline.patience) throws -> RawResponse {
    try head(by: Deadline(after: span))
  }

  /// Reads the body of a response whose head came from `head`.
  func readBody(
    of response: inout RawResponse,
    to method: String = "GET",
    within span: Duration = Deadline.patience
  ) throws {
    try readBody(of: &response, to: method, by: Deadline(after: span))
  }

  /// Bytes as they come, at most `limit`; none at the end of the stream.
  func some(atMost limit: Int = 65_536) throws -> [UInt8] { try stream.some(atMost: limit) }

  /// Exactly so many bytes of a tunnel, as text.
  func text(_ count: Int) throws -> String {
    String(decoding: try stream.exactly(count), as: UTF8.self)
  }

  /// Waits for the end of the stream and returns what came before it.
  func rest(within span: Duration = Deadline.patience) throws -> [UInt8] {
    try stream.rest(by: Deadline(after: span))
  }

  /// How the stream ended, after `rest`.
  var end: Socket.End? { stream.end }

  /// Whether the edge closed with nothing more to say; waits for it.
  func isClosedSilently(within span: Duration = Deadline.patience) -> Bool {
    do {
      return try stream.rest(by: Deadline(after: span)).isEmpty
    } catch {
      return false
    }
  }

  private func head(by deadline: Deadline) throws -> RawResponse {
    guard let head = try stream.head(by: deadline) else {
      throw WireFailure("the edge closed without a response (\(String(describing: stream.end)))")
    }
    return try RawResponse(head)
  }

  private func readBody(
    of response: inout RawResponse,
    to method: String,
    by deadline: Deadline
  ) throws {
    if method == "HEAD" || [101, 204, 304].contains(response.status) { return }
    let isFramed = response.head.isChunked || response.head.contentLength != nil
    let body = try stream.body(of: response.head, untilCloseWhenUnframed: true, by: deadline)
    response.framing = !isFramed ? .untilClose : body.isChunked ? .chunked : .length
    response.body = body.bytes
    response.trailers = body.trailers
    response.isComplete = body.isComplete
  }
}
