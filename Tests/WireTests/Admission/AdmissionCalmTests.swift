import Glibc
import Testing

extension WireTests {
  /// What admission must not do: refuse clients of a service that has room for them.
  @Suite(.serialized) struct AdmissionCalmTests {
    /// A service with the settings that nobody wrote, which answers in five milliseconds.
    private static func scene(
      _ backend: Backend,
      workers: Int,
      _ play: (Scene) throws -> Void
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        usleep(5_000)
        try peer.respond(200, request.target)
      }
      var settings = EdgeSettings(workers: workers)
      settings.listener = "h2: {maximumStreams: 256}"
      settings.routes = [
        "name: ready, match: {path: /ready}, respond: {status: 200, body: ready}, "
          + "policies: {auth: none}"
      ]
      try Scene.play(backend, upstream, settings: settings, play)
    }

    /// Plays a burst until one is served whole, each at an edge that knows nothing of its service.
    ///
    /// On a machine that stands still for a while it may wait for longer than anybody has to; a
    /// queue that is too short for it refuses some each time.
    private static func expectServed(
      _ backend: Backend,
      workers: Int,
      _ burst: (Scene) throws -> Int
    ) throws {
      var refused: [Int] = []
      while refused.last != 0, refused.count < 10 {
        try scene(backend, workers: workers) { refused.append(try burst($0)) }
      }
      #expect(refused.last == 0, "refused in each burst: \(refused)")
    }

    @Test(arguments: Backend.allCases, [1, 2])
    func `a burst of connections at a cold service is served`(
      backend: Backend,
      workers: Int
    ) throws {
      try Self.expectServed(backend, workers: workers) { scene in
        let clients = try (0..<200).map { _ in try scene.client() }
        for client in clients { try client.request("GET", "/a") }
        return try clients.reduce(0) { try $0 + ($1.response().status == 200 ? 0 : 1) }
      }
    }

    @Test(arguments: Backend.allCases, [1, 2])
    func `a burst of streams at a cold service is served`(
      backend: Backend,
      workers: Int
    ) throws {
      try Self.expectServed(backend, workers: workers) { scene in
        let client = try scene.http2()
        // With the answer it has the SETTINGS, and knows how many streams it may begin.
        #expect(try client.exchange("GET", "/ready").status == 200)
        let tokens = try AdmissionScene.burst(client, (0..<200).map { "/\($0)" })
        return try tokens.reduce(0) { try $0 + (client.answer($1).status == 200 ? 0 : 1) }
      }
    }

    @Test(arguments: Backend.allCases, [1, 2])
    func `one whose requests hang leaves others their share`(
      backend: Backend,
      workers: Int
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/hang")
      var settings = AdmissionScene.settings(limit: 4, workers: workers)
      settings.listener = "trustedProxies: [127.0.0.1/32]"
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let greedy = try scene.http2()
        let paths = Array(repeating: "/hang", count: 12)
        let tokens = try AdmissionScene.burst(greedy, paths, [("x-forwarded-for", "192.0.2.1")])
        try eventually("it has all permits") { upstream.requests.count == 4 }

        let other = try scene.client()
        // Tenants are told apart by a hash of 256 values: one in as many shares that of the greedy one,
        // and waits in vain. Another one does not.
        var field = ""
        var tenant = 1
        try eventually("it is seen that they hang") {
          tenant = tenant % 200 + 1
          field = "x-forwarded-for: 192.0.2.1, 198.51.100.\(tenant)"
          return try other.exchange("GET", "/seen", field).status == 200
        }
        for number in 0..<30 {
          #expect(try other.exchange("GET", "/\(number)", field).status == 200)
        }
        // Who hangs, and whoever is behind the same address, waits in vain.
        let same = try scene.client()
        let refused = try same.exchange("GET", "/same", "x-forwarded-for: 192.0.2.1")
        #expect(refused.status == 503)
        #expect(upstream.requests.filter { $0.target == "/hang" }.count == 4)

        gate.open()
        for token in tokens {
          let status = try greedy.answer(token).status
          #expect(status == 200 || status == 503)
        }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }
  }
}
