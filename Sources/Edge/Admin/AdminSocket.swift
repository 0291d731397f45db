internal import CLinux
import Glibc
internal import Telemetry

/// The bound socket of the admin port.
enum AdminSocket {
  /// Listens on `ADDRESS:PORT`, where an IPv6 address stands in brackets.
  static func listen(_ text: String) throws(TelemetryError) -> Int32 {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else { throw TelemetryError(.cannotBind, "\(text): not ADDRESS:PORT") }
    let host = text[..<colon]
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    return isBracketed
      ? try listen6(String(host.dropFirst().dropLast()), port)
      : try listen4(String(host), port)
  }

  /// The port that a socket is bound to, 0 for one that has none.
  static func port(of descriptor: Int32) -> UInt16 {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let code = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &length)
      }
    }
    guard code == 0 else { return 0 }
    // The port stands at the same place in both families.
    let family = Int32(address.sin6_family)
    return family == AF_INET || family == AF_INET6 ? UInt16(bigEndian: address.sin6_port) : 0
  }

  private static func listen4(_ host: String, _ port: UInt16) throws(TelemetryError) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
      throw TelemetryError(.cannotBind, "\(host): not an IP address")
    }
    return try bound(AF_INET, "\(host):\(port)", &address)
  }

  private static func listen6(_ host: String, _ port: UInt16) throws(TelemetryError) -> Int32 {
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else {
      throw TelemetryError(.cannotBind, "\(host): not an IP address")
    }
    return try bound(AF_INET6, "[\(host)]:\(port)", &address)
  }

  private static func bound<Address>(
    _ family: Int32,
    _ name: String,
    _ address: inout Address
  ) throws(TelemetryError) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = socket(family, type, 0)
    guard descriptor >= 0 else { throw fault(name) }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
    guard code == 0, Glibc.listen(descriptor, 64) == 0 else {
      let error = fault(name)
      close(descriptor)
      throw error
    }
    return descriptor
  }

  private static func fault(_ name: String) -> TelemetryError {
    TelemetryError(.cannotBind, "\(name): \(String(cString: strerror(errno)))")
  }
}
