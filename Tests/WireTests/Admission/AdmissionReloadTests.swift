import Testing

extension WireTests {
  /// Modes, and what of admission outlives a configuration.
  @Suite(.serialized) struct AdmissionReloadTests {
    @Test(arguments: Backend.allCases)
    func `in shadow all is decided and counted, and nobody waits or is refused`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = AdmissionScene.settings(limit: 1, capacity: 2, mode: "shadow")
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let paths = (0..<6).map { "/normal/\($0)" }
        let tokens = try AdmissionScene.burst(client, paths)

        try eventually("all of them are at the service") { upstream.requests.count == 6 }
        try eventually("all but one would have been refused") {
          try AdmissionScene.decisions(scene, "mode=\"shadow\",decision=\"shed\"") == 5
        }
        #expect(try scene.metric("spillway_concurrency_inflight") == 1)
        #expect(try AdmissionScene.decisions(scene, "mode=\"enforce\"") == 0)
        gate.open()
        for (token, path) in zip(tokens, paths) { #expect(try client.answer(token).text == path) }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `where admission is off nothing is decided`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = AdmissionScene.settings(limit: 1, capacity: 1, mode: "\"off\"")
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let tokens = try AdmissionScene.burst(client, ["/a", "/b", "/c", "/d"])
        try eventually("all of them are at the service") { upstream.requests.count == 4 }
        gate.open()

        for token in tokens { #expect(try client.answer(token).status == 200) }
        #expect(try AdmissionScene.decisions(scene, "service=\"backend\"") == 0)
        #expect(try AdmissionScene.explanation(scene)["mode"] as? String == "off")
      }
    }

    @Test(arguments: Backend.allCases)
    func `who is in flight stays counted across reloads, while others wait`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/held")
      let settings = AdmissionScene.settings(limit: 1, workers: 2)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let tokens = try AdmissionScene.burst(client, ["/held", "/critical/waits"])
        try eventually("it is held") { upstream.requests.count == 1 }

        for timeout in 1...4 {
          try scene.reload { $0.policies = "timeoutMs: \(20_000 + timeout)" }
          #expect(try scene.metric("spillway_concurrency_inflight") == 1)
        }
        // One that came under the new configuration meets the request of the old one.
        #expect(try scene.client().exchange("GET", "/normal").status == 503)
        gate.open()
        #expect(try client.answer(tokens[0]).text == "/held")
        let waited = try client.answer(tokens[1])
        #expect(waited.status == 200 || waited.reason == "shed-queue-timeout")
        #expect(try scene.client().exchange("GET", "/normal").status == 200)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload that gives a service another limit begins anew and loses nobody`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/held")
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.client()
        try client.request("GET", "/held")
        try eventually("it is held") { upstream.requests.count == 1 }

        try scene.reload { $0.service = AdmissionScene.settings(limit: 2).service }
        #expect(try scene.metric("spillway_concurrency_limit") == 2)
        #expect(try scene.client().exchange("GET", "/normal").status == 200)
        gate.open()
        #expect(try client.response().text == "/held")
        // Back to the first: its request has ended and given its place back.
        try scene.reload { _ in }
        #expect(try scene.metric("spillway_concurrency_limit") == 1)
        #expect(try scene.client().exchange("GET", "/normal").status == 200)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `classes stay as they are until a restart`(backend: Backend) throws {
      var settings = EdgeSettings()
      settings.root = ["classes: [high, low]"]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        var isRefused = false
        do {
          try scene.reload { $0.root = ["classes: [high, middle, low]"] }
        } catch {
          isRefused = true
        }
        let answer = try scene.client().exchange("GET", "/a")
        #expect(isRefused)
        #expect(answer.status == 200)
        #expect(scene.upstream.requests[0]["x-criticality"] == "low")
      }
    }
  }
}
