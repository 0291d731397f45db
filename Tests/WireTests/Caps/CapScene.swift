import Foundation
import HTTPCodec
import Testing

/// What tests of hard caps share: services of either version of HTTP whose answers clients hold back,
/// and what the edge counts.
enum CapScene {
  enum Spoken: String, CaseIterable, Sendable {
    case http1, h2c
  }

  /// Settings of one service that takes whatever comes, and where no wait ends by its time.
  static func settings(
    _ limits: String,
    connect: String = "60s",
    _ more: String = ""
  ) -> EdgeSettings {
    EdgeSettings(
      listener: "limits: {bodyIdle: 600s, minimumRate: 0B}",
      service: "limits: \(limits), connections: {connectTimeout: \(connect)}"
        + (more.isEmpty ? "" : ", \(more)"),
      policies: "timeoutMs: 30000"
    ).withoutAdmission
  }

  /// An edge before so many endpoints that answer once a request has come whole.
  static func play(
    _ backend: Backend,
    _ spoken: Spoken,
    _ settings: EdgeSettings,
    endpoints: Int = 1,
    streams: Int = 100,
    _ play: (Scene) throws -> Void
  ) throws {
    @Sendable func checked(_ scene: Scene) throws {
      try expectNothing(scene)
    }
    func whole(_ scene: Scene) throws {
      try play(scene)
      scene.closeClients()
      try checked(scene)
    }
    switch (spoken, endpoints) {
    case (.http1, 1): try Scene.play(backend, .echo(), settings: settings, whole)
    case (.http1, _): try Scene.play(backend, .echo(), .echo(), settings: settings, whole)
    case (.h2c, 1): try Scene.play(backend, h2c: echo(streams), settings: settings, whole)
    case (.h2c, _):
      try Scene.play(backend, h2c: echo(streams), echo(streams), settings: settings, whole)
    }
  }

  private static func echo(_ streams: Int) throws -> HTTP2Upstream {
    try HTTP2Upstream(settings: H2Settings(maximumStreams: streams)) { peer, request, moment in
      guard moment == .end else { return }
      let text = "\(request.method) \(request.target) \(request.text)"
      try peer.respond(request, 200, body: Array(text.utf8))
    }
  }

  /// Waits until nothing counts against a cap.
  static func expectNothing(_ scene: Scene) throws {
    try eventually("no request counts or waits") {
      try inUse(scene, "requests") == 0 && inUse(scene, "pending") == 0
    }
  }

  /// What counts against a cap, of the service and of its endpoints together.
  static func inUse(_ scene: Scene, _ kind: String, endpoint: String = "") throws -> Int {
    let labels = "service=\"backend\",endpoint=\"\(endpoint)\",kind=\"\(kind)\""
    return Int(try scene.metric("spillway_cap_in_use{\(labels)}"))
  }

  /// Sends a request but for its last byte: it has an attempt for as long as the client likes.
  static func hold(_ scene: Scene, _ target: String) throws -> RawClient {
    let client = try scene.client()
    try client.request("POST", target, "Content-Length: 1")
    return client
  }

  /// A request that a service has, and others behind it that wait in line in this order.
  ///
  /// `before`: What came to the service until then.
  static func line(
    _ scene: Scene,
    _ targets: String...,
    after before: [String] = []
  ) throws -> [RawClient] {
    var clients: [RawClient] = []
    for (place, target) in targets.enumerated() {
      clients.append(try hold(scene, target))
      if place == 0 { try expect(before + [target], at: scene) }
      try expectWaiting(place, scene)
    }
    return clients
  }

  /// Targets that came to services, of each in the order of arrival.
  static func arrived(_ scene: Scene) -> [String] {
    scene.upstreams.flatMap { $0.requests.map(\.target) }
      + scene.services.flatMap { $0.requests.map(\.target) }
  }

  static func expect(_ targets: [String], at scene: Scene) throws {
    var found: [String] = []
    do {
      try eventually("\(targets) have come") {
        found = arrived(scene)
        return found.count >= targets.count
      }
    } catch { throw WireFailure("\(error): \(found)") }
    #expect(found == targets)
  }

  static func expectWaiting(_ count: Int, _ scene: Scene) throws {
    try eventually("\(count) wait") { try inUse(scene, "pending") == count }
  }

  /// Lets a request go on, and reads its answer.
  static func finish(_ client: RawClient, _ target: String) throws {
    try client.send("x")
    let answer = try client.response()
    #expect(answer.status == 200)
    #expect(answer.text == "POST \(target) x")
  }
}
