import HTTPCodec
import Testing

extension WireTests {
  /// One endpoint hangs and has all permits: the others serve beside them.
  struct AdmissionHangingTests {
    /// Two endpoints that answer, but for `/held`, which waits for the gate.
    private static func upstream(_ gate: Gate) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in
        if request.target.hasPrefix("/critical/held") { gate.wait() }
        try peer.respond(200, "x")
      }
    }

    @Test(arguments: Backend.allCases)
    func `what hangs at one endpoint is not waited for by those of another`(
      backend: Backend
    ) throws {
      let gate = Gate()
      defer { gate.open() }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, Self.upstream(gate), Self.upstream(gate), settings: settings) {
        (scene: Scene) throws in
        try eventually("both are known") {
          _ = try scene.client().exchange("GET", "/critical/warm")
          return scene.upstreams.allSatisfy { !$0.requests.isEmpty }
        }
        let held = try scene.client()
        try held.request("GET", "/critical/held")
        try eventually("it is held") {
          scene.upstreams.contains { $0.requests.contains { $0.target == "/critical/held" } }
        }

        // The limit is one: nobody would be served before it ends.
        try eventually("another one is served") {
          try scene.client().exchange("GET", "/critical").status == 200
        }
        try eventually("it is told") { try scene.metric("spillway_concurrency_hanging") == 1 }
        #expect(try scene.metric("spillway_concurrency_limit") == 1)
        #expect(try scene.admin("/admin/services").text.contains("\"hanging\":1"))
        #expect(try scene.admin("/admin/services?format=text").text.contains("1 of them hang"))

        gate.open()
        #expect(try held.response().status == 200)
        try eventually("nothing hangs") { try scene.metric("spillway_concurrency_hanging") == 0 }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `where all endpoints hang nobody goes out beside`(backend: Backend) throws {
      let gate = Gate()
      defer { gate.open() }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, Self.upstream(gate), settings: settings) { (scene: Scene) throws in
        #expect(try scene.client().exchange("GET", "/critical/warm").status == 200)
        let held = try scene.client()
        try held.request("GET", "/critical/held")
        try eventually("it is held") {
          scene.upstream.requests.contains { $0.target == "/critical/held" }
        }
        let answer = try scene.client().exchange("GET", "/critical")
        #expect(answer.status == 503)
        #expect(answer.problem?["reason"] as? String == "shed-queue-timeout")
        #expect(try scene.metric("spillway_concurrency_hanging") == 0)
        gate.open()
        #expect(try held.response().status == 200)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }
  }
}
