import Foundation
import Glibc
import Testing

/// Starting that must fail clearly, and stopping that must be orderly, in both ways to run.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct StartAndStopTests {
  static let ways: [[String]] = [[], ["--no-supervise"]]

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

  @Test(arguments: ways)
  func `SIGTERM lets a request end and exits with 0`(way: [String]) throws {
    let port = try FreePort.find()
    let upstream = try TestSocket.listening(port: 0)
    defer { close(upstream.descriptor) }
    let edge = try RunningEdge(
      configuration: EdgeText.proxying(port: port, to: upstream.port),
      arguments: way
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
    try TestSocket.answer(request)
    let answer = try TestSocket.read(connection)

    #expect(answer.hasPrefix("HTTP/1.1 200"))
    #expect(answer.lowercased().contains("connection: close"))
    #expect(try edge.exitCode() == 0)
  }

  @Test(arguments: ways)
  func `a second SIGTERM ends at once`(way: [String]) throws {
    let port = try FreePort.find()
    let upstream = try TestSocket.listening(port: 0)
    defer { close(upstream.descriptor) }
    let edge = try RunningEdge(
      configuration: EdgeText.proxying(port: port, to: upstream.port),
      arguments: way
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

    kill(edge.id, SIGTERM)

    #expect(try edge.exitCode() == 143)
    #expect(edge.logText.contains("second signal: ending at once"))
  }

  @Test(arguments: ways)
  func `a bad file is refused on reload and a good one is taken`(way: [String]) throws {
    let port = try FreePort.find()
    let edge = try RunningEdge(configuration: EdgeText.responding(port: port), arguments: way)
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
}
