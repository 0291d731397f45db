import Foundation
import HTTPCodec
import Testing
import Units

extension WireTests {
  /// Random requests against services with hard caps: nothing of what is counted stays behind.
  struct CapStormTests {
    private static func settings(_ limits: String) -> EdgeSettings {
      var settings = CapScene.settings(
        limits,
        connect: "5s",
        "breaker: {consecutiveFailures: 50, open: 5ms, maximumOpen: 5ms}, "
          + "retryBudget: {ratio: 1, minimumPerSecond: 1000}"
      )
      settings.policies =
        "timeoutMs: 30000, retries: 1, retryOn: [connect-failure, reset, 503], "
        + "hedge: {percentile: 0.5}"
      settings.workers = 2
      return settings
    }

    private static func act(_ port: UInt16, _ random: inout SplitMix64) throws {
      let client = try RawClient(port: port)
      defer { client.close() }
      for _ in 0..<(1 + random.next() % 4) {
        let isRead = random.next() % 2 == 0
        let body = isRead ? "\r\n" : "Content-Length: 3\r\n\r\nabc"
        guard client.trySend("\(isRead ? "GET" : "POST") / HTTP/1.1\r\nHost: edge.test\r\n\(body)")
        else { return }
        // Some leave at once.
        switch random.next() % 12 {
        case 0: return
        case 1: return client.reset()
        default: break
        }
        let answer = try client.response()
        guard [200, 502, 503].contains(answer.status) else {
          throw WireFailure("\(answer.status) \(answer.text)")
        }
        if answer.saysClose { return }
      }
    }

    /// Twelve clients at once, beside which something else happens; what they had to complain of.
    private static func storm(
      on port: UInt16,
      seed: UInt64,
      while body: () throws -> Void
    ) throws -> [String] {
      let failures = Locked<[String]>([])
      @Sendable func run(_ index: Int) {
        var random = SplitMix64(seed: seed &+ UInt64(index))
        for _ in 0..<60 {
          do {
            try act(port, &random)
          } catch {
            failures.withLock { $0.append("\(error)") }
          }
        }
      }
      try concurrently(12, run, while: body)
      return failures.withLock { $0 }
    }

    private static func storm(_ scene: Scene, seed: UInt64) throws {
      let port = try scene.edge.port("public")
      let failures = try Self.storm(on: port, seed: seed) {
        for round in 0..<6 {
          try scene.reload { $0.policies += ", perTryTimeoutMs: \(20_000 + round)" }
        }
      }
      #expect(failures == [], "seed \(seed)")
      try CapScene.expectNothing(scene)
      let endpoints = scene.upstreams.map(\.endpoint) + scene.services.map(\.endpoint)
      for endpoint in endpoints {
        try eventually("nothing counts at \(endpoint), seed \(seed)") {
          try CapScene.inUse(scene, "requests", endpoint: endpoint) == 0
        }
      }
      // What is counted of connections is what there is.
      try eventually("connections are counted right, seed \(seed)") {
        let open =
          scene.upstreams.reduce(0) { $0 + $1.openConnections }
          + scene.services.reduce(0) { $0 + $1.openConnections }
        return try CapScene.inUse(scene, "connections") == open
          && endpoints.reduce(0) { try $0 + CapScene.inUse(scene, "connections", endpoint: $1) }
            == open
      }
      #expect(try scene.metric("spillway_cap_waits_total") > 0, "seed \(seed): nobody waited")
    }

    private static let limits =
      "{requests: 6, connections: 5, pending: 30, perEndpoint: {requests: 4, connections: 3}}"

    @Test(arguments: Backend.allCases)
    func `clients that leave, services that break and reloads leave nothing counted`(
      backend: Backend
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      @Sendable func service() throws -> ScriptedUpstream {
        try ScriptedUpstream { peer, request in
          usleep(UInt32.random(in: 0..<3_000))
          switch Int.random(in: 0..<16) {
          case 0: peer.reset()
          case 1: peer.close()
          case 2: try peer.respond(503, "x")
          case 3:
            try peer.respond(200, "", "Connection: close")
            peer.close()
          default: try peer.respond(200, request.target)
          }
        }
      }
      try Scene.play(backend, service(), service(), settings: Self.settings(Self.limits)) {
        try Self.storm($0, seed: seed)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the same with services of HTTP/2`(backend: Backend) throws {
      let seed = UInt64.random(in: 0 ... .max)
      @Sendable func service() throws -> HTTP2Upstream {
        try HTTP2Upstream(settings: .init(maximumStreams: 2)) { peer, request, moment in
          guard moment == .end else { return }
          usleep(UInt32.random(in: 0..<1_000))
          switch Int.random(in: 0..<24) {
          case 0: try peer.reset(request, .internalError)
          case 1: try peer.reset(request, .refusedStream)
          case 2: try peer.respond(request, 503, body: [])
          case 3: peer.close()
          case 4:
            try peer.goAway()
            try peer.respond(request, 200, body: [])
          default: try peer.respond(request, 200, body: Array(request.target.utf8))
          }
        }
      }
      try Scene.play(backend, h2c: service(), service(), settings: Self.settings(Self.limits)) {
        try Self.storm($0, seed: seed)
      }
    }
  }
}
