import Edge
import Foundation
import Testing

/// What tests of the edge's own overload share.
enum OverloadScene {
  /// A service that takes whatever comes, with a route for each class, behind an edge that is full with
  /// so many requests in flight.
  static func settings(inFlight: Int, workers: Int = 1, more: String = "") -> EdgeSettings {
    var settings = AdmissionScene.settings(limit: 10_000, workers: workers)
    settings.overload = "loopDelay: 60s, memory: 100%, inFlight: \(inFlight)\(more)"
    return settings
  }

  /// Requests that hang, of the highest class.
  static let held = "/critical/held"

  /// Has so many more of them hang, until the service has `total`.
  static func hold(_ scene: Scene, _ client: HTTP2Client, _ count: Int, of total: Int) throws
    -> [Int32]
  {
    let tokens = try AdmissionScene.burst(client, Array(repeating: held, count: count))
    try eventually("\(total) hang") {
      scene.upstream.requests.filter { $0.target == held }.count == total
    }
    return tokens
  }

  /// The status of a request of a class, on a connection of HTTP/1.1.
  static func status(_ client: RawClient, _ name: String) throws -> Int {
    let answer = try client.exchange("GET", "/\(name)")
    if answer.status == 503 {
      #expect(answer.problem?["reason"] as? String == "shed-edge-overload")
      #expect(answer.problem?["class"] as? String == name)
    }
    return answer.status
  }

  /// Runs `body` while clients send requests of a path as fast as they are taken, and read on.
  static func flooded(
    _ scene: Scene,
    _ path: String,
    by clients: Int,
    _ body: () throws -> Void
  ) throws {
    let request = "GET \(path) HTTP/1.1\r\nHost: edge.test\r\n\r\n"
    let bytes = Array(String(repeating: request, count: 300).utf8)
    let sockets = try (0..<clients).map { _ in
      try Socket.connected(to: scene.edge.port("public"))
    }
    // One thread sends and one reads, until the connection is gone.
    try concurrently(2 * clients) { number in
      let socket = sockets[number / 2]
      while true {
        if number % 2 == 0 {
          guard (try? socket.send(bytes, by: Deadline(after: .seconds(60)))) != nil else { return }
        } else {
          let deadline = Deadline(after: .seconds(60))
          guard let read = try? socket.receive(atMost: 65_536, by: deadline),
            case .success = read
          else { return }
        }
      }
    } while: {
      defer { for socket in sockets { socket.interrupt() } }
      try body()
    }
    for socket in sockets { socket.close() }
  }

  /// Settings of an edge that sheds when half of its memory is in use, and for nothing else.
  static func bounded() -> EdgeSettings {
    var settings = AdmissionScene.settings(limit: 10_000)
    settings.overload = "loopDelay: 60s, memory: 50%"
    return settings
  }

  static func pressure(_ scene: Scene, _ kind: String) throws -> Double {
    try scene.metric("spillway_edge_pressure{kind=\"\(kind)\"}")
  }

  static func sheds(_ scene: Scene, _ kind: String) throws -> Double {
    try scene.metric("spillway_edge_sheds_total{kind=\"\(kind)\"}")
  }

  /// What `/admin/services` says of the edge itself.
  static func explanation(_ scene: Scene) throws -> [String: Any] {
    let root = try scene.explanation()
    guard let edge = root["edge"] as? [String: Any] else {
      throw WireFailure("no explanation of the edge: \(root)")
    }
    return edge
  }

  /// Health, metrics and readiness answer whatever happens.
  static func expectAdmin(_ scene: Scene) throws {
    #expect(try scene.admin("/healthz").status == 200)
    #expect(try scene.admin("/metrics").status == 200)
    #expect(try scene.admin("/readyz").status == 200)
  }
}

/// The files from which an edge reads how much memory is in use, written by a test.
final class MemoryStage {
  private let folder = "/tmp/spillway-memory-\(UInt32.random(in: 0 ... .max))"
  private static let limit = 1_000_000

  init() throws {
    try FileManager.default.createDirectory(
      atPath: folder + "/groups",
      withIntermediateDirectories: true
    )
    write("cgroup", "0::/\n")
    write("statm", "1 1 1 1 0 1 0\n")
    write("meminfo", "MemTotal: 1000000000 kB\n")
    write("groups/memory.max", "\(Self.limit)\n")
    use(0)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  var source: MemoryUse {
    MemoryUse(process: folder, groups: folder + "/groups", machine: folder + "/meminfo")
  }

  /// From the next look on this share of the memory is in use.
  func use(_ share: Double) {
    write("groups/memory.current", "\(Int(Double(Self.limit) * share))\n")
  }

  private func write(_ name: String, _ text: String) {
    #expect(FileText.replace("\(folder)/\(name)", with: text) == 0)
  }
}
