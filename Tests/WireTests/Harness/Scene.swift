import Edge
import Foundation
import Testing

/// One edge between clients and scripted upstreams, checked for leaks when the test is through.
final class Scene {
  let edge: EdgeUnderTest
  let upstreams: [ScriptedUpstream]
  let services: [HTTP2Upstream]
  private let settings: EdgeSettings
  private var clients: [RawClient] = []
  private var sessions: [HTTP2Client] = []

  private init(
    _ edge: EdgeUnderTest,
    _ upstreams: [ScriptedUpstream],
    _ services: [HTTP2Upstream],
    _ settings: EdgeSettings
  ) {
    self.edge = edge
    self.upstreams = upstreams
    self.services = services
    self.settings = settings
  }

  /// Starts an edge before `upstreams`, runs `play` and ends everything.
  ///
  /// Afterwards nothing may be left: no connection, exchange or buffer by the edge's own count, no
  /// socket of the edge's or the upstreams' ports by the kernel's, and nothing that was no HTTP on
  /// the way to an upstream.
  static func play(
    _ backend: Backend,
    _ upstreams: ScriptedUpstream...,
    settings: EdgeSettings = EdgeSettings(),
    snapshots: Int? = nil,
    descriptors: Int? = nil,
    blocks: Int? = nil,
    memory: MemoryUse? = nil,
    nameServers: String? = nil,
    calls: CallTimes? = nil,
    _ play: (Scene) throws -> Void
  ) throws {
    try Self.play(
      backend,
      upstreams,
      [],
      settings,
      snapshots,
      descriptors,
      blocks,
      memory: memory,
      nameServers: nameServers,
      calls: calls,
      play
    )
  }

  /// The same before services of HTTP/2.
  static func play(
    _ backend: Backend,
    h2c service: HTTP2Upstream,
    _ others: HTTP2Upstream...,
    settings: EdgeSettings = EdgeSettings(),
    _ play: (Scene) throws -> Void
  ) throws {
    var settings = settings
    settings.service = "protocol: h2c" + (settings.service.isEmpty ? "" : ", ") + settings.service
    try Self.play(backend, [], [service] + others, settings, nil, nil, nil, play)
  }

  /// The same before services that are reached through something else, as the settings say.
  static func play(
    _ backend: Backend,
    _ upstream: ScriptedUpstream?,
    behind service: HTTP2Upstream,
    settings: EdgeSettings,
    _ play: (Scene) throws -> Void
  ) throws {
    try Self.play(backend, upstream.map { [$0] } ?? [], [service], settings, nil, nil, nil, play)
  }

  private static func play(
    _ backend: Backend,
    _ upstreams: [ScriptedUpstream],
    _ services: [HTTP2Upstream],
    _ settings: EdgeSettings,
    _ snapshots: Int?,
    _ descriptors: Int?,
    _ blocks: Int?,
    memory: MemoryUse? = nil,
    nameServers: String? = nil,
    calls: CallTimes? = nil,
    _ play: (Scene) throws -> Void
  ) throws {
    defer {
      for upstream in upstreams { upstream.stop() }
      for service in services { service.stop() }
    }
    let endpoints = upstreams.map(\.endpoint) + services.map(\.endpoint)
    let text = settings.yaml(endpoints: endpoints)
    let edge = try EdgeUnderTest(
      configuration: text,
      backend: backend,
      blocks: blocks,
      snapshots: snapshots,
      descriptors: descriptors,
      memory: memory,
      nameServers: nameServers,
      calls: calls
    )
    let scene = Scene(edge, upstreams, services, settings)
    defer { edge.stop() }
    var ports = Set(upstreams.map(\.port) + services.map(\.port)).union([edge.adminPort])
    ports.insert(try edge.port("public"))
    // Nobody can have come to these ports yet: a socket that names one of them stems from a test
    // that had the port before and has not closed its end.
    let strangers = Socket.touching(ports, connected: true)

    do {
      try play(scene)
    } catch {
      scene.closeClients()
      throw error
    }

    scene.closeClients()
    try scene.expectNothingHeld()
    ports.remove(0)
    let sockets = Socket.touching(ports).subtracting(strangers)
    for upstream in upstreams {
      #expect(upstream.failures.isEmpty, "the edge sent what is no HTTP")
      upstream.stop()
    }
    for service in services {
      #expect(service.failures.isEmpty, "the edge broke the rules of HTTP/2")
      service.stop()
    }
    edge.stop()
    var left: [String] = []
    try? eventually("no socket is left") {
      left = Socket.open(of: sockets)
      return left.isEmpty
    }
    #expect(left.isEmpty, "no socket is left")
  }

  /// The scene's first upstream.
  var upstream: ScriptedUpstream { upstreams[0] }
  /// The scene's first service of HTTP/2.
  var service: HTTP2Upstream { services[0] }

  /// A new client of a listener.
  func client(_ listener: String = "public", receiveBuffer: Int32? = nil) throws -> RawClient {
    let client = try RawClient(port: edge.port(listener), receiveBuffer: receiveBuffer)
    clients.append(client)
    return client
  }

  /// A new client of a listener that speaks HTTP/2.
  func http2(_ listener: String = "public", receiveBuffer: Int32? = nil) throws -> HTTP2Client {
    let socket = try Socket.connected(to: edge.port(listener), receiveBuffer: receiveBuffer)
    let client = try HTTP2Client(socket)
    sessions.append(client)
    return client
  }

  /// Takes a client into the scene that was made elsewhere.
  func adopt(_ client: RawClient) -> RawClient {
    clients.append(client)
    return client
  }

  /// The same for a client of HTTP/2.
  func adopt(_ client: HTTP2Client) -> HTTP2Client {
    sessions.append(client)
    return client
  }

  /// Sends `bytes` on a connection of its own and reads the answer to a request of `method`.
  func answer(to bytes: String, method: String = "GET") throws -> RawResponse {
    let client = try client()
    client.trySend(bytes)
    return try client.response(to: method)
  }

  /// Reloads with the scene's settings as `change` leaves them.
  func reload(_ change: (inout EdgeSettings) -> Void) throws {
    var next = settings
    change(&next)
    let endpoints = upstreams.map(\.endpoint) + services.map(\.endpoint)
    try edge.reload(next.yaml(endpoints: endpoints))
  }

  /// A GET on the admin port.
  func admin(_ path: String) throws -> RawResponse {
    let client = try RawClient(port: edge.adminPort)
    defer { client.close() }
    try client.send("GET \(path) HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
    return try client.response()
  }

  /// The object that `/admin/services` answers with.
  func explanation() throws -> [String: Any] {
    let answer = try admin("/admin/services")
    guard answer.status == 200,
      let root = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
    else { throw WireFailure("no explanation: \(answer.text)") }
    return root
  }

  /// Everything that the edge counts, now.
  func metrics() throws -> Exposition {
    let response = try admin("/metrics")
    guard response.status == 200 else { throw WireFailure("/metrics said \(response.status)") }
    return try Exposition(response.text)
  }

  /// The sum of the series that `selector` names, 0 when there is none.
  func metric(_ selector: String) throws -> Double { try metrics().sum(selector) ?? 0 }

  func closeClients() {
    for client in clients { client.close() }
    for client in sessions { client.close() }
    clients = []
    sessions = []
  }

  /// Waits until the edge holds no connection, exchange or buffer.
  func expectNothingHeld() throws {
    let gauges = [
      "spillway_connections{side=\"downstream\"}", "spillway_exchanges_active",
      "spillway_buffer_blocks{state=\"used\"}",
    ]
    var last = ""
    do {
      try eventually("nothing is held") {
        let metrics = try metrics()
        let values = try gauges.map { try metrics.sum($0) ?? -1 }
        last = zip(gauges, values).map { "\($0) \($1)" }.joined(separator: ", ")
        return values.allSatisfy { $0 == 0 }
      }
    } catch {
      Issue.record("something is still held: \(last)")
    }
  }
}
