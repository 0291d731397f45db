internal import CLinux
internal import Glibc
internal import Reactor

/// A bound, listening, non-blocking TCP socket.
struct ListeningPort {
  /// Connections that wait to be accepted; the kernel's own bound may be lower.
  private static let backlog: Int32 = 4_096

  let descriptor: Int32
  let port: UInt16

  /// - Parameters:
  ///   - host: An IP address, IPv6 without brackets.
  ///   - port: 0 for any free one.
  /// - Throws: What a user should read.
  init(host: String, port: UInt16) throws(EngineError) {
    guard let address = KernelAddress(ip: host, port: port) else {
      throw EngineError("\(host) is no IP address to listen on")
    }
    let made = clinux_stream_socket(address.family)
    guard made >= 0 else { throw Self.failure(address, Int32(-made)) }
    let descriptor = Int32(made)
    var one: Int32 = 1
    let size = socklen_t(MemoryLayout<Int32>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, size)
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, size)
    var storage = address.storage
    let isBound = withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, address.length) == 0
      }
    }
    guard isBound, listen(descriptor, Self.backlog) == 0,
      let local = KernelAddress(localOf: descriptor)
    else {
      let code = errno
      Glibc.close(descriptor)
      throw Self.failure(address, code)
    }
    self.descriptor = descriptor
    self.port = local.port
  }

  func close() { Glibc.close(descriptor) }

  private static func failure(_ address: KernelAddress, _ code: Int32) -> EngineError {
    EngineError("cannot listen on \(address): \(String(cString: strerror(code)))")
  }
}
