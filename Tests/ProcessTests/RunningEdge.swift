import CLinux
import Foundation
import Glibc
import Reactor
import Units

/// The built executable, started as an operator would start it, in a folder of its own.
final class RunningEdge {
  struct Fault: Error, CustomStringConvertible { var description: String }

  /// The event loops that this kernel allows, as `SPILLWAY_REACTOR` names them.
  static let reactors = Reactor.Backend.allowed.map(\.rawValue)

  /// Generous: the machine of a test run is busy.
  static let patience = 20.0

  let folder: URL
  let configuration: URL
  private(set) var process: Process
  private let log: URL

  /// The executable beside this test bundle.
  static var program: URL {
    let bundle =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent(
      "spillway"
    )
  }

  /// - Parameters:
  ///   - text: The configuration.
  ///   - arguments: Behind `run --config FILE`.
  ///   - program: The file to run.
  ///   - environment: In addition to our own.
  ///   - reactor: The event loop; the one that the edge prefers when `nil`.
  ///   - given: A listening socket to pass as systemd would.
  ///   - limit: What `ulimit` is called with before, such as `-Hn 300`.
  ///   - through: A command and its arguments that the program is started by, such as `setpriv`.
  ///   - output: Where standard output goes; nowhere when `nil`.
  /// - Throws: When the program cannot be started.
  init(
    configuration text: String,
    arguments: [String] = [],
    program: URL? = nil,
    environment: [String: String] = [:],
    reactor: String? = nil,
    given: Int32? = nil,
    limit: String? = nil,
    through: [String] = [],
    output: FileHandle? = nil
  ) throws {
    let base = FileManager.default.temporaryDirectory
    folder = base.appendingPathComponent("spillway-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    configuration = folder.appendingPathComponent("edge.yaml")
    log = folder.appendingPathComponent("log")
    try text.write(to: configuration, atomically: true, encoding: .utf8)
    _ = FileManager.default.createFile(atPath: log.path, contents: nil)
    process = Process()
    let command =
      through + [(program ?? Self.program).path, "run", "--config", configuration.path] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if let reactor { process.environment?["SPILLWAY_REACTOR"] = reactor }
    if let given {
      // The shell's standard input becomes descriptor 3; LISTEN_PID is only known after the fork.
      let copy = dup(given)
      process.standardInput = FileHandle(fileDescriptor: copy, closeOnDealloc: true)
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\""
      process.arguments = ["-c", script, "sh"] + command
    } else if let limit {
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", "ulimit \(limit) && exec \"$@\"", "sh"] + command
    } else {
      process.executableURL = URL(fileURLWithPath: command[0])
      process.arguments = Array(command.dropFirst())
    }
    process.standardError = try FileHandle(forWritingTo: log)
    process.standardOutput = output ?? FileHandle.nullDevice
    try process.run()
  }

  /// Ends everything, also what a failed test left.
  func finish() {
    if process.isRunning {
      let child = childID
      kill(process.processIdentifier, SIGKILL)
      if let child { kill(child, SIGKILL) }
      process.waitUntilExit()
    }
    try? FileManager.default.removeItem(at: folder)
  }

  var id: Int32 { process.processIdentifier }

  var logText: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

  /// A child of the parent, as the kernel knows it.
  var childID: Int32? {
    let text = try? String(contentsOfFile: "/proc/\(id)/task/\(id)/children", encoding: .utf8)
    return text?.split(separator: " ").first.flatMap { Int32($0) }
  }

  func replaceConfiguration(_ text: String) throws {
    try text.write(to: configuration, atomically: true, encoding: .utf8)
  }

  /// Waits until the log holds the text so many times.
  func awaitLog(_ text: String, count: Int = 1) throws {
    try Self.await("\(text) in the log:\n\(logText)") {
      logText.components(separatedBy: text).count > count
    }
  }

  /// The port of the admin server, as the log names it.
  func adminPort() throws -> UInt16 {
    try awaitLog("message=serving")
    let match = try #/message=admin[^\n]* port=(?<port>[0-9]+)/#.firstMatch(in: logText)
    guard let port = match.flatMap({ UInt16($0.port) }) else {
      throw Fault(description: "the log names no admin port:\n\(logText)")
    }
    return port
  }

  /// What the program prints and its exit code, for commands that end.
  static func output(
    of arguments: [String],
    environment: [String: String] = [:]
  ) throws -> (text: String, code: Int32) {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = program
    process.arguments = arguments
    if !environment.isEmpty {
      process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    }
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let bytes = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (String(decoding: bytes, as: UTF8.self), process.terminationStatus)
  }

  /// Waits for the end and returns the exit code.
  func exitCode() throws -> Int32 {
    try Self.await("the end of the process; log:\n\(logText)") { !process.isRunning }
    return process.terminationStatus
  }

  static func await(_ what: @autoclosure () -> String, _ condition: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: patience)
    while try !condition() {
      guard Date() < deadline else { throw Fault(description: "waited in vain for \(what())") }
      usleep(5_000)
    }
  }
}

/// Ports that nobody listens on, another one each time.
///
/// They lie below those that the kernel gives to whoever asks for any (from 32,768), so that none of the
/// tests beside this one is given it.
enum FreePort {
  private static let last = Locked(UInt16.random(in: 10_000..<32_000))

  static func find() throws -> UInt16 {
    for _ in 0..<1_000 {
      let port = last.withLock { last in
        last = last < 32_000 ? last + 1 : 10_000
        return last
      }
      guard let socket = try? TestSocket.listening(port: port) else { continue }
      close(socket.descriptor)
      return port
    }
    throw RunningEdge.Fault(description: "no port is free")
  }
}

/// A blocking TCP socket of a test.
struct TestSocket {
  let descriptor: Int32
  let port: UInt16

  static func listening(port: UInt16) throws -> TestSocket {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    var address = loopback(port)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, length) == 0 && listen(descriptor, 8) == 0
          && getsockname(descriptor, address, &length) == 0 ? 0 : errno
      }
    }
    guard code == 0 else { throw RunningEdge.Fault(description: "bind: error \(code)") }
    return TestSocket(descriptor: descriptor, port: UInt16(bigEndian: address.sin_port))
  }

  /// Asks once; throws with the error number when connecting or reading fails.
  static func get(port: UInt16, _ path: String = "/") throws -> String {
    let descriptor = try open(port: port)
    defer { close(descriptor) }
    try ask(descriptor, path, "connection: close\r\n")
    return try read(descriptor)
  }

  static func open(port: UInt16) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: Int(RunningEdge.patience), tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var address = loopback(port)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 ? 0 : errno
      }
    }
    guard code == 0 else {
      close(descriptor)
      throw RunningEdge.Fault(description: "connect: error \(code)")
    }
    return descriptor
  }

  /// Sends a request; keeps the connection open for another unless a field says otherwise.
  static func ask(_ descriptor: Int32, _ path: String = "/", _ fields: String = "") throws {
    try write(descriptor, "GET \(path) HTTP/1.1\r\nhost: edge\r\n\(fields)\r\n")
  }

  /// Reads a request as a service would and answers it.
  static func answer(_ descriptor: Int32) throws {
    var block = [UInt8](repeating: 0, count: 4_096)
    guard recv(descriptor, &block, block.count, 0) > 0 else {
      throw RunningEdge.Fault(description: "no request came")
    }
    try write(descriptor, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi\n")
  }

  private static func write(_ descriptor: Int32, _ text: String) throws {
    let bytes = Array(text.utf8)
    guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw RunningEdge.Fault(description: "send: error \(errno)")
    }
  }

  /// Asks and reads the answer, by its length, so that the connection can be used again.
  static func exchange(_ descriptor: Int32, _ path: String) throws -> String {
    try ask(descriptor, path)
    var text = ""
    var block = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &block, block.count, 0)
      guard count > 0 else { throw RunningEdge.Fault(description: "recv: error \(errno)") }
      text += String(decoding: block[..<count], as: UTF8.self)
      let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
      let length = try #/content-length: ([0-9]+)/#.ignoresCase().firstMatch(in: parts[0])
      guard parts.count == 2, let length, let bytes = Int(length.1) else { continue }
      if parts[1].utf8.count >= bytes { return String(parts[1]) }
    }
  }

  /// Reads until the peer closes.
  static func read(_ descriptor: Int32) throws -> String {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = recv(descriptor, &block, block.count, 0)
      guard count >= 0 else { throw RunningEdge.Fault(description: "recv: error \(errno)") }
      if count == 0 { break }
      bytes += block[..<count]
    }
    guard !bytes.isEmpty else { throw RunningEdge.Fault(description: "closed without an answer") }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
