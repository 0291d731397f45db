internal import CLinux
internal import Edge
internal import Glibc

/// Where `spillway upgrade` reaches a running parent: an abstract UNIX socket named by its id.
///
/// An abstract name leaves no file behind and needs no writable folder. Both ends check by
/// SO_PEERCRED who the other is, since any user could take such a name.
enum ControlSocket {
  static let upgrade = "upgrade"
  static let done = "done"
  static let failed = "failed"

  private static func name(_ processID: Int32) -> [UInt8] {
    [0] + Array("spillway-control-\(processID)".utf8)
  }

  private static func open(
    _ processID: Int32,
    _ call: (Int32, UnsafePointer<sockaddr>, UInt32) -> Int32
  ) -> Int32? {
    let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, kind, 0)
    guard descriptor >= 0 else { return nil }
    var address = sockaddr_un()
    let name = name(processID)
    let length = clinux_unix_address(&address, name, name.count)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, length) }
    }
    guard code == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// The parent's end, not waiting, or `nil` when the name is taken.
  static func listen(processID: Int32) -> Int32? {
    guard let descriptor = open(processID, { bind($0, $1, $2) }) else { return nil }
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    guard Glibc.listen(descriptor, 4) == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// Takes a caller of the same user or root; anybody else is closed at once.
  static func accept(_ listener: Int32) -> PacketChannel? {
    let result = clinux_accept(listener)
    guard result >= 0 else { return nil }
    let descriptor = Int32(result)
    var caller: (id: Int32, user: UInt32) = (0, 0)
    guard clinux_peer(descriptor, &caller.id, &caller.user) == 0,
      caller.user == 0 || caller.user == geteuid()
    else {
      close(descriptor)
      return nil
    }
    return PacketChannel(descriptor: descriptor)
  }

  /// A caller's end, waiting, or `nil` when no parent of that id is there.
  static func connect(processID: Int32) -> PacketChannel? {
    guard let descriptor = open(processID, { Glibc.connect($0, $1, $2) }) else { return nil }
    var owner: (id: Int32, user: UInt32) = (0, 0)
    guard clinux_peer(descriptor, &owner.id, &owner.user) == 0, owner.id == processID else {
      close(descriptor)
      return nil
    }
    return PacketChannel(descriptor: descriptor)
  }
}
