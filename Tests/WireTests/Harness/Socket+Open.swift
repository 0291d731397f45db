import CLinux
import Glibc
import Units

extension Socket {
  /// Connects to a port of `127.0.0.1`.
  ///
  /// A `receiveBuffer` is SO_RCVBUF in bytes, set before the handshake so that it bounds the window;
  /// `source` is the loopback address to come from, as a number in `127.0.0.0/8`.
  static func connected(
    to port: UInt16,
    receiveBuffer: Int32? = nil,
    source: UInt32 = 0x7F00_0001
  ) throws -> Socket {
    let descriptor = try made(AF_INET)
    let socket = Socket(adopting: descriptor)
    set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    if let receiveBuffer { set(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
    if source != 0x7F00_0001 {
      try withLoopback(port: 0, address: source) { address, length in
        guard bind(descriptor, address, length) == 0 else { throw WireFailure("bind: \(errno)") }
      }
    }
    try withLoopback(port: port) { address, length in
      try socket.connect(descriptor, address, length)
    }
    return socket
  }

  /// Connects to a Unix socket.
  static func connected(toPath path: String) throws -> Socket {
    let descriptor = try made(AF_UNIX)
    let socket = Socket(adopting: descriptor)
    try withUnixAddress(path) { address, length in
      try socket.connect(descriptor, address, length)
    }
    return socket
  }

  /// Listens on a port of `127.0.0.1`; 0 takes a free one.
  static func listening(port: UInt16 = 0, backlog: Int32 = 512) throws -> Socket {
    let descriptor = try made(AF_INET)
    let socket = Socket(adopting: descriptor)
    set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    try withLoopback(port: port) { address, length in
      guard bind(descriptor, address, length) == 0 else { throw WireFailure("bind: \(errno)") }
    }
    guard listen(descriptor, backlog) == 0 else { throw WireFailure("listen: \(errno)") }
    return socket
  }

  /// Listens on a Unix socket.
  static func listening(path: String) throws -> Socket {
    let descriptor = try made(AF_UNIX)
    let socket = Socket(adopting: descriptor)
    unlink(path)
    try withUnixAddress(path) { address, length in
      guard bind(descriptor, address, length) == 0 else { throw WireFailure("bind: \(errno)") }
    }
    guard listen(descriptor, 512) == 0 else { throw WireFailure("listen: \(errno)") }
    return socket
  }

  /// The port that this socket is bound to, 0 when it has none.
  var localPort: UInt16 { Socket.port(of: descriptor, getsockname) }

  /// Accepts one connection, nil when the deadline passed or the listener was interrupted.
  func accepted(by deadline: Deadline) throws -> Socket? {
    guard try wait(for: Int32(POLLIN), by: deadline) else { return nil }
    let descriptor = accept(self.descriptor, nil, nil)
    guard descriptor >= 0 else { return nil }
    Socket.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    return Socket(adopting: descriptor)
  }

  /// A port that has no listener, another one each time.
  ///
  /// It lies below those that the kernel gives to whoever asks for any (from 32,768), so that none of
  /// the tests beside this one is given it.
  static func deadPort() throws -> UInt16 {
    for _ in 0..<1_000 {
      let port = lastDead.withLock { last in
        last = last < 32_000 ? last + 1 : 10_000
        return last
      }
      guard let listener = try? listening(port: port) else { continue }
      listener.close()
      return port
    }
    throw WireFailure("no port is free")
  }

  private static let lastDead = Locked(UInt16.random(in: 10_000..<32_000))

  /// The sockets of this process that are bound to, or connected to, one of `ports`.
  ///
  /// Other tests run in this process at the same time, so a plain count of descriptors says nothing.
  /// Ask while the ports are held: a port that is free again may be another test's next one.
  /// `connected` leaves those out that listen.
  static func touching(_ ports: Set<UInt16>, connected: Bool = false) -> Set<UInt64> {
    Set(
      descriptors.filter { descriptor in
        let peer = port(of: descriptor, getpeername)
        if connected, peer == 0 { return false }
        return ports.contains(peer) || ports.contains(port(of: descriptor, getsockname))
      }.compactMap(cookie)
    )
  }

  /// Those of these sockets that are still open in this process, as text.
  static func open(of cookies: Set<UInt64>) -> [String] {
    descriptors.filter { cookie(of: $0).map(cookies.contains) ?? false }.map {
      "\($0): \(port(of: $0, getsockname)) to \(port(of: $0, getpeername))"
    }
  }

  private static var descriptors: Range<Int32> {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return 0..<Int32(clamping: min(limit.rlim_cur, 65_536))
  }

  /// The kernel's name of a socket, unique while the machine runs; `nil` for what is no socket of TCP.
  ///
  /// Source: `SO_COOKIE`, socket(7).
  private static func cookie(of descriptor: Int32) -> UInt64? {
    var kind: Int32 = 0
    var kindLength = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &kind, &kindLength)
    // A port of UDP is another one.
    guard kind == Int32(IPPROTO_TCP) else { return nil }
    var cookie: UInt64 = 0
    var length = socklen_t(MemoryLayout<UInt64>.size)
    let result = getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &length)
    return result == 0 ? cookie : nil
  }

  private static func made(_ family: Int32) throws -> Int32 {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw WireFailure("socket: \(errno)") }
    return descriptor
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    _ = setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  private func connect(
    _ descriptor: Int32,
    _ address: UnsafePointer<sockaddr>,
    _ length: socklen_t
  ) throws {
    if Glibc.connect(descriptor, address, length) == 0 { return }
    guard errno == EINPROGRESS || errno == EAGAIN else { throw WireFailure("connect: \(errno)") }
    guard try wait(for: Int32(POLLOUT), by: Deadline()) else {
      throw WireFailure("connect ran out of time")
    }
    var failure: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size)
    guard failure == 0 else { throw WireFailure("connect: \(failure)") }
  }

  private typealias NameCall = (
    Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>
  ) -> Int32

  private static func port(of descriptor: Int32, _ call: NameCall) -> UInt16 {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutableBytes(of: &address) { raw -> Int32 in
      guard let base = raw.baseAddress else { return -1 }
      return call(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length)
    }
    guard result == 0, address.sin_family == sa_family_t(AF_INET) else { return 0 }
    return UInt16(bigEndian: address.sin_port)
  }

  private static func withLoopback(
    port: UInt16,
    address: UInt32 = 0x7F00_0001,
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
  ) throws {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = address.bigEndian
    try withGeneric(&name, body)
  }

  private static func withUnixAddress(
    _ path: String,
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
  ) throws {
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: name.sun_path) else {
      throw WireFailure("the path is too long for a Unix socket: \(path)")
    }
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
    try withGeneric(&name, body)
  }

  private static func withGeneric<Name>(
    _ name: inout Name,
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
  ) throws {
    try withUnsafeBytes(of: &name) { raw in
      guard let base = raw.baseAddress else { return }
      try body(base.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
    }
  }
}

extension Socket {
  /// Bytes that the peer has not acknowledged yet.
  var unsentBytes: Int32 {
    var count: Int32 = 0
    return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? count : 0
  }
}
