/// What a script can do with the connection that brought a request.
///
/// Lives on the thread of its connection. Sending after the edge went away throws, which ends the
/// connection and fails nothing: edges do go away.
final class UpstreamPeer {
  let socket: Socket
  let connection: Int
  private let stream: ByteStream
  private let upstream: ScriptedUpstream
  private(set) var isDone = false

  init(_ socket: Socket, connection: Int, upstream: ScriptedUpstream) {
    self.socket = socket
    self.connection = connection
    self.upstream = upstream
    stream = ByteStream(socket)
    stream.tap = { upstream.note($0, on: connection) }
  }

  func nextHead() throws -> MessageHead? { try stream.head(by: Deadline(after: .seconds(120))) }

  /// Reads the body of `request` to its end and records it.
  @discardableResult
  func readBody(of request: UpstreamRequest) throws -> UpstreamRequest {
    var request = request
    let wait = Deadline(after: .seconds(60))
    let body = try stream.body(of: request.head, untilCloseWhenUnframed: false, by: wait)
    request.body = body.bytes
    request.trailers = body.trailers
    request.isComplete = body.isComplete
    upstream.record(request)
    if !body.isComplete {
      upstream.noteCancelled()
      throw WireFailure("the edge went away inside a body")
    }
    return request
  }

  /// Takes part of a body or of a tunnel as it comes; empty at the end.
  func some(atMost limit: Int = 65_536) throws -> [UInt8] {
    try stream.some(atMost: limit, by: Deadline(after: .seconds(60)))
  }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    try socket.send(bytes, by: Deadline(after: .seconds(60))) { upstream.noteSent($0) }
  }

  /// A whole response with a length.
  func respond(_ status: Int = 200, _ body: String = "", _ extra: String...) throws {
    let lines = (["Content-Length: \(body.utf8.count)"] + extra).map { $0 + "\r\n" }.joined()
    try send("HTTP/1.1 \(status) Scripted\r\n\(lines)\r\n\(body)")
  }

  /// Waits until the edge ends the connection, as one that never answers.
  func hang() throws {
    isDone = true
    while try !stream.some(atMost: .max, by: Deadline(after: .seconds(60))).isEmpty {}
    upstream.noteCancelled()
  }

  /// Sends back what comes until the edge says that no more does, then `farewell`.
  func echo(farewell: String = "") throws {
    isDone = true
    while true {
      let part = try stream.some(atMost: .max, by: Deadline(after: .seconds(60)))
      if part.isEmpty { break }
      try send(part)
    }
    try send(farewell)
    close()
  }

  /// Agreement to a WebSocket: key and answer are those of RFC 6455 section 1.3.
  static let webSocketAgreement =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

  /// Agrees to a WebSocket and sends back what comes, then `farewell`.
  func acceptWebSocket(farewell: String = "") throws {
    try send(Self.webSocketAgreement)
    try echo(farewell: farewell)
  }

  func finish() { socket.finish() }

  func close() {
    isDone = true
    socket.close()
  }

  func reset() {
    isDone = true
    socket.reset()
  }
}
