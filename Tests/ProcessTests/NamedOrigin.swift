import CLinux
import Foundation
import Glibc

/// A service that answers each connection once, with its name.
final class NamedOrigin: Sendable {
  let port: UInt16
  private let descriptor: Int32

  init(_ name: String) throws {
    let socket = try TestSocket.listening(port: 0)
    (port, descriptor) = (socket.port, socket.descriptor)
    let descriptor = socket.descriptor
    let reply = Array(
      "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: \(name.utf8.count)\r\n\r\n\(name)"
        .utf8
    )
    Thread.detachNewThread {
      while true {
        let peer = accept(descriptor, nil, nil)
        guard peer >= 0 else { return }
        var block = [UInt8](repeating: 0, count: 4_096)
        if recv(peer, &block, block.count, 0) > 0 {
          _ = send(peer, reply, reply.count, Int32(MSG_NOSIGNAL))
        }
        close(peer)
      }
    }
  }

  deinit {
    // Ends the thread as well.
    shutdown(descriptor, Int32(SHUT_RDWR))
    close(descriptor)
  }
}
