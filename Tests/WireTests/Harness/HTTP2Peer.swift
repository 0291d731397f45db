import HTTPCodec
import Units

/// One connection of an `HTTP2Upstream`, from the service's side, for its thread alone.
final class HTTP2Peer {
  /// What came.
  struct Note {
    enum Kind {
      case head(method: String, target: String, fields: [Field], isLast: Bool)
      case body([UInt8], isLast: Bool)
      case trailers([Field])
      case gone(H2Closed)
      case farewell(H2ErrorCode)
    }

    var number: Int32
    var stream: Int32
    var kind: Kind
  }

  private struct Outgoing {
    var bytes: UnsafeMutablePointer<UInt8>
    var count: Int
    var sent = 0
    var isLast: Bool
    var trailers: [(String, String)]
  }

  private let socket: Socket
  private let workspace = H2Workspace(streams: 2_000)
  private let session: H2Session
  private var outgoing: [Int32: Outgoing] = [:]
  private var numbers: [Int32: Int32] = [:]
  /// Whether bodies are taken, so that the edge may send more.
  var reads = true
  private var unread: [Int32: Int] = [:]
  /// The script writes frames of its own: what the codec thinks of it does not count.
  private(set) var isRaw = false
  /// Nothing of the codec is sent any more.
  var isSilent = false
  private(set) var isClosed = false

  init(_ socket: Socket, _ settings: H2Settings) throws {
    self.socket = socket
    guard let session = H2Session(isServer: true, settings: settings, workspace: workspace)
    else { throw WireFailure("no session") }
    self.session = session
  }

  deinit {
    for entry in outgoing.values { entry.bytes.deallocate() }
  }

  var failure: H2Failure? { session.failure }

  // MARK: What scripts do

  /// Sends a response; without a body where `body` is `nil` and nothing more is to come.
  func respond(
    _ request: HTTP2Upstream.Request,
    _ status: Int,
    _ fields: [(String, String)] = [],
    body: [UInt8]? = nil,
    isLast: Bool = true,
    trailers: [(String, String)] = []
  ) throws {
    let ends = body == nil && isLast && trailers.isEmpty
    let isDone = workspace.withList(fields) {
      session.respond(request.stream, status: status, fields: $0, endsStream: ends)
    }
    guard isDone else { throw WireFailure("no response can be sent") }
    if !ends { add(body ?? [], request.stream, isLast, trailers) }
    try flush()
  }

  func inform(
    _ request: HTTP2Upstream.Request,
    _ status: Int,
    _ fields: [(String, String)] = []
  ) throws {
    let isDone = workspace.withList(fields) {
      session.inform(request.stream, status: status, fields: $0)
    }
    guard isDone else { throw WireFailure("no interim response can be sent") }
    try flush()
  }

  /// Sends more of a response's body.
  func send(
    _ request: HTTP2Upstream.Request,
    _ bytes: [UInt8],
    isLast: Bool = false,
    trailers: [(String, String)] = []
  ) throws {
    add(bytes, request.stream, isLast, trailers)
    try flush()
  }

  func reset(_ request: HTTP2Upstream.Request, _ code: H2ErrorCode) throws {
    session.reset(request.stream, code)
    try flush()
  }

  /// Says GOAWAY, with the last request that came as the last one that is taken.
  func goAway() throws {
    session.shutDown()
    try flush()
  }

  /// Sends bytes behind the codec's back.
  func raw(_ bytes: [UInt8]) throws {
    isRaw = true
    try socket.send(bytes, by: Deadline())
  }

  /// Ends the connection.
  func close() {
    isClosed = true
    socket.interrupt()
  }

  /// Takes bodies from now on, those that came before among them.
  func readOn() throws {
    reads = true
    for (stream, count) in unread { session.consume(stream, count) }
    unread = [:]
    try flush()
  }

  private func add(
    _ more: [UInt8],
    _ stream: Int32,
    _ isLast: Bool,
    _ trailers: [(String, String)]
  ) {
    let entry = outgoing[stream]
    let left = (entry?.count ?? 0) - (entry?.sent ?? 0)
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, left + more.count))
    if let entry {
      bytes.update(from: entry.bytes + entry.sent, count: left)
      entry.bytes.deallocate()
    }
    more.withUnsafeBufferPointer { part in
      if let base = part.baseAddress { (bytes + left).update(from: base, count: part.count) }
    }
    outgoing[stream] = Outgoing(
      bytes: bytes,
      count: left + more.count,
      isLast: isLast,
      trailers: trailers
    )
    let place: H2Session.Offer = !isLast ? .more : trailers.isEmpty ? .last : .beforeTrailers
    session.offer(stream, bytes, count: left + more.count, place)
  }

  // MARK: Turning

  func receive() throws -> Result<[UInt8], EndOfStream> {
    try socket.receive(atMost: 16_384, by: Deadline(after: .seconds(600)))
  }

  /// Sends all that may be sent.
  func flush() throws {
    guard !isSilent else { return }
    var block = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = block.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.map { session.send(into: $0, capacity: buffer.count) } ?? 0
      }
      let hasNews = progress()
      guard count > 0 || hasNews else { return }
      if count > 0 { try? socket.send(block[..<count], by: Deadline()) }
    }
  }

  private func progress() -> Bool {
    var hasNews = false
    while true {
      let stream = session.nextProgress()
      guard stream >= 0 else { return hasNews }
      outgoing[stream]?.sent += session.takeSent(stream)
      if session.awaitsTrailers(stream), let trailers = outgoing[stream]?.trailers {
        hasNews = workspace.withList(trailers) { session.finish(stream, trailers: $0) }
      }
    }
  }

  /// Takes bytes that came, and tells of each thing that they say.
  func take(_ bytes: [UInt8], _ tell: (Note) -> Void) {
    bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      var offset = 0
      repeat {
        let part = base + offset
        offset += session.receive(part, count: buffer.count - offset, at: Instant(0))
        var notes: [Note] = []
        while let event = session.nextEvent() { note(event, part).map { notes.append($0) } }
        for note in notes { tell(note) }
        while let closed = session.nextClosed() {
          outgoing.removeValue(forKey: closed.stream)?.bytes.deallocate()
          unread[closed.stream] = nil
          let number = numbers.removeValue(forKey: closed.stream) ?? -1
          tell(Note(number: number, stream: closed.stream, kind: .gone(closed)))
        }
      } while offset < buffer.count || session.isPaused
    }
  }

  private func note(_ event: H2Event, _ bytes: UnsafePointer<UInt8>) -> Note? {
    let stream = event.stream
    func note(_ kind: Note.Kind) -> Note {
      Note(number: stream < 0 ? -1 : numbers[stream] ?? -1, stream: stream, kind: kind)
    }
    switch event.kind {
    case .request:
      numbers[stream] = session.number(of: stream)
      let head = workspace.request(event)
      func text(_ start: UInt16, _ length: UInt16) -> String {
        String(
          decoding: UnsafeBufferPointer(start: head.bytes + Int(start), count: Int(length)),
          as: UTF8.self
        )
      }
      var fields = (0..<Int(head.head.fieldCount)).map { Field(head.fields[$0], of: head.bytes) }
      if head.scheme != .none {
        let scheme = head.scheme == .https ? "https" : "http"
        fields.append(Field(name: ":scheme", value: scheme))
      }
      if let name = head.protocolName {
        let part = UnsafeBufferPointer(start: name, count: head.protocolLength)
        fields.append(Field(name: ":protocol", value: String(decoding: part, as: UTF8.self)))
      }
      return note(
        .head(
          method: text(head.head.methodStart, head.head.methodLength),
          target: text(head.head.targetStart, head.head.targetLength),
          fields: fields,
          isLast: event.isLast
        )
      )
    case .data:
      let part = UnsafeBufferPointer(start: bytes + Int(event.start), count: Int(event.count))
      if reads {
        session.consume(stream, Int(event.count))
      } else {
        unread[stream, default: 0] += Int(event.count)
      }
      return note(.body(Array(part), isLast: event.isLast))
    case .trailers:
      let section = workspace.trailers(event)
      let fields = (0..<Int(section.section.fieldCount)).map {
        Field(section.fields[$0], of: section.bytes)
      }
      return note(.trailers(fields))
    case .goAway: return note(.farewell(event.code))
    case .response, .interim, .oversizedRequest, .malformed, .settings, .pong: return nil
    }
  }
}
