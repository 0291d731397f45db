internal import CLinux
internal import Glibc

/// Tells systemd how the service is doing: the protocol of sd_notify(3), without libsystemd.
///
/// Does nothing where `NOTIFY_SOCKET` is not set. A message that cannot be sent is dropped: no
/// service manager is worth waiting for.
public struct ServiceNotifier: Sendable {
  private let socketName: String?
  /// How often `WATCHDOG=1` must come at the latest, in nanoseconds, when it is asked for.
  public let watchdogInterval: Int64?

  /// - Parameters:
  ///   - environment: Read are `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
  ///   - processID: Of this process; a `WATCHDOG_PID` must equal it.
  public init(environment: [String: String], processID: Int32) {
    let name = environment["NOTIFY_SOCKET"] ?? ""
    socketName = name.hasPrefix("/") || name.hasPrefix("@") ? name : nil
    let isOurs = environment["WATCHDOG_PID"].map { Int32($0) == processID } ?? true
    let microseconds = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
    let isAsked = isOurs && socketName != nil && (1...Int64.max / 1_000).contains(microseconds)
    watchdogInterval = isAsked ? microseconds * 1_000 : nil
  }

  public func ready(status: String) { send("READY=1\nSTATUS=\(status)") }

  /// Announces a reload, after which `ready` must follow.
  ///
  /// systemd asks for the clock to order its own request against this message
  /// (`Type=notify-reload`).
  public func reloading() {
    send("RELOADING=1\nMONOTONIC_USEC=\(clinux_monotonic_now() / 1_000)")
  }

  public func stopping() { send("STOPPING=1\nSTATUS=draining") }

  public func status(_ text: String) { send("STATUS=\(text)") }

  public func watchdog() { send("WATCHDOG=1") }

  private func send(_ text: String) {
    guard let socketName else { return }
    var name = Array(socketName.utf8)
    // A leading @ stands for the NUL byte of an abstract name.
    if name.first == UInt8(ascii: "@") { name[0] = 0 }
    var address = sockaddr_un()
    let length = clinux_unix_address(&address, name, name.count)
    guard length > 0 else { return }
    let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, kind, 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        _ = sendto(descriptor, bytes, bytes.count, flags, $0, length)
      }
    }
  }
}
