import CLinux
import Foundation
import Glibc
import Reactor
import Testing

/// A target that says the same bytes to every connection, whatever it is asked.
final class ScriptedTarget: @unchecked Sendable {
  // Safe to share: nothing changes after the start.

  enum End: Sendable {
    case close, reset
    /// Answers each further request alike, until the client leaves.
    case hold
    /// Says the bytes again and again, until the client leaves.
    case forever
  }

  let port: UInt16
  private let descriptor: Int32
  private let bytes: [UInt8]
  private let end: End
  private let ended = DispatchSemaphore(value: 0)

  init(_ text: String, _ end: End) throws {
    bytes = Array(text.utf8)
    self.end = end
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let address = try #require(KernelAddress(ip: "127.0.0.1", port: 0))
    var storage = address.storage
    let code = withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, address.length) }
    }
    #expect(code == 0 && listen(descriptor, 128) == 0)
    self.descriptor = descriptor
    port = try #require(KernelAddress(localOf: descriptor)).port
    Thread.detachNewThread { [self] in
      while serveOne() {}
      ended.signal()
    }
  }

  func stop() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    ended.wait()
    close(descriptor)
  }

  private func serveOne() -> Bool {
    let client = accept(descriptor, nil, nil)
    guard client >= 0 else { return false }
    defer { close(client) }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    guard recv(client, &buffer, buffer.count, 0) > 0 else { return true }
    repeat {
      guard send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) >= 0 else { return true }
    } while end == .forever
    switch end {
    case .close, .forever: break
    case .reset: clinux_reset_on_close(client)
    case .hold:
      while recv(client, &buffer, buffer.count, 0) > 0 {
        _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
      }
    }
    return true
  }
}
