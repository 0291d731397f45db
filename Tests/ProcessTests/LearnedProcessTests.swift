import Foundation
import Glibc
import Testing

/// What limits have learned outlives the process that learned it.
@Suite(.serialized)
struct LearnedProcessTests {
  private static let limit = "spillway_concurrency_limit{service=\"origin\"}"

  /// A copy as an edge writes it, of a service `origin` whose limit was found to be 77.
  private static var copy: String {
    let now = Int(Date().timeIntervalSince1970)
    let lines =
      "spillway-learned 1\nsaved \(now)\n"
      + "service origin latency-gradient \(now) 77.0 0.02 0.02 1.0 0.02\nroute all 1.0\n"
    var hash: UInt64 = 14_695_981_039_346_656_037
    for byte in lines.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
    let text = String(hash, radix: 16)
    return lines + "end " + String(repeating: "0", count: 16 - text.count) + text + "\n"
  }

  /// A state directory with a copy, and a configuration with and without it.
  private struct Stage {
    let folder: URL
    let plain: String
    var text: String { "stateDirectory: \(folder.path)\n" + plain }
    var copy: URL { folder.appendingPathComponent("learned") }

    init(_ kept: String) throws {
      folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("spillway-state-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      // Nobody asks for anything: neither port is used.
      plain = EdgeText.proxying(port: 0, to: 1)
      try kept.write(to: copy, atomically: true, encoding: .utf8)
    }

    func end() { try? FileManager.default.removeItem(at: folder) }
  }

  /// The value of a metric, 0 where it is not there.
  private static func metric(_ name: String, _ edge: RunningEdge) throws -> Double {
    let answer = try TestSocket.get(port: edge.adminPort(), "/metrics")
    let line = answer.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + " ") }
    return line?.split(separator: " ").last.flatMap { Double($0) } ?? 0
  }

  @Test(arguments: RunningEdge.reactors)
  func `a restart begins with what was learned, and a drain keeps it`(reactor: String) throws {
    let stage = try Stage(Self.copy)
    defer { stage.end() }
    let first = try RunningEdge(configuration: stage.text, reactor: reactor)
    defer { first.finish() }
    try first.awaitLog("message=serving")
    #expect(try Self.metric(Self.limit, first) == 77)
    #expect(try Self.metric("spillway_learned_state_services{source=\"file\"}", first) == 1)

    try RunningEdge.await("the first copy of its own") {
      try Self.metric(
        "spillway_learned_state_saves_total{target=\"file\",outcome=\"saved\"}",
        first
      ) > 0
    }
    try FileManager.default.removeItem(at: stage.copy)
    kill(first.id, SIGTERM)
    #expect(try first.exitCode() == 0)
    let second = try RunningEdge(configuration: stage.text, reactor: reactor)
    defer { second.finish() }
    try second.awaitLog("message=serving")
    #expect(try Self.metric(Self.limit, second) == 77)
  }

  @Test(arguments: RunningEdge.reactors)
  func `an upgrade and a crash begin with what was learned, without any file`(
    reactor: String
  ) throws {
    let stage = try Stage(Self.copy)
    defer { stage.end() }
    let edge = try RunningEdge(configuration: stage.text, reactor: reactor)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    try RunningEdge.await("the parent has a copy") {
      try Self.metric(
        "spillway_learned_state_saves_total{target=\"parent\",outcome=\"saved\"}",
        edge
      )
        > 0
    }
    // From now on nobody knows of the directory.
    try edge.replaceConfiguration(stage.plain)
    try edge.awaitLog("configuration reloaded")

    kill(edge.id, SIGUSR2)
    try edge.awaitLog("old child has drained")
    let handed = "spillway_learned_state_services{source=\"handed-over\"}"
    #expect(try Self.metric(Self.limit, edge) == 77)
    #expect(try Self.metric(handed, edge) == 1)

    let child = try #require(edge.childID)
    kill(child, SIGKILL)
    try edge.awaitLog("message=serving", count: 3)
    #expect(edge.childID != child)
    #expect(try Self.metric(Self.limit, edge) == 77)
    #expect(try Self.metric(handed, edge) == 1)
  }

  @Test func `a damaged copy is said to be one, and the edge starts`() throws {
    let stage = try Stage(String(Self.copy.dropLast(30)))
    defer { stage.end() }
    let edge = try RunningEdge(configuration: stage.text)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")

    #expect(edge.logText.contains("reason=damaged"))
    #expect(try Self.metric(Self.limit, edge) == 16)
    let ignored = "spillway_learned_state_ignored_total{source=\"file\",reason=\"damaged\"}"
    #expect(try Self.metric(ignored, edge) == 1)
  }

  /// A file of endpoints, and a service that reads it.
  private static func list(_ ports: [UInt16], to path: String) throws {
    let entries = ports.map { "\"127.0.0.1:\($0)\"" }.joined(separator: ", ")
    try "endpoints: [\(entries)]\n".write(toFile: path, atomically: true, encoding: .utf8)
  }

  @Test(arguments: RunningEdge.reactors)
  func `endpoints outlive their source and the process that heard it`(reactor: String) throws {
    let stage = try Stage(Self.copy)
    defer { stage.end() }
    let (first, second) = (try NamedOrigin("first"), try NamedOrigin("second"))
    defer { withExtendedLifetime((first, second)) {} }
    let file = stage.folder.appendingPathComponent("endpoints.yaml").path
    try Self.list([first.port], to: file)
    let port = try FreePort.find()
    let plain = EdgeText.proxying(port: port, to: 1)
    let text = plain.replacingOccurrences(
      of: "endpoints: [127.0.0.1:1]",
      with: "discovery: {file: \"\(file)\"}"
    )
    #expect(text != plain)
    let edge = try RunningEdge(configuration: text, reactor: reactor)
    defer { edge.finish() }
    try edge.awaitLog("message=serving")
    let up = "spillway_discovery_up{service=\"origin\",source=\"file\"}"
    #expect(try Self.metric(up, edge) == 1)
    #expect(try TestSocket.get(port: port).hasSuffix("first"))
    try RunningEdge.await("the parent has a copy") {
      try Self.metric(
        "spillway_learned_state_saves_total{target=\"parent\",outcome=\"saved\"}",
        edge
      ) > 0
    }

    try FileManager.default.removeItem(atPath: file)
    try RunningEdge.await("it is missed") { try Self.metric(up, edge) == 0 }
    kill(edge.id, SIGUSR2)
    try edge.awaitLog("old child has drained")

    #expect(try TestSocket.get(port: port).hasSuffix("first"))
    #expect(try Self.metric(up, edge) == 0)
    #expect(
      try Self.metric("spillway_discovery_endpoints{service=\"origin\",source=\"file\"}", edge) == 1
    )
    try Self.list([second.port], to: file)
    try RunningEdge.await("the new file counts") {
      try TestSocket.get(port: port).hasSuffix("second")
    }
    #expect(try Self.metric(up, edge) == 1)
  }
}
