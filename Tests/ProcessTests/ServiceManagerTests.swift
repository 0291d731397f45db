import CLinux
import Foundation
import Glibc
import Testing

/// What systemd, a container or an administrator expects of the process.
@Suite(.serialized)
struct ServiceManagerTests {
  @Test func `a service manager hears of the start, a reload, life and the end`() throws {
    let port = try FreePort.find()
    let manager = try FakeManager()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"]
    )
    defer { edge.finish() }

    try manager.await("READY=1")
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
    try manager.await("WATCHDOG=1")
    kill(edge.id, SIGHUP)
    try manager.await("RELOADING=1\nMONOTONIC_USEC=")
    try manager.await("READY=1")
    kill(edge.id, SIGTERM)
    try manager.await("STOPPING=1")

    #expect(try edge.exitCode() == 0)
    #expect(manager.senders == [edge.id], "NotifyAccess=main would refuse another process")
  }

  @Test func `a child that hangs stops the watchdog's messages`() throws {
    let port = try FreePort.find()
    let manager = try FakeManager()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"]
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let child = try #require(edge.childID)

    kill(child, SIGSTOP)
    defer { kill(child, SIGCONT) }

    try RunningEdge.await("silence") { !manager.hears("WATCHDOG=1", within: 1_000) }
  }

  @Test(arguments: [[], ["--no-supervise"]])
  func `a socket of systemd is served from and survives a crash`(way: [String]) throws {
    let given = try TestSocket.listening(port: 0)
    defer { close(given.descriptor) }
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: given.port),
      arguments: way,
      given: given.descriptor
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")

    #expect(try TestSocket.get(port: given.port).hasPrefix("HTTP/1.1 200"))
    if way.isEmpty {
      if let child = edge.childID { kill(child, SIGKILL) }
      try edge.awaitLog("child died")
      #expect(try TestSocket.get(port: given.port).hasPrefix("HTTP/1.1 200"))
    }
    #expect(!edge.logText.contains("closed a socket that no listener uses"))
  }

  @Test(.enabled(if: geteuid() == 0, "only root can become another user"))
  func `privileges are gone after binding, for good`() throws {
    let port = try FreePort.find()
    // A folder that is closed to anybody else.
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    chmod(folder.path, 0o700)
    let text = EdgeText.responding(ports: [port, 1])
      .replacingOccurrences(of: "127.0.0.1:1}", with: "\"unix:\(folder.path)/edge.sock\"}")
    let edge = try RunningEdge(
      configuration: text,
      arguments: ["--user", "nobody", "--no-supervise"]
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    var socket = stat()
    #expect(stat("\(folder.path)/edge.sock", &socket) == 0)
    #expect(socket.st_uid == 0, "it was bound by who still had privileges")

    let status = try String(contentsOfFile: "/proc/\(edge.id)/status", encoding: .utf8)
    let nobody = try #require(getpwnam("nobody")).pointee
    let lines = status.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
    func field(_ name: String) -> [String] {
      lines.first { $0.first == name }.map { Array($0.dropFirst()) } ?? []
    }

    #expect(field("Uid:") == Array(repeating: "\(nobody.pw_uid)", count: 4))
    #expect(field("Gid:") == Array(repeating: "\(nobody.pw_gid)", count: 4))
    #expect(field("CapEff:") == ["0000000000000000"])
    #expect(field("NoNewPrivs:") == ["1"])
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
  }

  @Test(.enabled(if: geteuid() == 0, "only root can become another user"))
  func `an access log that could not be opened again without privileges is refused at once`()
    throws
  {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("access.log").path
    let text = EdgeText.responding(port: try FreePort.find())
      .replacingOccurrences(of: "{output: off}", with: "{output: \"file:\(file)\"}")
    func start() throws -> RunningEdge {
      try RunningEdge(configuration: text, arguments: ["--user", "nobody", "--no-supervise"])
    }
    chmod(folder.path, 0o755)
    let refused = try start()
    defer { refused.finish() }
    #expect(try refused.exitCode() == 69)
    #expect(refused.logText.contains(file))

    chmod(folder.path, 0o777)
    let edge = try start()
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    try FileManager.default.moveItem(atPath: file, toPath: file + ".1")
    kill(edge.id, SIGUSR1)

    try RunningEdge.await("the new file") { FileManager.default.fileExists(atPath: file) }
  }

  /// What scripts/sanitize.sh sets for the build as well.
  private static let isSanitized =
    ProcessInfo.processInfo.environment["SPILLWAY_PLAIN_MALLOC"] == "1"

  @Test func `no thread of the edge can gain rights`() throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port)
        .replacingOccurrences(of: "{output: off}", with: "{output: stdout}"),
      arguments: ["--no-supervise"]
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")

    let folder = "/proc/\(edge.id)/task"
    let own: Set<String> = ["Name:\tadmin", "Name:\taccess-log", "Name:\twatchdog"]
    // A thread names itself, after it was started.
    try RunningEdge.await("its threads") {
      own.isSubset(of: try Self.statuses(in: folder).map { Self.name(in: $0.status) })
    }

    // A thread may inherit the bit from the one that started it, or have been there before it.
    for (thread, status) in try Self.statuses(in: folder) {
      let name = Self.name(in: status)
      // The thread sanitizer starts one of its own before there is a program.
      if Self.isSanitized, name == "Name:\tspillway", thread != "\(edge.id)" { continue }
      #expect(status.contains("NoNewPrivs:\t1\n"), "\(name)")
    }
  }

  private static func statuses(in folder: String) throws -> [(thread: String, status: String)] {
    try FileManager.default.contentsOfDirectory(atPath: folder).map { thread in
      (thread, try String(contentsOfFile: "\(folder)/\(thread)/status", encoding: .utf8))
    }
  }

  private static func name(in status: String) -> String { String(status.prefix { $0 != "\n" }) }

  @Test(.enabled(if: geteuid() == 0, "only root can become another user"))
  func `a child without privileges still ends with its parent`() throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      arguments: ["--user", "nobody"]
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let child = try #require(edge.childID)

    kill(edge.id, SIGKILL)

    try RunningEdge.await("the end of the child") { kill(child, 0) != 0 }
  }

  @Test func `an unknown user is refused by name`() throws {
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: try FreePort.find()),
      arguments: ["--user", "no-such-user"]
    )
    defer { edge.finish() }

    #expect(try edge.exitCode() == 69)
    #expect(edge.logText.contains("there is no user no-such-user"))
  }

  @Test func `the pid file names the parent and goes with it`() throws {
    let port = try FreePort.find()
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).pid")
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      arguments: ["--pid-file", file.path]
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")

    #expect(try String(contentsOf: file, encoding: .utf8) == "\(edge.id)\n")
    kill(edge.id, SIGTERM)
    #expect(try edge.exitCode() == 0)
    #expect(!FileManager.default.fileExists(atPath: file.path))
  }

  @Test func `a signal to the whole group drains, as a service manager may send it`() throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(configuration: EdgeText.responding(port: port))
    defer { edge.finish() }
    try edge.awaitLog("message=serving")

    if let child = edge.childID { kill(child, SIGTERM) }
    kill(edge.id, SIGTERM)

    #expect(try edge.exitCode() == 0)
    #expect(!edge.logText.contains("second signal"))
  }

  @Test func `a restart with a bad file starts on the last good copy`() throws {
    let port = try FreePort.find()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let state = "stateDirectory: \(folder.path)\n"
    let first = try RunningEdge(configuration: state + EdgeText.responding(port: port))
    defer { first.finish() }
    try first.awaitLog("message=serving")
    kill(first.id, SIGTERM)
    #expect(try first.exitCode() == 0)

    let second = try RunningEdge(configuration: state + "nonsense: [\n")
    defer { second.finish() }
    try second.awaitLog("message=serving")

    #expect(second.logText.contains("last good copy"))
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
    let admin = try second.adminPort()
    let readiness = try TestSocket.get(port: admin, "/readyz")
    #expect(readiness.hasPrefix("HTTP/1.1 200"))
    #expect(readiness.contains("last good copy"))
    let metrics = try TestSocket.get(port: admin, "/metrics")
    #expect(metrics.contains("\nspillway_config_last_good_copy 1\n"))
  }
}

/// The service manager's end of sd_notify(3), which also sees who sends.
private final class FakeManager {
  let path = "/tmp/spillway-notify-\(UUID().uuidString)"
  private let descriptor: Int32
  private(set) var senders: Set<Int32> = []

  init() throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, &one, 4)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard code == 0 else { throw RunningEdge.Fault(description: "bind: error \(errno)") }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// Reads until a message with this beginning comes.
  func await(_ beginning: String) throws {
    try RunningEdge.await("\(beginning) of sd_notify") { hears(beginning, within: 1_000) }
  }

  /// Whether such a message comes in time, reading past others.
  func hears(_ beginning: String, within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while poll(&entry, 1, milliseconds) > 0 {
      if next().hasPrefix(beginning) { return true }
    }
    return false
  }

  private func next() -> String {
    var bytes = [UInt8](repeating: 0, count: 1_024)
    // Room for one SCM_CREDENTIALS: a header of 16 bytes, then pid, uid and gid.
    var control = [UInt8](repeating: 0, count: 64)
    return bytes.withUnsafeMutableBytes { bytes in
      control.withUnsafeMutableBytes { control in
        var part = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        let count = withUnsafeMutablePointer(to: &part) { part in
          var message = msghdr()
          message.msg_iov = part
          message.msg_iovlen = 1
          message.msg_control = control.baseAddress
          message.msg_controllen = control.count
          return recvmsg(descriptor, &message, 0)
        }
        senders.insert(control.loadUnaligned(fromByteOffset: 16, as: Int32.self))
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
      }
    }
  }
}
