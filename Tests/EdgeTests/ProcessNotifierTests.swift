import CLinux
import Glibc
import Testing

@testable import Edge

/// The service manager's end of sd_notify(3).
private final class FakeManager {
  let descriptor: Int32

  init(name: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var bytes = Array(name.utf8)
    if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
    var address = sockaddr_un()
    let length = clinux_unix_address(&address, bytes, bytes.count)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    try #require(code == 0)
  }

  deinit { close(descriptor) }

  /// A datagram that has already been sent, as all here are.
  func next() -> String? {
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
  }
}

struct ProcessNotifierTests {
  private static func names() -> [String] {
    let name = "spillway-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    return ["/tmp/\(name)", "@\(name)"]
  }

  @Test(arguments: names())
  func `each state is one datagram`(name: String) throws {
    let manager = try FakeManager(name: name)
    defer { unlink(name) }
    let notifier = ServiceNotifier(environment: ["NOTIFY_SOCKET": name], processID: 1)

    notifier.ready(status: "serving")
    notifier.reloading()
    notifier.stopping()
    notifier.watchdog()

    #expect(manager.next() == "READY=1\nSTATUS=serving")
    let reloading = manager.next() ?? ""
    #expect(reloading.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
    #expect(reloading.split(separator: "=").last.flatMap { Int64($0) } ?? 0 > 0)
    #expect(manager.next()?.hasPrefix("STOPPING=1\n") == true)
    #expect(manager.next() == "WATCHDOG=1")
  }

  @Test(arguments: ["", "relative", "/no/such/socket", "/" + String(repeating: "x", count: 200)])
  func `a manager that is not there is no fault`(name: String) {
    ServiceNotifier(environment: ["NOTIFY_SOCKET": name], processID: 1).ready(status: "serving")
  }

  @Test func `the watchdog interval is believed only when it is for this process`() {
    func interval(_ microseconds: String, _ process: String?) -> Int64? {
      var environment = ["NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": microseconds]
      environment["WATCHDOG_PID"] = process
      return ServiceNotifier(environment: environment, processID: 7).watchdogInterval
    }

    #expect(interval("2000", "7") == 2_000_000)
    #expect(interval("2000", nil) == 2_000_000)
    #expect(interval("2000", "8") == nil)
    #expect(interval("-1", "7") == nil)
    #expect(interval("9223372036854775807", "7") == nil)
    #expect(interval("many", "7") == nil)
  }
}
