internal import CLinux
internal import Glibc
internal import Reactor

/// Ports of this machine's loopback address.
public enum FreePort {
  /// Ports that nobody has at this moment, different ones.
  ///
  /// - Throws: When the kernel has none.
  public static func find(_ count: Int) throws(EngineError) -> [UInt16] {
    var held: [ListeningPort] = []
    defer { for port in held { port.close() } }
    for _ in 0..<count { held.append(try ListeningPort(host: "127.0.0.1", port: 0)) }
    return held.map(\.port)
  }

  /// Whether somebody accepts connections there.
  public static func isTaken(_ port: UInt16) -> Bool {
    guard let address = KernelAddress(ip: "127.0.0.1", port: port) else { return false }
    let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var storage = address.storage
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, address.length) == 0
      }
    }
  }
}
