import Foundation
import HTTPCodec
import Units

/// A service of HTTP/2 with prior knowledge that behaves as its script says.
///
/// Each connection has a thread of its own, which takes what comes and calls the script for each
/// event of a stream; a script must not block. The codec, the same as the edge's, judges strictly
/// what the edge sends; frames that it would never send are for `HTTP2Peer.raw`.
final class HTTP2Upstream: Sendable {
  /// What has come of one request.
  struct Request: Sendable {
    let connection: Int
    /// The stream's number on the wire, and its place with the codec.
    let number: Int32
    let stream: Int32
    var method: String
    var target: String
    var fields: [Field]
    var body: [UInt8] = []
    var trailers: [Field] = []
    var isComplete = false
    /// The code with which the edge reset it.
    var reset: H2ErrorCode?

    var text: String { String(decoding: body, as: UTF8.self) }
    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
  }

  /// Why a script is called.
  enum Moment: Sendable {
    case head
    case body
    /// All of the request has come, trailers included.
    case end
    case gone
  }

  typealias Script = @Sendable (HTTP2Peer, Request, Moment) throws -> Void

  private struct State {
    var accepted = 0
    var open: [Int: Socket] = [:]
    var running = 0
    var requests: [Request] = []
    var farewells: [H2ErrorCode] = []
    var failures: [String] = []
  }

  let port: UInt16
  let settings: H2Settings
  private let listener: Socket
  private let greeting: @Sendable (HTTP2Peer) throws -> Void
  private let script: Script
  private let state = Locked(State())

  /// Listens on a port of `127.0.0.1`; `greeting` is called when a connection was taken, before
  /// anything is sent.
  init(
    settings: H2Settings = H2Settings(allowsConnect: true, allowsExtendedConnect: true),
    greeting: @escaping @Sendable (HTTP2Peer) throws -> Void = { _ in },
    _ script: @escaping Script
  ) throws {
    listener = try Socket.listening()
    port = listener.localPort
    self.settings = settings
    self.greeting = greeting
    self.script = script
    state.withLock { $0.running += 1 }
    spawn { upstream in
      while true {
        let next = try? upstream.listener.accepted(by: Deadline(after: .seconds(600)))
        guard let socket = next ?? nil else { break }
        upstream.serve(socket)
      }
      upstream.listener.close()
    }
  }

  /// A service that answers 200 with method, target and body of the request.
  static func echo() throws -> HTTP2Upstream {
    try HTTP2Upstream { peer, request, moment in
      guard moment == .end else { return }
      let text = "\(request.method) \(request.target) \(request.text)"
      try peer.respond(request, 200, body: Array(text.utf8))
    }
  }

  var endpoint: String { "127.0.0.1:\(port)" }
  /// Every request of which the head came, in order of arrival.
  var requests: [Request] { state.withLock { $0.requests } }
  var acceptedConnections: Int { state.withLock { $0.accepted } }
  var openConnections: Int { state.withLock { $0.open.count } }
  /// Codes of the GOAWAY frames that the edge sent.
  var farewells: [H2ErrorCode] { state.withLock { $0.farewells } }
  /// What the codec has against the edge.
  var failures: [String] { state.withLock { $0.failures } }

  /// Ends every connection.
  func closeConnections() {
    state.withLock { state in for socket in state.open.values { socket.interrupt() } }
  }

  func stop() {
    listener.interrupt()
    closeConnections()
    try? eventually("the service has ended") { state.withLock { $0.running == 0 } }
  }

  private func serve(_ socket: Socket) {
    let connection = state.withLock { state in
      defer { state.accepted += 1 }
      state.open[state.accepted] = socket
      state.running += 1
      return state.accepted
    }
    spawn { upstream in
      do {
        let peer = try HTTP2Peer(socket, upstream.settings)
        try upstream.greeting(peer)
        try upstream.converse(peer, connection)
      } catch {
        upstream.state.withLock { $0.failures.append("\(error)") }
      }
      socket.close()
      upstream.state.withLock { $0.open[connection] = nil }
    }
  }

  private func converse(_ peer: HTTP2Peer, _ connection: Int) throws {
    try peer.flush()
    while !peer.isClosed, case .success(let bytes) = try peer.receive() {
      peer.take(bytes) { note in try? self.handle(note, peer, connection) }
      try peer.flush()
      if let failure = peer.failure {
        // What scripts of hand-made frames provoke is the codec's business alone.
        if !peer.isRaw { state.withLock { $0.failures.append("\(failure)") } }
        return
      }
    }
  }

  private func handle(_ note: HTTP2Peer.Note, _ peer: HTTP2Peer, _ connection: Int) throws {
    switch note.kind {
    case .head(let method, let target, let fields, let isLast):
      let request = Request(
        connection: connection,
        number: note.number,
        stream: note.stream,
        method: method,
        target: target,
        fields: fields,
        isComplete: isLast
      )
      state.withLock { $0.requests.append(request) }
      try script(peer, request, .head)
      if isLast { try script(peer, request, .end) }
    case .body(let bytes, let isLast):
      let request = change(connection, note.number) {
        $0.body += bytes
        $0.isComplete = isLast
      }
      guard let request else { return }
      if !bytes.isEmpty { try script(peer, request, .body) }
      if isLast { try script(peer, request, .end) }
    case .trailers(let trailers):
      let request = change(connection, note.number) {
        $0.trailers = trailers
        $0.isComplete = true
      }
      if let request { try script(peer, request, .end) }
    case .gone(let closed):
      let isWhole = closed.isReceived && closed.isSent && closed.code == .noError
      let request = change(connection, note.number) { if !isWhole { $0.reset = closed.code } }
      if let request { try script(peer, request, .gone) }
    case .farewell(let code): state.withLock { $0.farewells.append(code) }
    }
  }

  private func change(
    _ connection: Int,
    _ number: Int32,
    _ change: (inout Request) -> Void
  ) -> Request? {
    state.withLock { state in
      let index = state.requests.lastIndex { $0.connection == connection && $0.number == number }
      guard let index else { return nil }
      change(&state.requests[index])
      return state.requests[index]
    }
  }

  private func spawn(_ body: @escaping @Sendable (HTTP2Upstream) -> Void) {
    let thread = Thread {
      body(self)
      self.state.withLock { $0.running -= 1 }
    }
    thread.stackSize = 1 << 20
    thread.start()
  }
}
