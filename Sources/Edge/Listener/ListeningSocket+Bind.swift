internal import CLinux
internal import Glibc
internal import Reactor

extension ListeningSocket {
  /// Waiting connections per socket: what `net.core.somaxconn` allows by default since Linux 5.4.
  public static let defaultBacklog: Int32 = 4_096

  /// Seconds of silence before a dead peer is probed, between probes, and the number of probes.
  private static let keepAlive: (idle: Int32, interval: Int32, count: Int32) = (60, 10, 6)

  /// Binds a socket and listens.
  ///
  /// Options that accepted sockets inherit are set here once: TCP_NODELAY and keep-alive. Not
  /// TCP_DEFER_ACCEPT, since a slow client must meet our own timeouts and counters.
  ///
  /// - Parameters:
  ///   - address: `10.0.0.1:80`, `[::1]:80` or `unix:/path`.
  ///   - backlog: Waiting connections, at least 1.
  ///   - isFirst: Nobody in this process holds the address yet, so whoever does is a stranger.
  ///     SO_REUSEPORT would share the port with a second instance of the same user unnoticed.
  /// - Returns: A descriptor that does not wait and is closed on exec; the caller's own.
  /// - Throws: What an operator should read.
  public static func bind(
    _ address: String,
    backlog: Int32 = defaultBacklog,
    isFirst: Bool = true
  ) throws(ListenError) -> Int32 {
    guard let kernel = KernelAddress(listenText: address) else {
      throw ListenError(
        .badAddress,
        "\(address) is no address to listen on; write 0.0.0.0:8080, [::]:8080 or unix:/path"
      )
    }
    if kernel.isUnix { try clearStalePath(String(address.dropFirst(5)), address: address) }
    if isFirst, !kernel.isUnix, kernel.port != 0 {
      close(try bound(kernel, address: address, sharesPort: false))
    }
    let descriptor = try bound(kernel, address: address, sharesPort: !kernel.isUnix)
    guard listen(descriptor, backlog) == 0 else {
      let code = errno
      close(descriptor)
      throw error(code, address: address, kernel: kernel)
    }
    return descriptor
  }

  private static func bound(
    _ kernel: KernelAddress,
    address: String,
    sharesPort: Bool
  ) throws(ListenError) -> Int32 {
    let result = clinux_stream_socket(kernel.family)
    guard result >= 0 else { throw error(Int32(-result), address: address, kernel: kernel) }
    let descriptor = Int32(result)
    if !kernel.isUnix {
      set(SOL_SOCKET, SO_REUSEADDR, 1, descriptor)
      if sharesPort { set(SOL_SOCKET, SO_REUSEPORT, 1, descriptor) }
      // Both families can then be listed side by side, whatever net.ipv6.bindv6only says.
      if kernel.family == AF_INET6 { set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1, descriptor) }
      setInherited(descriptor)
    }
    var storage = kernel.storage
    let code = withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.bind(descriptor, $0, kernel.length) == 0 ? 0 : errno
      }
    }
    guard code == 0 else {
      close(descriptor)
      throw error(code, address: address, kernel: kernel)
    }
    return descriptor
  }

  /// Options that Linux copies from a listener to what it accepts.
  static func setInherited(_ descriptor: Int32) {
    let tcp = Int32(IPPROTO_TCP)
    set(tcp, TCP_NODELAY, 1, descriptor)
    set(SOL_SOCKET, SO_KEEPALIVE, 1, descriptor)
    set(tcp, TCP_KEEPIDLE, keepAlive.idle, descriptor)
    set(tcp, TCP_KEEPINTVL, keepAlive.interval, descriptor)
    set(tcp, TCP_KEEPCNT, keepAlive.count, descriptor)
  }

  private static func set(_ level: Int32, _ option: Int32, _ value: Int32, _ descriptor: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Removes a socket file that a killed process left, never one that somebody answers on.
  private static func clearStalePath(_ path: String, address: String) throws(ListenError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw ListenError(.addressTaken, "\(address): the path exists and is no socket")
    }
    guard let kernel = KernelAddress(unixPath: path) else { return }
    let probe = clinux_stream_socket(AF_UNIX)
    guard probe >= 0 else { return }
    defer { close(Int32(probe)) }
    var storage = kernel.storage
    if clinux_connect(Int32(probe), &storage, kernel.length) == -Int64(ECONNREFUSED) {
      unlink(path)
    }
  }

  private static func error(
    _ code: Int32,
    address: String,
    kernel: KernelAddress
  ) -> ListenError {
    switch code {
    case EADDRINUSE:
      let owner = kernel.isUnix ? nil : PortOwner.find(port: kernel.port)
      let by = owner.map { " by \($0)" } ?? ""
      return ListenError(.addressTaken, "cannot listen on \(address): already in use\(by)")
    case EACCES where !kernel.isUnix, EPERM where !kernel.isUnix:
      return ListenError(
        .notPermitted,
        "cannot listen on \(address): ports below 1024 need root or CAP_NET_BIND_SERVICE"
      )
    case EACCES, EPERM:
      return ListenError(.notPermitted, "cannot listen on \(address): the folder is not writable")
    case EADDRNOTAVAIL:
      return ListenError(
        .notLocal,
        "cannot listen on \(address): no interface of this machine has that address"
      )
    case EMFILE, ENFILE:
      return ListenError(.outOfDescriptors, "cannot listen on \(address): out of descriptors")
    default:
      return ListenError(
        .system(code),
        "cannot listen on \(address): \(systemText(code))"
      )
    }
  }
}
