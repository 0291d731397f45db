import Foundation
import Units

/// Stands before another port and passes on what connections bring once it is opened: until then
/// every handshake hangs.
final class HeldFront: Sendable {
  let port: UInt16
  private let listener: Socket
  private let state = Locked(State())
  private struct State {
    var gate = Gate()
    var connections = 0
    var sockets: [Socket] = []
  }

  init(before port: UInt16) throws {
    let listener = try Socket.listening()
    self.listener = listener
    self.port = listener.localPort
    Thread.detachNewThread { [self] in
      while let peer = (try? listener.accepted(by: Deadline(after: .seconds(600)))) ?? nil {
        let gate = state.withLock {
          $0.connections += 1
          $0.sockets.append(peer)
          return $0.gate
        }
        Thread.detachNewThread { [self] in
          gate.wait()
          relay(peer, port)
        }
      }
      listener.close()
    }
  }

  var endpoint: String { "127.0.0.1:\(port)" }

  /// Connections so far.
  var connections: Int { state.withLock { $0.connections } }

  /// Lets everything through from now on.
  func open() { state.withLock { $0.gate.open() } }

  /// Holds connections that come from now on.
  func hold() { state.withLock { $0.gate = Gate() } }

  func stop() {
    open()
    listener.interrupt()
    state.withLock { state in for socket in state.sockets { socket.interrupt() } }
  }

  private func relay(_ peer: Socket, _ port: UInt16) {
    defer { peer.close() }
    guard let behind = try? Socket.connected(to: port) else { return }
    defer { behind.close() }
    var open = [true, true]
    while open[0] || open[1] {
      var entries = [
        pollfd(fd: open[0] ? peer.descriptor : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: open[1] ? behind.descriptor : -1, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&entries, 2, 60_000) > 0 else { return }
      for (index, pair) in [(peer, behind), (behind, peer)].enumerated() {
        guard open[index], entries[index].revents != 0 else { continue }
        switch try? pair.0.receive(atMost: 65_536, by: Deadline()) {
        case .success(let bytes):
          guard (try? pair.1.send(bytes, by: Deadline(after: .seconds(60)))) != nil else { return }
        case .failure(let ended):
          guard ended.end == .finished else { return pair.1.reset() }
          open[index] = false
          pair.1.finish()
        case nil: return
        }
      }
    }
  }
}
