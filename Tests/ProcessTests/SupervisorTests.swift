import Foundation
import Glibc
import Testing

/// The parent and its children, seen from outside.
@Suite(.serialized)
struct SupervisorTests {
  @Test(arguments: RunningEdge.reactors)
  func `a crashed child is replaced on the same sockets`(reactor: String) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(configuration: EdgeText.responding(port: port), reactor: reactor)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let before = edge.childID
    let inodes = Self.listeningInodes(port)

    if let before { kill(before, SIGKILL) }
    try edge.awaitLog("child died")
    // Between death and restart the parent's copy of the sockets lets clients wait.
    let answer = try TestSocket.get(port: port)

    #expect(answer.hasPrefix("HTTP/1.1 200"))
    #expect(before != nil && edge.childID != before)
    #expect(inodes.count == 2)
    #expect(Self.listeningInodes(port) == inodes)
  }

  @Test(arguments: RunningEdge.reactors)
  func `an upgrade refuses no connection`(reactor: String) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(configuration: EdgeText.responding(port: port), reactor: reactor)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let before = edge.childID
    let load = ConnectingClient(port: port)
    try RunningEdge.await("first answers") { load.answers > 20 }

    for round in 1...3 {
      let outcome = try Self.upgrade(edge)
      #expect(outcome.code == 0, "\(outcome.text)")
      try edge.awaitLog("old child has drained", count: round)
      let answers = load.answers
      try RunningEdge.await("answers after the upgrade") { load.answers > answers + 20 }
    }

    load.stop()
    #expect(load.faults == [])
    #expect(edge.childID != before)
  }

  @Test(arguments: RunningEdge.reactors)
  func `an upgrade lets the old child end what it has begun`(reactor: String) throws {
    let port = try FreePort.find()
    let upstream = try TestSocket.listening(port: 0)
    defer { close(upstream.descriptor) }
    let edge = try RunningEdge(
      configuration: EdgeText.proxying(port: port, to: upstream.port),
      reactor: reactor
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let old = try #require(edge.childID)
    let held = try TestSocket.open(port: port)
    defer { close(held) }
    try TestSocket.ask(held)
    let first = accept(upstream.descriptor, nil, nil)
    defer { close(first) }

    #expect(try Self.upgrade(edge).code == 0)
    try edge.awaitLog("message=draining")
    // The new one serves while the old one waits for its last request.
    let fresh = try TestSocket.open(port: port)
    defer { close(fresh) }
    try TestSocket.ask(fresh, "/", "connection: close\r\n")
    let second = accept(upstream.descriptor, nil, nil)
    defer { close(second) }
    try TestSocket.answer(second)
    #expect(try TestSocket.read(fresh).hasPrefix("HTTP/1.1 200"))
    #expect(kill(old, 0) == 0)
    #expect(!edge.logText.contains("old child has drained"))

    try TestSocket.answer(first)
    let answer = try TestSocket.read(held)
    #expect(answer.hasPrefix("HTTP/1.1 200"))
    #expect(answer.lowercased().contains("connection: close"))
    try edge.awaitLog("old child has drained")
  }

  @Test func `SIGUSR2 upgrades to the file that stands at the path now`() throws {
    let port = try FreePort.find()
    let copy = FileManager.default.temporaryDirectory.appendingPathComponent("edge-\(UUID())")
    try FileManager.default.copyItem(at: RunningEdge.program, to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    let edge = try RunningEdge(configuration: EdgeText.responding(port: port), program: copy)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let newer = copy.appendingPathExtension("new")
    try FileManager.default.copyItem(at: RunningEdge.program, to: newer)
    #expect(rename(newer.path, copy.path) == 0)

    kill(edge.id, SIGUSR2)
    try edge.awaitLog("old child has drained")

    let running = try FileManager.default.destinationOfSymbolicLink(
      atPath: "/proc/\(edge.childID ?? 0)/exe"
    )
    #expect(running == copy.path)
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
  }

  @Test func `a new child that cannot start leaves the old one serving`() throws {
    let port = try FreePort.find()
    let copy = FileManager.default.temporaryDirectory.appendingPathComponent("edge-\(UUID())")
    try FileManager.default.copyItem(at: RunningEdge.program, to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    let edge = try RunningEdge(configuration: EdgeText.responding(port: port), program: copy)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let before = edge.childID
    try FileManager.default.removeItem(at: copy)
    try "#!/bin/sh\nexit 3\n".write(to: copy, atomically: true, encoding: .utf8)
    chmod(copy.path, 0o755)

    let outcome = try Self.upgrade(edge)

    #expect(outcome.code == 1)
    #expect(outcome.text.contains("ended with code 3"))
    #expect(edge.childID == before)
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
  }

  @Test func `a restarted child that never serves is killed and another one started`() throws {
    let port = try FreePort.find()
    let copy = FileManager.default.temporaryDirectory.appendingPathComponent("edge-\(UUID())")
    try FileManager.default.copyItem(at: RunningEdge.program, to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      program: copy,
      environment: ["SPILLWAY_READY_MS": "5000"]
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    try FileManager.default.removeItem(at: copy)
    try "#!/bin/sh\nexec sleep 600\n".write(to: copy, atomically: true, encoding: .utf8)
    chmod(copy.path, 0o755)

    if let child = edge.childID { kill(child, SIGKILL) }
    try edge.awaitLog("child died")
    try edge.awaitLog("child took too long")
    let newer = copy.appendingPathExtension("new")
    try FileManager.default.copyItem(at: RunningEdge.program, to: newer)
    #expect(rename(newer.path, copy.path) == 0)

    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
  }

  @Test(arguments: RunningEdge.reactors)
  func `a child whose parent is killed drains and ends`(reactor: String) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(configuration: EdgeText.responding(port: port), reactor: reactor)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let child = try #require(edge.childID)

    kill(edge.id, SIGKILL)

    try RunningEdge.await("the end of the child") { kill(child, 0) != 0 }
    #expect(edge.logText.contains("message=drained"))
  }

  @Test(arguments: RunningEdge.reactors)
  func `a socket that a reload added survives a crash`(reactor: String) throws {
    let (first, second) = (try FreePort.find(), try FreePort.find())
    let edge = try RunningEdge(configuration: EdgeText.responding(port: first), reactor: reactor)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    try edge.replaceConfiguration(EdgeText.responding(ports: [first, second]))
    try edge.awaitLog("configuration reloaded")
    let inodes = Self.listeningInodes(second)

    if let child = edge.childID { kill(child, SIGKILL) }
    try edge.awaitLog("child died")

    #expect(try TestSocket.get(port: second).hasPrefix("HTTP/1.1 200"))
    #expect(inodes.count == 2)
    #expect(Self.listeningInodes(second) == inodes)
  }

  @Test(arguments: RunningEdge.reactors)
  func `a listener that a reload removed refuses connections`(reactor: String) throws {
    let (first, second) = (try FreePort.find(), try FreePort.find())
    let edge = try RunningEdge(
      configuration: EdgeText.responding(ports: [first, second]),
      reactor: reactor
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    #expect(try TestSocket.get(port: second).hasPrefix("HTTP/1.1 200"))

    try edge.replaceConfiguration(EdgeText.responding(ports: [first]))
    try edge.awaitLog("configuration reloaded")

    try RunningEdge.await("no socket on the removed port") {
      Self.listeningInodes(second).isEmpty
    }
    #expect(try TestSocket.get(port: first).hasPrefix("HTTP/1.1 200"))
  }

  @Test func `the pid file and the last good copy follow the state directory`() throws {
    let port = try FreePort.find()
    let folders = (0..<2).map { _ in
      FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    }
    for folder in folders {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
    defer { for folder in folders { try? FileManager.default.removeItem(at: folder) } }
    func names(_ index: Int) -> [String] {
      let found = try? FileManager.default.contentsOfDirectory(atPath: folders[index].path)
      return (found ?? []).sorted()
    }
    let text = EdgeText.responding(port: port)
    let edge = try RunningEdge(configuration: "stateDirectory: \(folders[0].path)\n" + text)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    try RunningEdge.await("a pid file") { names(0) == ["last-good.yaml", "spillway.pid"] }

    try edge.replaceConfiguration("stateDirectory: \(folders[1].path)\n" + text)
    try edge.awaitLog("configuration reloaded")

    try RunningEdge.await("the move") { names(0) == ["last-good.yaml"] }
    #expect(names(1) == ["last-good.yaml", "spillway.pid"])
    let pidFile = folders[1].appendingPathComponent("spillway.pid")
    #expect(try String(contentsOf: pidFile, encoding: .utf8) == "\(edge.id)\n")
  }

  @Test func `an upgrade of nobody says so`() throws {
    let outcome = try Self.run(["upgrade", "--pid", "\(getpid())"])

    #expect(outcome.code == 1)
    #expect(outcome.text.contains("no spillway parent answers under process id \(getpid())"))
  }

  private static func upgrade(_ edge: RunningEdge) throws -> (code: Int32, text: String) {
    try run(["upgrade", "--pid", "\(edge.id)"])
  }

  private static func run(_ arguments: [String]) throws -> (code: Int32, text: String) {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = RunningEdge.program
    process.arguments = arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  /// Inodes of the listening sockets of a port: a socket bound anew has another one.
  private static func listeningInodes(_ port: UInt16) -> Set<String> {
    // To its end: `String(contentsOfFile:)` stops behind the first page of such a file.
    let bytes = try? FileHandle(forReadingAtPath: "/proc/net/tcp")?.readToEnd()
    let text = String(decoding: bytes ?? Data(), as: UTF8.self)
    let hex = String(port, radix: 16, uppercase: true)
    let wanted = ":" + String(repeating: "0", count: 4 - hex.count) + hex
    return Set(
      text.split(separator: "\n").compactMap { line in
        let columns = line.split(separator: " ")
        guard columns.count > 9, columns[1].hasSuffix(wanted), columns[3] == "0A" else {
          return nil
        }
        return String(columns[9])
      }
    )
  }
}
