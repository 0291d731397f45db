internal import CLinux
internal import Glibc
internal import Reactor

/// A bound socket that one worker accepts from, with the name it keeps across processes.
public struct ListeningSocket: Hashable, Sendable {
  /// The address as the settings wrote it, with the listener's name behind a `/` for port 0.
  public var key: String
  /// The worker that accepts from it, from 0.
  public var worker: Int
  public var descriptor: Int32

  public init(key: String, worker: Int, descriptor: Int32) {
    self.key = key
    self.worker = worker
    self.descriptor = descriptor
  }

  /// The address the kernel gave, with the real port where the settings said 0.
  public var boundAddress: String {
    KernelAddress(localOf: descriptor)?.description ?? "unknown"
  }

  /// The key under which a listener's sockets are handed over.
  ///
  /// Two listeners may both ask for port 0 of one address, so there the name tells them apart;
  /// elsewhere it is left out, so that renaming a listener keeps its sockets.
  public static func key(address: String, name: String) -> String {
    address.hasSuffix(":0") ? "\(address)/\(name)" : address
  }

  /// The address part of a key.
  static func address(ofKey key: String) -> String {
    guard !key.hasPrefix("unix:"), let slash = key.firstIndex(of: "/") else { return key }
    return String(key[..<slash])
  }

  /// Says what is wrong with a descriptor that claims to be this socket, `nil` when nothing is.
  func fault() -> String? {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return "is not open" }
    guard status.st_mode & S_IFMT == S_IFSOCK else { return "is no socket" }
    guard ListeningSocket.flag(SO_ACCEPTCONN, of: descriptor) else { return "does not listen" }
    guard let bound = KernelAddress(localOf: descriptor) else { return "has no address" }
    let wanted = ListeningSocket.address(ofKey: key)
    guard let address = KernelAddress(listenText: wanted) else { return "is named \(wanted)" }
    let isSame =
      address.port == 0 && !address.isUnix
      ? address.ip == bound.ip : address.description == bound.description
    return isSame ? nil : "is bound to \(bound)"
  }

  /// Whether a descriptor stands for the same socket of the kernel.
  func isSame(as other: Int32) -> Bool {
    var (one, two) = (stat(), stat())
    guard fstat(descriptor, &one) == 0, fstat(other, &two) == 0 else { return false }
    return one.st_ino == two.st_ino && one.st_dev == two.st_dev
  }

  static func flag(_ option: Int32, of descriptor: Int32) -> Bool {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, option, &value, &length) == 0 && value != 0
  }

  /// A second descriptor of the same socket, closed on exec, or `nil` when there is no room.
  static func duplicate(_ descriptor: Int32) -> Int32? {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    return copy < 0 ? nil : copy
  }

  static func setCloseOnExec(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
  }
}

extension KernelAddress {
  /// The address of a listener: `10.0.0.1:80`, `[::1]:80` or `unix:/path`.
  init?(listenText text: String) {
    if text.hasPrefix("unix:") {
      self.init(unixPath: String(text.dropFirst(5)))
      return
    }
    guard let colon = text.lastIndex(of: ":"),
      let port = UInt16(text[text.index(after: colon)...])
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    self.init(ip: String(host), port: port)
  }
}
