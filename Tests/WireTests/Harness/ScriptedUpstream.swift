import Foundation
import Synchronization
import Units

/// A service that behaves as its script says and remembers every byte it was sent.
///
/// Each connection has a thread of its own, so a script may block; the harness never uses Swift's
/// cooperative pool, which the blocking tests already hold.
final class ScriptedUpstream: Sendable {
  /// Called for each request; returning keeps the connection for the next one.
  typealias Script = @Sendable (UpstreamPeer, UpstreamRequest) throws -> Void

  private struct State {
    var listener: Socket?
    var accepted = 0
    var open: [Int: Socket] = [:]
    var running = 0
    var requests: [UpstreamRequest] = []
    var bytes: [Int: [UInt8]] = [:]
    var cancelled = 0
    var failures: [String] = []
  }

  /// How much of what a connection brought is kept.
  private static let keptBytes = 262_144

  let port: UInt16
  let path: String?
  private let readsBody: Bool
  private let script: Script
  private let state = Locked(State())
  private let sent = Atomic<Int>(0)

  /// Listens as a Unix socket at `path`, without one on a port of `127.0.0.1`.
  ///
  /// With `readsBody` the body is read before the script runs.
  init(path: String? = nil, readsBody: Bool = true, _ script: @escaping Script) throws {
    let listener = try path.map { try Socket.listening(path: $0) } ?? Socket.listening()
    self.path = path
    self.readsBody = readsBody
    self.script = script
    port = path == nil ? listener.localPort : 0
    listen(on: listener)
  }

  /// An upstream that answers 200 with the request's target as the body.
  static func echoingTarget() throws -> ScriptedUpstream {
    try ScriptedUpstream { peer, request in try peer.respond(200, request.target) }
  }

  /// The same, but it holds its answers until the gate opens; all of them, or those of one target.
  static func echoingTarget(
    behind gate: Gate,
    at held: String? = nil
  ) throws -> ScriptedUpstream {
    try ScriptedUpstream { peer, request in
      if held == nil || held == request.target { gate.wait() }
      try peer.respond(200, request.target)
    }
  }

  /// A service that answers 200 with method, target and body of the request, as that of
  /// `HTTP2Upstream` does.
  static func echo() throws -> ScriptedUpstream {
    try ScriptedUpstream { peer, request in
      try peer.respond(200, "\(request.method) \(request.target) \(request.text)")
    }
  }

  /// How the configuration names it.
  var endpoint: String { path.map { "unix:\($0)" } ?? "127.0.0.1:\(port)" }

  /// Every request whose head came, in order of arrival.
  var requests: [UpstreamRequest] { state.withLock { $0.requests } }

  /// Connections taken so far.
  var acceptedConnections: Int { state.withLock { $0.accepted } }

  /// Connections open now.
  var openConnections: Int { state.withLock { $0.open.count } }

  /// Connections that the edge ended while the script waited for more of them.
  var cancellations: Int { state.withLock { $0.cancelled } }

  /// Bytes that the kernel took from the scripts.
  var sentBytes: Int { sent.load(ordering: .relaxed) }

  /// All that came on all connections, one after another, as text.
  var transcript: String {
    let bytes = state.withLock { state in
      state.bytes.keys.sorted().flatMap { state.bytes[$0] ?? [] }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What the edge sent that was no HTTP.
  var failures: [String] { state.withLock { $0.failures } }

  /// Ends every connection, as an upstream does with idle ones.
  func closeConnections() {
    state.withLock { state in
      for socket in state.open.values { socket.interrupt() }
    }
  }

  /// Refuses connections from now on and ends those there are.
  func goAway() throws {
    let listener = state.withLock { state in
      defer { state.listener = nil }
      return state.listener
    }
    listener?.interrupt()
    closeConnections()
    try eventually("the upstream has ended") { state.withLock { $0.running == 0 } }
  }

  /// Listens again where it did before.
  func comeBack() throws {
    listen(on: try path.map { try Socket.listening(path: $0) } ?? Socket.listening(port: port))
  }

  func stop() {
    try? goAway()
    if let path { unlink(path) }
  }

  func note(_ bytes: [UInt8], on connection: Int) {
    state.withLock { state in
      let room = Self.keptBytes - (state.bytes[connection]?.count ?? 0)
      if room > 0 { state.bytes[connection, default: []].append(contentsOf: bytes.prefix(room)) }
    }
  }

  func noteSent(_ count: Int) { sent.add(count, ordering: .relaxed) }

  func noteCancelled() { state.withLock { $0.cancelled += 1 } }

  func record(_ request: UpstreamRequest) {
    state.withLock { state in
      let index = state.requests.lastIndex {
        $0.connection == request.connection && $0.ordinal == request.ordinal
      }
      if let index { state.requests[index] = request } else { state.requests.append(request) }
    }
  }

  private func listen(on listener: Socket) {
    state.withLock { state in
      state.listener = listener
      state.running += 1
    }
    spawn { upstream in
      while true {
        let next = try? listener.accepted(by: Deadline(after: .seconds(600)))
        guard let socket = next ?? nil else { break }
        upstream.serve(socket)
      }
      listener.close()
    }
  }

  private func serve(_ socket: Socket) {
    let connection = state.withLock { state in
      defer { state.accepted += 1 }
      state.open[state.accepted] = socket
      state.running += 1
      return state.accepted
    }
    spawn { upstream in
      let peer = UpstreamPeer(socket, connection: connection, upstream: upstream)
      do {
        try upstream.converse(peer)
      } catch {
        upstream.state.withLock { $0.failures.append("\(error)") }
      }
      socket.close()
      upstream.state.withLock { $0.open[connection] = nil }
    }
  }

  private func converse(_ peer: UpstreamPeer) throws {
    var ordinal = 0
    while !peer.isDone, let head = try peer.nextHead() {
      var request = try UpstreamRequest(head, connection: peer.connection, ordinal: ordinal)
      ordinal += 1
      record(request)
      if readsBody {
        do { request = try peer.readBody(of: request) } catch { return }
      }
      // A script that cannot go on because the edge went away has done its part.
      do { try script(peer, request) } catch { return }
    }
  }

  /// Runs `body` on a thread of its own and counts it until it ends.
  private func spawn(_ body: @escaping @Sendable (ScriptedUpstream) -> Void) {
    let thread = Thread {
      body(self)
      self.state.withLock { $0.running -= 1 }
    }
    thread.stackSize = 1 << 19
    thread.start()
  }
}
