import HTTPCodec
import Units

/// A client of HTTP/2 with prior knowledge, for one thread: what it is told to, it does at once.
///
/// It judges what comes as strictly as the codec does, which is the same one as the edge's, so
/// that frames of hand-made bytes are for `HTTP2Frames`.
final class HTTP2Client {
  /// What came on one stream.
  struct Answer {
    var status = 0
    var fields: [Field] = []
    var interim: [Int] = []
    var body: [UInt8] = []
    var trailers: [Field] = []
    /// Set when the stream is gone.
    var closed: H2Closed?

    var isComplete: Bool { closed?.isReceived ?? false }
    var text: String { String(decoding: body, as: UTF8.self) }
    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
  }

  /// What one stream sends, at a place that does not move.
  private struct Outgoing {
    var stream: Int32
    var bytes: UnsafeMutablePointer<UInt8>
    var count: Int
    var sent = 0
    var isLast: Bool
    var trailers: [Field]
  }

  let socket: Socket
  private let workspace = H2Workspace(streams: 1_000)
  private let session: H2Session
  private(set) var answers: [Int32: Answer] = [:]
  private var outgoing: [Int32: Outgoing] = [:]
  private var nextToken: Int32 = 0
  /// GOAWAY frames that came.
  private(set) var farewells: [(last: Int32, code: H2ErrorCode)] = []
  private(set) var end: Socket.End?
  /// Whether bodies that come are taken, so that the edge may send more.
  var reads = true
  /// While it is set nothing is sent, so that many frames leave in one piece with the next `flush`.
  var isCorked = false
  private var unread: [Int32: (stream: Int32, count: Int)] = [:]

  init(_ socket: Socket, settings: H2Settings = H2Settings(maximumStreams: 100)) throws {
    self.socket = socket
    guard let session = H2Session(isServer: false, settings: settings, workspace: workspace)
    else { throw WireFailure("no session") }
    self.session = session
  }

  deinit {
    for entry in outgoing.values { entry.bytes.deallocate() }
  }

  // MARK: Requests

  /// Begins a request and names it.
  @discardableResult
  func request(
    _ method: String = "GET",
    _ path: String = "/",
    _ fields: [(String, String)] = [],
    body: [UInt8]? = nil,
    isLast: Bool = true,
    trailers: [Field] = [],
    replacing pseudo: [(String, String)] = [
      (":scheme", "http"), (":authority", "edge.test"),
    ]
  ) throws -> Int32 {
    let lines =
      [(":method", method)] + pseudo + (path.isEmpty ? [] : [(":path", path)]) + fields
    let known: HTTPCodec.Method = method == "HEAD" ? .head : method == "CONNECT" ? .connect : .get
    let stream = workspace.withList(lines) {
      session.request(known, fields: $0, endsStream: body == nil && isLast && trailers.isEmpty)
    }
    guard stream >= 0 else { throw WireFailure("no request can be made") }
    let token = nextToken
    nextToken += 1
    session.setToken(token, of: stream)
    answers[token] = Answer()
    outgoing[token] = Outgoing(
      stream: stream,
      bytes: .allocate(capacity: 1),
      count: 0,
      isLast: false,
      trailers: trailers
    )
    if body != nil || !trailers.isEmpty { try add(body ?? [], to: token, isLast: isLast) }
    try flush()
    try greet()
    return token
  }

  /// Takes the edge's SETTINGS and acknowledges them: the edge ends who does not within its
  /// `settingsTimeout`, and a test may look elsewhere for longer than that.
  private func greet() throws {
    guard !isCorked else { return }
    while !session.knowsPeer { guard try turn() else { return } }
  }

  /// Sends more of a request's body.
  func send(_ bytes: [UInt8], on token: Int32, isLast: Bool = false) throws {
    try add(bytes, to: token, isLast: isLast)
    try flush()
  }

  func reset(_ token: Int32, _ code: H2ErrorCode = .cancel) throws {
    guard let entry = outgoing[token] else {
      // It was over before.
      guard answers[token]?.closed == nil else { return }
      throw WireFailure("no such request")
    }
    session.reset(entry.stream, code)
    try flush()
  }

  func ping() throws {
    session.ping(7)
    try flush()
  }

  /// Bytes of a request's body that the edge has given room for.
  func sent(_ token: Int32) -> Int { outgoing[token]?.sent ?? 0 }

  private func add(_ more: [UInt8], to token: Int32, isLast: Bool) throws {
    guard var entry = outgoing[token] else { throw WireFailure("no such request") }
    let left = entry.count - entry.sent
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, left + more.count))
    bytes.update(from: entry.bytes + entry.sent, count: left)
    more.withUnsafeBufferPointer { part in
      if let base = part.baseAddress { (bytes + left).update(from: base, count: part.count) }
    }
    entry.bytes.deallocate()
    entry.bytes = bytes
    entry.count = left + more.count
    entry.sent = 0
    entry.isLast = isLast
    outgoing[token] = entry
    let place: H2Session.Offer = !isLast ? .more : entry.trailers.isEmpty ? .last : .beforeTrailers
    session.offer(entry.stream, bytes, count: entry.count, place)
  }

  // MARK: Turning

  /// Sends all that may be sent.
  func flush() throws {
    guard !isCorked else { return }
    var block = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = block.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.map { session.send(into: $0, capacity: buffer.count) } ?? 0
      }
      let hasNews = progress()
      guard count > 0 || hasNews else { return }
      if count > 0, end == nil { try? socket.send(block[..<count], by: Deadline()) }
    }
  }

  private func progress() -> Bool {
    var hasNews = false
    while true {
      let stream = session.nextProgress()
      guard stream >= 0 else { break }
      guard let token = outgoing.first(where: { $0.value.stream == stream })?.key else { continue }
      outgoing[token]?.sent += session.takeSent(stream)
      if session.awaitsTrailers(stream), let trailers = outgoing[token]?.trailers {
        hasNews = workspace.withList(trailers.map { ($0.name, $0.value) }) {
          session.finish(stream, trailers: $0)
        }
      }
    }
    takeClosed()
    return hasNews
  }

  private func takeClosed() {
    while let closed = session.nextClosed() {
      answers[closed.token]?.closed = closed
      outgoing.removeValue(forKey: closed.token)?.bytes.deallocate()
      unread[closed.token] = nil
    }
  }

  /// Receives once; false at the end of the connection.
  @discardableResult
  func turn(by deadline: Deadline = Deadline()) throws -> Bool {
    guard end == nil else { return false }
    switch try socket.receive(atMost: 16_384, by: deadline) {
    case .failure(let ended):
      end = ended.end
      return false
    case .success(let bytes): take(bytes)
    }
    try flush()
    return true
  }

  private func take(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      var offset = 0
      repeat {
        let part = base + offset
        offset += session.receive(part, count: buffer.count - offset, at: Instant(0))
        while let event = session.nextEvent() { take(event, part) }
        takeClosed()
      } while offset < buffer.count || session.isPaused
    }
  }

  private func take(_ event: H2Event, _ bytes: UnsafePointer<UInt8>) {
    switch event.kind {
    case .interim:
      answers[event.token]?.interim.append(Int(workspace.response(event).head.status))
    case .response:
      let head = workspace.response(event)
      answers[event.token]?.status = Int(head.head.status)
      answers[event.token]?.fields = (0..<Int(head.head.fieldCount)).map {
        Field(head.fields[$0], of: head.bytes)
      }
    case .data:
      let part = UnsafeBufferPointer(start: bytes + Int(event.start), count: Int(event.count))
      answers[event.token]?.body.append(contentsOf: part)
      if reads {
        session.consume(event.stream, Int(event.count))
      } else {
        unread[event.token, default: (event.stream, 0)].count += Int(event.count)
      }
    case .trailers:
      let section = workspace.trailers(event)
      answers[event.token]?.trailers = (0..<Int(section.section.fieldCount)).map {
        Field(section.fields[$0], of: section.bytes)
      }
    case .goAway: farewells.append((event.start, event.code))
    case .request, .oversizedRequest, .malformed, .settings, .pong: break
    }
  }

  /// Takes bodies from now on, those that came before among them.
  func readOn() throws {
    reads = true
    for entry in unread.values { session.consume(entry.stream, entry.count) }
    unread = [:]
    try flush()
  }

  // MARK: Waiting

  /// Takes what comes until `condition` holds.
  func wait(
    _ what: String,
    within span: Duration = Deadline.patience,
    until condition: (HTTP2Client) -> Bool
  ) throws {
    let deadline = Deadline(after: span)
    while !condition(self) {
      guard try turn(by: deadline) else {
        throw WireFailure("the connection ended (\(String(describing: end))) before \(what)")
      }
    }
  }

  /// The answer to a request, once its stream is gone.
  func answer(_ token: Int32, within span: Duration = Deadline.patience) throws -> Answer {
    try wait("answer \(token)", within: span) { $0.answers[token]?.closed != nil }
    return answers[token] ?? Answer()
  }

  /// The head of an answer, with what else came along.
  func head(_ token: Int32) throws -> Answer {
    try wait("head \(token)") { ($0.answers[token]?.status ?? 0) > 0 }
    return answers[token] ?? Answer()
  }

  /// A request and the answer to it.
  func exchange(
    _ method: String = "GET",
    _ path: String = "/",
    _ fields: [(String, String)] = [],
    body: [UInt8]? = nil
  ) throws -> Answer {
    try answer(request(method, path, fields, body: body))
  }

  /// Takes what comes until the edge ends the connection.
  func untilClosed(within span: Duration = Deadline.patience) throws {
    let deadline = Deadline(after: span)
    while try turn(by: deadline) {}
  }

  /// Streams that the edge lets it have open, as its SETTINGS said last.
  var maximumStreams: Int { session.peerMaximumStreams }

  /// What the codec has against the edge.
  var failure: H2Failure? { session.failure }

  func close() { socket.close() }
}

extension Field {
  init(_ field: HeadField, of bytes: UnsafePointer<UInt8>) {
    func text(_ start: UInt16, _ length: UInt16) -> String {
      let part = UnsafeBufferPointer(start: bytes + Int(start), count: Int(length))
      return String(decoding: part, as: UTF8.self)
    }
    self.init(
      name: text(field.nameStart, field.nameLength),
      value: text(field.valueStart, field.valueLength)
    )
  }
}
