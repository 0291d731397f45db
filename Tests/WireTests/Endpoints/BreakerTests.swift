import Foundation
import HTTPCodec
import Synchronization
import Testing
import Units

extension WireTests {
  /// Breakers on the wire: what opens one, what a client is told, who is not asked any more.
  struct BreakerTests {
    /// A breaker that does not close again while a slow machine runs a test.
    private static let lasting = "breaker: {consecutiveFailures: 5, open: 600s}"

    /// What a service does with every request, until it is told otherwise.
    final class Mood: Sendable {
      private let value: Atomic<Int>
      init(_ status: Int) { value = Atomic(status) }
      var status: Int {
        get { value.load(ordering: .acquiring) }
        set { value.store(newValue, ordering: .releasing) }
      }
    }

    private static func upstream(_ mood: Mood) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in try peer.respond(mood.status, "x") }
    }

    private static func settings(_ service: String = lasting) -> EdgeSettings {
      EdgeSettings(service: service).withoutAdmission
    }

    /// Makes requests one after another and compares their statuses.
    private static func expect(_ statuses: [Int], in scene: Scene) throws {
      let found = try Self.statuses(scene, statuses.count)
      #expect(found == statuses)
    }

    private static func statuses(_ scene: Scene, _ count: Int) throws -> [Int] {
      try (0..<count).map { Int(try scene.client().exchange("GET", "/\($0)").status) }
    }

    @Test(arguments: Backend.allCases)
    func `five gateway errors in a row open a service's breaker, and then nobody asks it`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.upstream(Mood(502)), settings: Self.settings()) {
        (scene: Scene) throws in
        try Self.expect([502, 502, 502, 502, 502], in: scene)

        let client = try scene.client()
        for _ in 0..<3 {
          let answer = try client.exchange("GET", "/more")
          #expect(answer.status == 503)
          #expect(answer.text.contains("\"reason\":\"breaker-open\""))
          #expect(answer["proxy-status"] == "spillway; error=destination_unavailable")
          let seconds = Int(answer["retry-after"]?.filter { $0 != " " } ?? "") ?? 0
          #expect((45...90).contains(seconds), "\(answer["retry-after"] ?? "none")")
        }
        #expect(scene.upstream.requests.count == 5)
        let open = "spillway_breaker_state{service=\"backend\",endpoint=\"\",state=\"open\"}"
        #expect(try scene.metric(open) == 1)
        #expect(
          try scene.metric(
            "spillway_breaker_trips_total{endpoint=\"\",cause=\"consecutive-failures\"}"
          ) == 1
        )
        #expect(
          try scene.metric("spillway_local_replies_total{reason=\"breaker-open\"}") == 3
        )
        let text = try scene.admin("/admin/services?format=text").text
        #expect(text.contains("breaker: open for"))
        let json = try scene.admin("/admin/services").text
        #expect(json.contains("\"breaker\":{\"state\":\"open\""))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that fails no more is found by probes, and served as before`(
      backend: Backend
    ) throws {
      let mood = Mood(504)
      let settings = Self.settings(
        "breaker: {consecutiveFailures: 3, open: 20ms, maximumOpen: 40ms, ramp: 0s}"
      )
      try Scene.play(backend, Self.upstream(mood), settings: settings) { (scene: Scene) throws in
        try Self.expect([504, 504, 504], in: scene)
        mood.status = 200
        try eventually("it is served") { try scene.client().exchange().status == 200 }
        // Probes that are through let everybody in, the ramp being none.
        try eventually("it is closed") {
          _ = try scene.client().exchange()
          return try scene.metric(
            "spillway_breaker_state{service=\"backend\",endpoint=\"\",state=\"closed\"}"
          ) == 1
        }
        try Self.expect(Array(repeating: 200, count: 20), in: scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `failed connects, resets, time-outs and broken bodies open it`(backend: Backend) throws {
      let dead = try Socket.deadPort()
      var refused = Self.settings()
      refused.endpoints = ["127.0.0.1:\(dead)"]
      try Scene.play(backend, .echoingTarget(), settings: refused) { (scene: Scene) throws in
        try Self.expect([502, 502, 502, 502, 502, 503, 503], in: scene)
      }

      let resetting = try ScriptedUpstream { peer, _ in peer.reset() }
      try Scene.play(backend, resetting, settings: Self.settings()) { (scene: Scene) throws in
        try Self.expect([502, 502, 502, 502, 502, 503, 503], in: scene)
      }

      let gate = Gate()
      var slow = Self.settings()
      slow.policies = "timeoutMs: 50"
      try Scene.play(backend, .echoingTarget(behind: gate), settings: slow) {
        (scene: Scene) throws in
        defer { gate.open() }
        try Self.expect([504, 504, 504, 504, 504, 503, 503], in: scene)
      }

      let broken = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        peer.close()
      }
      try Scene.play(backend, broken, settings: Self.settings()) { (scene: Scene) throws in
        for _ in 0..<5 {
          let client = try scene.client()
          try client.request("GET", "/")
          #expect(try client.head().status == 200)
          _ = try client.rest()
        }
        try Self.expect([503], in: scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that stands still until its time is up is a failure`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let stuck = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        gate.wait()
      }
      var settings = Self.settings("breaker: {consecutiveFailures: 2, open: 600s}")
      settings.policies = "timeoutMs: 1000"
      try Scene.play(backend, stuck, settings: settings) { (scene: Scene) throws in
        defer { gate.open() }
        for _ in 0..<2 {
          let client = try scene.client()
          // Where its head is late, too, the answer is 504, and the connection ends all the same.
          try client.request("GET", "/", "Connection: close")
          _ = try client.rest()
        }
        try Self.expect([503], in: scene)
        #expect(try scene.metric("spillway_timeouts_total{kind=\"request\"}") == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `plain 500s, clients that leave and a client's own deadline open nothing`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.upstream(Mood(500)), settings: Self.settings()) {
        (scene: Scene) throws in
        try Self.expect(Array(repeating: 500, count: 30), in: scene)
      }

      let gate = Gate()
      try Scene.play(
        backend,
        .echoingTarget(behind: gate, at: "/held"),
        settings: Self.settings()
      ) { (scene: Scene) throws in
        defer { gate.open() }
        for number in 0..<8 {
          let client = try scene.client()
          try client.request("GET", "/held")
          try eventually("it came") { scene.upstream.requests.count == number + 1 }
          client.reset()
          try eventually("it is gone") {
            try scene.metric("spillway_client_aborts_total") == Double(number + 1)
          }
        }
        try Self.expect([200, 200, 200], in: scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what counts as a failure can be said`(backend: Backend) throws {
      let settings = Self.settings(
        "breaker: {consecutiveFailures: 2, open: 600s, failures: [5xx]}"
      )
      let mood = Mood(503)
      try Scene.play(backend, Self.upstream(mood), settings: settings) { (scene: Scene) throws in
        try Self.expect(Array(repeating: 503, count: 10), in: scene)
        #expect(scene.upstream.requests.count == 10)
        mood.status = 500
        try Self.expect([500, 500, 503], in: scene)
        #expect(scene.upstream.requests.count == 12)
      }
    }

    @Test(arguments: Backend.allCases)
    func `slow answers open it where a time is set`(backend: Backend) throws {
      let slow = try ScriptedUpstream { peer, request in
        // The one thing that takes time here is what is measured.
        usleep(20_000)
        try peer.respond(200, request.target)
      }
      let settings = Self.settings(
        "breaker: {minimumRequests: 4, window: 600s, slowCall: 10ms, open: 600s}"
      )
      try Scene.play(backend, slow, settings: settings) { (scene: Scene) throws in
        try Self.expect([200, 200, 200, 200, 503, 503], in: scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that fails leaves the choice, and the service goes on`(
      backend: Backend
    ) throws {
      let settings = Self.settings("balance: round-robin, \(Self.lasting)")
      try Scene.play(
        backend,
        Self.upstream(Mood(502)),
        Self.upstream(Mood(200)),
        settings: settings
      ) { (scene: Scene) throws in
        let statuses = try Self.statuses(scene, 40)
        #expect(statuses.filter { $0 == 502 }.count == 5)
        #expect(scene.upstreams.map(\.requests.count) == [5, 35])
        let endpoint = scene.upstreams[0].endpoint
        #expect(
          try scene.metric(
            "spillway_breaker_state{service=\"backend\",endpoint=\"\(endpoint)\",state=\"open\"}"
          ) == 1
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `where most endpoints are out all are asked`(backend: Backend) throws {
      let bad = Mood(502)
      let settings = Self.settings(
        "balance: round-robin, breaker: {consecutiveFailures: 3, failureRatio: 0, open: 600s}"
      )
      // Never three bad ones in a row: the service's own breaker stays closed.
      try Scene.play(
        backend,
        Self.upstream(bad),
        Self.upstream(Mood(200)),
        Self.upstream(bad),
        Self.upstream(Mood(200)),
        Self.upstream(bad),
        settings: settings
      ) { (scene: Scene) throws in
        _ = try Self.statuses(scene, 20)
        let before = scene.upstreams.map(\.requests.count)
        #expect([0, 2, 4].allSatisfy { before[$0] >= 3 })
        // Three of five are out: requests go on to them.
        _ = try Self.statuses(scene, 20)
        let after = scene.upstreams.map(\.requests.count)
        #expect([0, 2, 4].allSatisfy { after[$0] > before[$0] })
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service of HTTP/2 has breakers, too`(backend: Backend) throws {
      let refusing = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.respond(request, 502, body: [])
      }
      try Scene.play(backend, h2c: refusing, settings: Self.settings()) { (scene: Scene) throws in
        try Self.expect([502, 502, 502, 502, 502, 503, 503], in: scene)
        #expect(scene.service.requests.count == 5)
      }

      var dead = Self.settings()
      dead.endpoints = ["127.0.0.1:\(try Socket.deadPort())"]
      try Scene.play(backend, h2c: .echo(), settings: dead) { (scene: Scene) throws in
        try Self.expect([502, 502, 502, 502, 502, 503, 503], in: scene)
      }

      let resetting = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.reset(request, .internalError)
      }
      try Scene.play(backend, h2c: resetting, settings: Self.settings()) { (scene: Scene) throws in
        try Self.expect([502, 502, 502, 502, 502, 503, 503], in: scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a call of gRPC is told so in its own terms`(backend: Backend) throws {
      try Scene.play(backend, Self.upstream(Mood(502)), settings: Self.settings()) {
        (scene: Scene) throws in
        _ = try Self.statuses(scene, 5)
        let client = try scene.client()
        let answer = try client.exchange("GET", "/call", "Content-Type: application/grpc")
        #expect(answer.status == 200)
        #expect(answer["grpc-status"] == "14")
        #expect(answer["grpc-message"] == "breaker-open")
        let pushback = Int(answer["grpc-retry-pushback-ms"]?.filter { $0 != " " } ?? "") ?? 0
        #expect((45_000...90_000).contains(pushback))
      }
    }

    @Test(arguments: Backend.allCases)
    func `an open breaker is still open after a reload`(backend: Backend) throws {
      try Scene.play(backend, Self.upstream(Mood(502)), settings: Self.settings()) {
        (scene: Scene) throws in
        _ = try Self.statuses(scene, 5)
        try scene.reload { $0.policies = "timeoutMs: 4000" }
        try Self.expect([503, 503, 503], in: scene)
        // Without a breaker nobody looks at it.
        try scene.reload { $0 = Self.settings("balance: p2c") }
        try eventually("the new configuration serves") {
          try scene.client().exchange().status == 502
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that says nothing is asked however often it fails`(backend: Backend) throws {
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, Self.upstream(Mood(502)), settings: settings) {
        (scene: Scene) throws in
        try Self.expect(Array(repeating: 502, count: 30), in: scene)
      }
    }
  }
}
