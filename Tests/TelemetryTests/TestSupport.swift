import Foundation
import Synchronization

/// Shares an atomic with threads; it must outlive them.
final class DoneCount: Sendable {
  let count = Atomic<Int>(0)
}

/// A Unix datagram socket that syslog messages arrive at.
final class DatagramReceiver {
  private let descriptor: Int32
  private let path: String

  init(path: String) throws {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if code != 0 { throw POSIXError(.EADDRINUSE) }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// The next message, which must have been sent already.
  func receive() -> String {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
  }
}
