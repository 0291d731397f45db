import Foundation
import Glibc
import Testing

/// Starting that must fail clearly, and stopping that must be orderly, in both ways to run.
@Suite(.serialized)
struct StartAndStopTests {
  static let ways: [[String]] = [[], ["--no-supervise"]]

  /// A way to run on one of the event loops.
  struct Way: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var reactor: String

    var testDescription: String { (arguments + [reactor]).joined(separator: " ") }
  }

  static let servingWays = ways.flatMap { arguments in
    RunningEdge.reactors.map { Way(arguments: arguments, reactor: $0) }
  }

  @Test(arguments: ways)
  func `a taken port is named with who has it`(way: [String]) throws {
    let taken = try TestSocket.listening(port: 0)
    defer { close(taken.descriptor) }
    let edge = try RunningEdge(configuration: EdgeText.responding(port: taken.port), arguments: way)
    defer { edge.finish() }

    let code = try edge.exitCode()

    #expect(code == 69)
    #expect(edge.logText.contains("cannot listen on 127.0.0.1:\(taken.port): already in use by "))
    #expect(edge.logText.contains("(pid \(getpid()))"))
  }

  @Test func `a second edge on the same port is refused, not given half the traffic`() throws {
    let port = try FreePort.find()
    let first = try RunningEdge(configuration: EdgeText.responding(port: port))
    defer { first.finish() }
    try first.awaitLog("message=serving")

    let second = try RunningEdge(configuration: EdgeText.responding(port: port))
    defer { second.finish() }

    #expect(try second.exitCode() == 69)
    #expect(second.logText.contains("already in use by spillway"))
  }

  @Test(arguments: ways)
  func `a bad configuration is refused at the start with every fault`(way: [String]) throws {
    let edge = try RunningEdge(configuration: "adress: x\nwokers: 1\n", arguments: way)
    defer { edge.finish() }

    let code = try edge.exitCode()

    #expect(code == 78)
    #expect(edge.logText.contains("edge.yaml:1:1"))
    #expect(edge.logText.contains("edge.yaml:2:1"))
  }

  @Test(arguments: servingWays, [SIGTERM, SIGINT])
  func `a signal to end lets a request end and exits with 0`(way: Way, signal: Int32) throws {
    let port = try FreePort.find()
    let upstream = try TestSocket.listening(port: 0)
    defer { close(upstream.descriptor) }
    let edge = try RunningEdge(
      configuration: EdgeText.proxying(port: port, to: upstream.port),
      arguments: way.arguments,
      reactor: way.reactor
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let connection = try TestSocket.open(port: port)
    defer { close(connection) }
    try TestSocket.ask(connection)
    let request = accept(upstream.descriptor, nil, nil)
    defer { close(request) }

    kill(edge.id, signal)
    try edge.awaitLog("message=draining")
    try TestSocket.answer(request)
    let answer = try TestSocket.read(connection)

    #expect(answer.hasPrefix("HTTP/1.1 200"))
    #expect(answer.lowercased().contains("connection: close"))
    #expect(try edge.exitCode() == 0)
  }

  @Test(arguments: servingWays, [SIGTERM, SIGINT])
  func `a second signal to end ends at once`(way: Way, signal: Int32) throws {
    let port = try FreePort.find()
    let upstream = try TestSocket.listening(port: 0)
    defer { close(upstream.descriptor) }
    let edge = try RunningEdge(
      configuration: EdgeText.proxying(port: port, to: upstream.port),
      arguments: way.arguments,
      reactor: way.reactor
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let connection = try TestSocket.open(port: port)
    defer { close(connection) }
    try TestSocket.ask(connection)
    let request = accept(upstream.descriptor, nil, nil)
    defer { close(request) }
    kill(edge.id, SIGTERM)
    try edge.awaitLog("message=draining")

    kill(edge.id, signal)

    #expect(try edge.exitCode() == 128 + signal)
    #expect(edge.logText.contains("second signal: ending at once"))
  }

  @Test(arguments: servingWays)
  func `a bad file is refused on reload and a good one is taken`(way: Way) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      arguments: way.arguments,
      reactor: way.reactor
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")

    try edge.replaceConfiguration("nonsense: 1\n")
    try edge.awaitLog("configuration refused, the one before goes on")
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
    try edge.replaceConfiguration(EdgeText.responding(ports: [port], body: "new"))
    try edge.awaitLog("configuration reloaded")
    kill(edge.id, SIGHUP)
    try edge.awaitLog("configuration unchanged")

    #expect(try TestSocket.get(port: port).hasSuffix("new\n"))
  }

  @Test(arguments: servingWays)
  func `SIGPIPE kills nobody, nor does a log without a reader`(way: Way) throws {
    let port = try FreePort.find()
    let pipe = Pipe()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port)
        .replacingOccurrences(of: "{output: off}", with: "{output: stdout, sample: {default: 1}}"),
      arguments: way.arguments,
      reactor: way.reactor,
      output: pipe.fileHandleForWriting
    )
    defer { edge.finish() }
    try pipe.fileHandleForWriting.close()
    try edge.awaitLog("message=serving")
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
    #expect(pipe.fileHandleForReading.availableData.count > 0, "the log goes there")
    try pipe.fileHandleForReading.close()

    kill(edge.id, SIGPIPE)
    if let child = edge.childID { kill(child, SIGPIPE) }

    for _ in 0..<3 { #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200")) }
    #expect(edge.process.isRunning)
    #expect(!edge.logText.contains("child died"))
  }

  @Test(arguments: servingWays)
  func `SIGUSR1 opens the access log anew after it was moved away`(way: Way) throws {
    let port = try FreePort.find()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("access.log").path
    let text = EdgeText.responding(port: port)
      .replacingOccurrences(of: "{output: off}", with: "{output: \"file:\(file)\"}")
    let edge = try RunningEdge(
      configuration: text,
      arguments: way.arguments,
      reactor: way.reactor
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    func lines(_ file: String) -> Int {
      (try? String(contentsOfFile: file, encoding: .utf8))?.split(separator: "\n").count ?? 0
    }
    _ = try TestSocket.get(port: port)
    try RunningEdge.await("the first line") { lines(file) == 1 }

    try FileManager.default.moveItem(atPath: file, toPath: file + ".1")
    kill(edge.id, SIGUSR1)
    try RunningEdge.await("the new file") { FileManager.default.fileExists(atPath: file) }
    _ = try TestSocket.get(port: port)

    try RunningEdge.await("the second line") { lines(file) == 1 }
    #expect(lines(file + ".1") == 1)
  }

  @Test(arguments: RunningEdge.reactors)
  func `the reactor is the one that the environment names`(reactor: String) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      environment: ["SPILLWAY_REACTOR": reactor]
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")

    #expect(edge.logText.contains("reactor=\(reactor) "))
    let child = try #require(edge.childID)
    let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child)/fd").map {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(child)/fd/\($0)")) ?? ""
    }
    #expect(open.contains("anon_inode:[io_uring]") == (reactor == "io_uring"))
    #expect(try TestSocket.get(port: port).hasPrefix("HTTP/1.1 200"))
  }

  @Test(arguments: ways)
  func `a reactor that does not exist is refused by name`(way: [String]) throws {
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: try FreePort.find()),
      arguments: way,
      environment: ["SPILLWAY_REACTOR": "kqueue"]
    )
    defer { edge.finish() }

    #expect(try edge.exitCode() == 64)
    #expect(edge.logText.contains("SPILLWAY_REACTOR is kqueue; must be epoll or io_uring"))
  }

  @Test(arguments: ways)
  func `the soft limit of descriptors is raised, and a hard one that is too low is named`(
    way: [String]
  ) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      arguments: way,
      limit: "-Sn 300"
    )
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let serving = edge.childID ?? edge.id
    let limits = try String(contentsOfFile: "/proc/\(serving)/limits", encoding: .utf8)
    let line = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") } ?? ""
    let numbers = line.split(separator: " ").compactMap { Int($0) }
    #expect(numbers.count == 2 && numbers[0] == numbers[1] && numbers[0] > 300, "\(line)")

    let poor = try RunningEdge(
      configuration: EdgeText.responding(port: try FreePort.find())
        .replacingOccurrences(
          of: "address: 127.0.0.1:",
          with: "connections: {maximum: 1000}, address: 127.0.0.1:"
        )
        .replacingOccurrences(of: "admin: {connections: {maximum: 1000}, ", with: "admin: {"),
      arguments: way,
      limit: "-n 500"
    )
    defer { poor.finish() }
    #expect(try poor.exitCode() == 69)
    #expect(poor.logText.contains("but the hard limit is 500"))
  }

  @Test(arguments: RunningEdge.reactors)
  func `an edge out of descriptors counts it, and serves who waited once it has some`(
    reactor: String
  ) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(
      configuration: EdgeText.responding(port: port),
      arguments: ["--no-supervise"],
      reactor: reactor,
      limit: "-n 100"
    )
    defer { edge.finish() }
    let admin = try edge.adminPort()
    // They hold more than half of what there is, and the clients may be 45.
    var askers = try (0..<55).map { _ in try TestSocket.open(port: admin) }
    defer { for asker in askers { close(asker) } }
    // One that says nothing would be closed before one that has said something.
    for asker in askers { _ = try TestSocket.exchange(asker, "/healthz") }
    func failures() throws -> Int {
      let text = try TestSocket.exchange(askers[0], "/metrics")
      let name = "spillway_accept_failures_total "
      let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
      return try #require(line.flatMap { Int($0.dropFirst(name.count)) })
    }
    #expect(try failures() == 0)

    let clients = try (0..<40).map { _ in try TestSocket.open(port: port) }
    defer { for client in clients { close(client) } }
    try RunningEdge.await("a failure is counted") { try failures() > 0 }
    for asker in askers { close(asker) }
    askers = []

    for client in clients { try TestSocket.ask(client, "/", "connection: close\r\n") }
    for client in clients {
      #expect(try TestSocket.read(client).hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func `an address that one has no permission for is refused with the reason`() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    chmod(folder.path, 0o555)
    let text = EdgeText.responding(port: 1).replacingOccurrences(
      of: "address: 127.0.0.1:1}",
      with: "address: \"unix:\(folder.path)/edge.sock\"}"
    )
    // Root may write anywhere; nobody may not even come to where the program was built.
    let copy = FileManager.default.temporaryDirectory.appendingPathComponent("edge-\(UUID())")
    try FileManager.default.copyItem(at: RunningEdge.program, to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    let edge = try RunningEdge(
      configuration: text,
      program: copy,
      through: geteuid() == 0 ? nobody : []
    )
    defer { edge.finish() }

    #expect(try edge.exitCode() == 69)
    #expect(
      edge.logText.contains(
        "cannot listen on unix:\(folder.path)/edge.sock: the folder is not writable"
      )
    )
  }

  @Test func `an address that may not be had is refused by name`() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let text = EdgeText.responding(port: 1).replacingOccurrences(
      of: "address: 127.0.0.1:1}",
      with: "address: \"unix:\(folder.path)/missing/edge.sock\"}"
    )
    let edge = try RunningEdge(configuration: text)
    defer { edge.finish() }

    #expect(try edge.exitCode() == 69)
    #expect(edge.logText.contains("cannot listen on unix:\(folder.path)/missing/edge.sock"))
  }
}
