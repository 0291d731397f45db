import HTTPCodec
import Units

/// What a peer was told, copied out of the workspace.
enum H2Note: Equatable {
  case request(Int32, [String], isLast: Bool)
  case oversized(Int32, H2HeadFault)
  case response(Int32, Int, [String], isLast: Bool)
  case interim(Int32, Int)
  case data(Int32, String, isLast: Bool)
  case trailers(Int32, [String])
  case malformed(H2HeadFault?)
  case settings
  case goAway(Int32, UInt32)
  case pong(UInt64)
  case closed(Int32, UInt32, isReceived: Bool, isSent: Bool)
}

/// A session with its events as values, for tests; streams are named by their numbers on the wire.
final class H2Peer {
  let workspace: H2Workspace
  let session: H2Session
  /// Everything told so far, but body bytes that are gathered in `bodies`.
  var notes: [H2Note] = []
  var bodies: [Int32: [UInt8]] = [:]
  /// Of each stream that is gone, whether its request may go elsewhere.
  var isUnprocessed: [Bool] = []
  /// Streams by number.
  var indices: [Int32: Int32] = [:]
  private var numbers: [Int32: Int32] = [:]
  /// Whether body bytes are consumed as they come.
  var consumes = true
  /// Bytes given to one call at most.
  var pieces = Int.max
  var now = Instant(1_000_000_000)
  /// Whether each oversized request was HEAD.
  var oversizedHeads: [Bool] = []
  /// Heads as they arrived.
  var requests: [Int32: H2RequestCopy] = [:]

  init(isServer: Bool, _ settings: H2Settings = H2Settings(), streams: Int = 1_000) {
    workspace = H2Workspace(streams: streams)
    guard let session = H2Session(isServer: isServer, settings: settings, workspace: workspace)
    else { fatalError("out of memory") }
    self.session = session
  }

  /// Gives bytes to the session, and tells what comes of it.
  @discardableResult
  func receive(_ bytes: [UInt8]) -> [H2Note] {
    let before = notes.count
    var position = 0
    while position < bytes.count {
      let piece = Array(bytes[position..<min(bytes.count, position + min(pieces, 1 << 20))])
      var offset = 0
      repeat {
        offset += piece.withUnsafeBufferPointer { buffer -> Int in
          guard let start = buffer.baseAddress else { return 0 }
          let used = session.receive(start + offset, count: piece.count - offset, at: now)
          drain(start + offset)
          return used
        }
      } while offset < piece.count || session.isPaused
      position += piece.count
    }
    return Array(notes[before...])
  }

  /// What the session has to send now.
  func send(block: Int = 16_384) -> [UInt8] {
    var result: [UInt8] = []
    var output = [UInt8](repeating: 0xAA, count: block)
    while true {
      let count = output.withUnsafeMutableBufferPointer { buffer -> Int in
        guard let start = buffer.baseAddress else { return 0 }
        return session.send(into: start, capacity: block)
      }
      drainClosed()
      if count == 0 { return result }
      result += output[..<count]
    }
  }

  private func drain(_ input: UnsafePointer<UInt8>) {
    while let event = session.nextEvent() { take(event, input) }
    drainClosed()
  }

  func drainClosed() {
    while let closed = session.nextClosed() {
      let id = numbers[closed.stream] ?? -1
      isUnprocessed.append(closed.isUnprocessed)
      notes.append(
        .closed(id, closed.code.rawValue, isReceived: closed.isReceived, isSent: closed.isSent)
      )
      indices[id] = nil
      numbers[closed.stream] = nil
    }
  }

  private func take(_ event: H2Event, _ input: UnsafePointer<UInt8>) {
    let id = event.stream < 0 ? -1 : session.number(of: event.stream)
    switch event.kind {
    case .request:
      know(event.stream)
      let copy = H2RequestCopy(workspace.request(event))
      requests[id] = copy
      notes.append(.request(id, copy.lines, isLast: event.isLast))
    case .oversizedRequest:
      know(event.stream)
      oversizedHeads.append(event.isHead)
      notes.append(.oversized(id, event.fault ?? .headTooLarge))
    case .response, .interim:
      let head = workspace.response(event)
      if event.kind == .interim {
        notes.append(.interim(id, Int(head.head.status)))
        return
      }
      let lines = pairs(head.bytes, head.fields, Int(head.head.fieldCount))
      notes.append(.response(id, Int(head.head.status), lines, isLast: event.isLast))
    case .data:
      let bytes = Array(
        UnsafeBufferPointer(start: input + Int(event.start), count: Int(event.count))
      )
      bodies[id, default: []] += bytes
      if consumes { session.consume(event.stream, bytes.count) }
      notes.append(.data(id, String(decoding: bytes, as: UTF8.self), isLast: event.isLast))
    case .trailers:
      let section = workspace.trailers(event)
      notes.append(
        .trailers(id, pairs(section.bytes, section.fields, Int(section.section.fieldCount)))
      )
    case .malformed: notes.append(.malformed(event.fault))
    case .settings: notes.append(.settings)
    case .goAway: notes.append(.goAway(event.start, event.code.rawValue))
    case .pong: notes.append(.pong(event.pong))
    }
  }

  func know(_ stream: Int32) {
    let id = session.number(of: stream)
    indices[id] = stream
    numbers[stream] = id
  }

  // MARK: - Messages

  func list(_ lines: [(String, String)]) -> H2Lines { H2Lines(lines) }

  @discardableResult
  func respond(
    _ id: Int32,
    _ status: Int,
    _ lines: [(String, String)] = [],
    ends: Bool = true
  ) -> Bool {
    guard let stream = indices[id] else { return false }
    return H2Lines(lines).with(workspace) {
      session.respond(stream, status: status, fields: $0, endsStream: ends)
    }
  }

  /// Sends a request, and gives its number or -1.
  func request(
    _ method: String = "GET",
    _ path: String = "/",
    _ lines: [(String, String)] = [],
    ends: Bool = true
  ) -> Int32 {
    let head = [
      (":method", method), (":scheme", "http"), (":authority", "example.org"), (":path", path),
    ]
    let kind: Method = method == "HEAD" ? .head : method == "POST" ? .post : .get
    let stream = H2Lines(head + lines).with(workspace) {
      session.request(kind, fields: $0, endsStream: ends)
    }
    guard stream >= 0 else { return -1 }
    know(stream)
    return session.number(of: stream)
  }

  func trailers(_ id: Int32, _ lines: [(String, String)]) -> Bool {
    guard let stream = indices[id] else { return false }
    return H2Lines(lines).with(workspace) { session.finish(stream, trailers: $0) }
  }
}

/// Moves bytes between two peers until neither has any.
func exchange(_ a: H2Peer, _ b: H2Peer) {
  while true {
    let toB = a.send()
    let toA = b.send()
    if toB.isEmpty, toA.isEmpty { return }
    b.receive(toB)
    a.receive(toA)
  }
}

/// A request head out of the workspace.
struct H2RequestCopy: Equatable {
  var head: RequestHead
  var bytes: [UInt8]
  var lines: [String]
  var scheme: H2Scheme
  var priority: H2Priority
  var protocolName: String?

  init(_ source: H2RequestHead) {
    head = source.head
    bytes = Array(UnsafeBufferPointer(start: source.bytes, count: Int(head.headLength)))
    lines = pairs(source.bytes, source.fields, Int(head.fieldCount))
    scheme = source.scheme
    priority = source.priority
    protocolName = source.protocolName.map {
      String(decoding: UnsafeBufferPointer(start: $0, count: source.protocolLength), as: UTF8.self)
    }
  }

  var text: String { String(decoding: bytes, as: UTF8.self) }
  var path: String { part(head.pathStart, head.pathLength) }
  var query: String { part(head.queryStart, head.queryLength) }
  var authority: String { part(head.authorityStart, head.authorityLength) }
  var host: String { part(head.authorityStart, head.hostLength) }
  var target: String { part(head.targetStart, head.targetLength) }

  private func part(_ start: UInt16, _ length: UInt16) -> String {
    String(decoding: bytes[Int(start)..<Int(start) + Int(length)], as: UTF8.self)
  }

  static func == (a: Self, b: Self) -> Bool { a.bytes == b.bytes && a.scheme == b.scheme }
}

func pairs(
  _ bytes: UnsafePointer<UInt8>,
  _ fields: UnsafePointer<HeadField>,
  _ count: Int
) -> [String] {
  (0..<count).map { index in
    let field = fields[index]
    func text(_ start: UInt16, _ length: UInt16) -> String {
      String(
        decoding: UnsafeBufferPointer(start: bytes + Int(start), count: Int(length)),
        as: UTF8.self
      )
    }
    return text(field.nameStart, field.nameLength) + "="
      + text(field.valueStart, field.valueLength)
  }
}

/// Lines to be sent, kept in memory while a list of them is used.
struct H2Lines {
  private var bytes: [UInt8] = []
  private var fields: [HeadField] = []

  init(_ lines: [(String, String)]) {
    for (name, value) in lines {
      var field = HeadField()
      field.nameStart = UInt16(bytes.count)
      field.nameLength = UInt16(name.utf8.count)
      bytes += Array(name.utf8)
      field.valueStart = UInt16(bytes.count)
      field.valueLength = UInt16(value.utf8.count)
      bytes += Array(value.utf8)
      fields.append(field)
    }
    bytes.append(0)
  }

  func with<R>(_ workspace: H2Workspace, _ body: (borrowing H2FieldList) -> R) -> R {
    bytes.withUnsafeBufferPointer { buffer in
      var list = H2FieldList(workspace)
      if let start = buffer.baseAddress { for field in fields { list.add(field, of: start) } }
      return body(list)
    }
  }
}
