import Foundation
import Synchronization

/// Passes bytes on in both directions and breaks off after as many as it is told.
final class BreakingFront: Sendable {
  let port: UInt16
  private let listener: Socket
  private let count = Atomic(0)

  init(before port: UInt16) throws {
    let listener = try Socket.listening()
    self.listener = listener
    self.port = listener.localPort
    Thread.detachNewThread { [self] in
      while let peer = (try? listener.accepted(by: Deadline(after: .seconds(60)))) ?? nil {
        let number = count.add(1, ordering: .relaxed).oldValue
        guard let behind = try? Socket.connected(to: port) else { break }
        Thread.detachNewThread { Self.relay(peer, behind, number) }
      }
      listener.close()
    }
  }

  func stop() { listener.interrupt() }

  /// A handshake takes 1 to 2 KB of a service and a response some more.
  private static func relay(_ peer: Socket, _ behind: Socket, _ number: Int) {
    var left = (number * 131) % 2_600
    while left > 0 {
      var entries = [
        pollfd(fd: peer.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: behind.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&entries, 2, 5_000) > 0 else { break }
      if entries[0].revents != 0 {
        guard let bytes = try? peer.receive(atMost: 16_384, by: Deadline()).get(),
          (try? behind.send(bytes, by: Deadline())) != nil
        else { break }
      }
      if entries[1].revents != 0 {
        guard let bytes = try? behind.receive(atMost: left, by: Deadline()).get(),
          (try? peer.send(bytes, by: Deadline())) != nil
        else { break }
        left -= bytes.count
      }
    }
    // Some end in the middle of a record, some with RST, some with a word of their own.
    if number % 3 == 0 { try? peer.send([21, 3, 3, 0, 2, 2, 80], by: Deadline()) }
    if number % 2 == 0 { peer.reset() } else { peer.close() }
    behind.close()
  }
}
