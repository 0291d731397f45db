import CLinux
import COpenSSL
import Foundation
import Glibc
import Synchronization
import Units

@testable import TLS

/// Carries what is written into a plain socket through TLS, on its own thread.
///
/// So every harness for cleartext serves TLS too. For a client the plain end is one of a pair; for
/// a service it is a connection to one that speaks in clear. When the plain end is finished the
/// tunnel says close_notify and FIN; what the edge sends is passed on until it ends.
final class TLSTunnel: @unchecked Sendable {
  /// The client's end.
  let plain: Socket
  private var own: Socket
  private let wire: Socket
  /// Where the plain end leads if HTTP/2 is chosen, for a service.
  private let http2: UInt16?
  private let session: TLSSession
  private let outcome = Locked(Outcome())

  private struct Outcome {
    var isOpen = false
    var isResumed = false
    var fault: TLSFault?
    var sawClose = false
    var isOver = false
    var chosen: ApplicationProtocol?
    var serverName: String?
    var peer: PeerIdentity?
    var version: TLSVersion?
    var staple: [UInt8]?
  }

  private let isServer: Bool
  /// Ends the wire without a word of TLS when the service ends.
  private let cutsAtEnd: Bool
  private let wantsTicket = Atomic(false)

  init(
    port: UInt16,
    context: TLSClientContext,
    host: String = WireAuthority.host,
    sessions: ClientSessionCache? = nil,
    receiveBuffer: Int32? = nil,
    prelude: [UInt8] = []
  ) throws {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
      throw WireFailure("socketpair: \(errno)")
    }
    isServer = false
    http2 = nil
    cutsAtEnd = false
    plain = Socket(adopting: ends[0])
    own = Socket(adopting: ends[1])
    wire = try Socket.connected(to: port, receiveBuffer: receiveBuffer)
    guard let session = TLSSession(client: context, host: host, sessions: sessions) else {
      throw WireFailure("no TLS session")
    }
    self.session = session
    try wire.send(prelude, by: Deadline())
    Thread.detachNewThread { [self] in run() }
  }

  /// Serves one connection of the edge to a service that listens at `port` in clear.
  init(
    serving wire: Socket,
    context: TLSServerContext,
    before port: UInt16,
    http2: UInt16?,
    cutsAtEnd: Bool
  ) throws {
    isServer = true
    self.http2 = http2
    self.cutsAtEnd = cutsAtEnd
    self.wire = wire
    own = try Socket.connected(to: port)
    plain = own
    guard let session = TLSSession(server: context) else { throw WireFailure("no TLS session") }
    self.session = session
    Thread.detachNewThread { [self] in run() }
  }

  /// Whether the handshake succeeded.
  var isOpen: Bool { outcome.withLock { $0.isOpen } }
  var isResumed: Bool { outcome.withLock { $0.isResumed } }
  var fault: TLSFault? { outcome.withLock { $0.fault } }
  /// Whether the edge said close_notify.
  var sawClose: Bool { outcome.withLock { $0.sawClose } }
  var isOver: Bool { outcome.withLock { $0.isOver } }
  var chosen: ApplicationProtocol? { outcome.withLock { $0.chosen } }
  /// The name that the client asked for, and the certificate that it showed.
  var serverName: String? { outcome.withLock { $0.serverName } }
  var peer: PeerIdentity? { outcome.withLock { $0.peer } }

  var version: TLSVersion? { outcome.withLock { $0.version } }
  /// The OCSP response that came with the edge's certificate.
  var staple: [UInt8]? { outcome.withLock { $0.staple } }

  /// Sends one more ticket of TLS 1.3 soon, between whatever else is sent.
  func sendTicket() { wantsTicket.store(true, ordering: .releasing) }
  var hasSentTicket: Bool { !wantsTicket.load(ordering: .acquiring) }

  /// Ends the connection without a word of TLS.
  func cut() { wire.interrupt() }

  // MARK: - The thread

  private static let most = 65_536
  private var input: [UInt8] = []
  private var output: [UInt8] = []
  private var received: [UInt8] = []
  private var unsent: [UInt8] = []
  private var hasFinished = false
  private var hasEnded = false

  private func run() {
    _ = step { session.handshake(&$0) }
    while flush(wire, &output), flush(own, &received), goesOn() {
      var entries = [
        pollfd(fd: wire.descriptor, events: 0, revents: 0),
        pollfd(fd: own.descriptor, events: 0, revents: 0),
      ]
      if received.count < Self.most, !hasEnded { entries[0].events |= Int16(POLLIN) }
      if !output.isEmpty { entries[0].events |= Int16(POLLOUT) }
      if output.isEmpty, !hasFinished { entries[1].events |= Int16(POLLIN) }
      if !received.isEmpty { entries[1].events |= Int16(POLLOUT) }
      let ready = poll(&entries, 2, isServer ? 10 : 30_000)
      guard ready > 0 || isServer else { break }
      // Both directions of the pair are closed: the client is gone.
      if entries[1].revents & Int16(POLLHUP) != 0, hasFinished, output.isEmpty { break }
      if entries[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { readWire() }
      if entries[1].revents & Int16(POLLIN | POLLHUP) != 0, !hasFinished { readPlain() }
    }
    wire.close()
    own.close()
    outcome.withLock { $0.isOver = true }
  }

  /// Whether anything may still come; a service is told that the edge has finished.
  private func goesOn() -> Bool {
    if wantsTicket.load(ordering: .acquiring), output.isEmpty, session.isOpen {
      output += session.freshTicket()
      _ = flush(wire, &output)
      wantsTicket.store(false, ordering: .releasing)
    }
    guard hasEnded, received.isEmpty else { return true }
    guard isServer, !hasFinished, sawClose else { return false }
    own.finish()
    return true
  }

  private func readWire() {
    guard !hasEnded else { return }
    var block = [UInt8](repeating: 0, count: Self.most)
    let count = recv(wire.descriptor, &block, block.count, 0)
    if count < 0, errno == EAGAIN { return }
    if count <= 0 {
      hasEnded = true
      session.endInput()
    } else {
      input += block[..<count]
    }
    var plaintext = [UInt8](repeating: 0, count: 16_384)
    while true {
      let result = step { window in
        plaintext.withUnsafeMutableBufferPointer { room in
          room.baseAddress.map { session.read(into: $0, capacity: room.count, &window) } ?? .closed
        }
      }
      note()
      switch result {
      case .plaintext(let count): received += plaintext[..<count]
      case .needsOutput: break
      case .needsInput, .established: return write()
      case .closed:
        outcome.withLock { $0.sawClose = true }
        hasEnded = true
        return
      case .fault(let fault):
        outcome.withLock { $0.fault = $0.fault ?? fault }
        hasEnded = true
        return
      }
    }
  }

  private func note() {
    guard session.isOpen else { return }
    if let http2, !isOpen, session.applicationProtocol == .http2,
      let other = try? Socket.connected(to: http2)
    {
      own.close()
      own = other
    }
    outcome.withLock {
      $0.isOpen = true
      $0.isResumed = session.isResumed
      $0.chosen = session.applicationProtocol
      $0.version = session.version
      if !isServer, $0.staple == nil { $0.staple = session.stapledResponse }
      guard isServer, $0.serverName == nil, $0.peer == nil else { return }
      $0.serverName = session.serverName
      $0.peer = session.peerIdentity()
    }
  }

  private func readPlain() {
    guard session.isOpen || unsent.count < Self.most else { return }
    var block = [UInt8](repeating: 0, count: Self.most)
    let count = recv(own.descriptor, &block, block.count, 0)
    if count < 0, errno == EAGAIN { return }
    if count <= 0 {
      hasFinished = true
      write()
      if session.isOpen, !cutsAtEnd { _ = step { session.end(&$0) } }
      _ = flush(wire, &output)
      wire.finish()
      return
    }
    unsent += block[..<count]
    write()
  }

  private func write() {
    while session.isOpen, !unsent.isEmpty {
      let bytes = unsent
      let result = step { window in
        bytes.withUnsafeBufferPointer { all in
          all.baseAddress.map { session.write($0, count: all.count, &window) } ?? .closed
        }
      }
      guard case .plaintext(let count) = result else { return }
      unsent.removeFirst(count)
    }
  }

  /// One call on the session; what it writes waits in `output`.
  private func step(_ body: (inout CiphertextWindow) -> TLSStep) -> TLSStep {
    var room = [UInt8](repeating: 0, count: 17_000)
    let (result, consumed, produced) = input.withUnsafeBufferPointer { bytes in
      room.withUnsafeMutableBufferPointer { room in
        var window = CiphertextWindow(
          input: bytes.baseAddress,
          inputCount: bytes.count,
          output: room.baseAddress,
          outputRoom: room.count
        )
        let result = body(&window)
        return (result, window.consumed, window.produced)
      }
    }
    input.removeFirst(consumed)
    output += room[..<produced]
    return result
  }

  /// Sends what goes without waiting; false when the other side is gone.
  private func flush(_ socket: Socket, _ bytes: inout [UInt8]) -> Bool {
    while !bytes.isEmpty {
      let count = Glibc.send(socket.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
      guard count > 0 else { return errno == EAGAIN }
      bytes.removeFirst(count)
    }
    return true
  }
}

extension Scene {
  /// A client that speaks TLS, and what it speaks it with.
  func secureClient(
    _ context: TLSClientContext? = nil,
    host: String = WireAuthority.host,
    sessions: ClientSessionCache? = nil,
    receiveBuffer: Int32? = nil,
    prelude: [UInt8] = []
  ) throws -> (client: RawClient, tunnel: TLSTunnel) {
    let tunnel = try TLSTunnel(
      port: edge.port("public"),
      context: try context ?? WireAuthority.shared.client(),
      host: host,
      sessions: sessions,
      receiveBuffer: receiveBuffer,
      prelude: prelude
    )
    return (adopt(RawClient(tunnel.plain)), tunnel)
  }
}

extension Scene {
  /// A client of HTTP/2 over TLS.
  func secureHTTP2() throws -> HTTP2Client {
    let tunnel = try TLSTunnel(
      port: edge.port("public"),
      context: try WireAuthority.shared.client([.http2])
    )
    return adopt(try HTTP2Client(tunnel.plain))
  }
}

extension TLSSession {
  /// A record with one more ticket, for a server.
  fileprivate func freshTicket() -> [UInt8] {
    var room = [UInt8](repeating: 0, count: 4_096)
    return room.withUnsafeMutableBufferPointer { room in
      var window = CiphertextWindow(
        input: nil,
        inputCount: 0,
        output: room.baseAddress,
        outputRoom: room.count
      )
      lend(&window)
      _ = SSL_new_session_ticket(ssl)
      _ = SSL_do_handshake(ssl)
      takeBack(&window)
      return Array(room.prefix(window.produced))
    }
  }
}
