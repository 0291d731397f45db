import Testing

extension WireTests {
  /// Who waits for a permit, in which order they get one, and who loses theirs.
  @Suite(.serialized) struct AdmissionQueueTests {
    @Test(arguments: Backend.allCases)
    func `requests that wait are served in the order of their classes`(backend: Backend) throws {
      let settings = AdmissionScene.settings(limit: 1)
      let paths = [
        "/first", "/best-effort/1", "/normal/1", "/important/1", "/normal/2", "/critical/1",
        "/best-effort/2", "/critical/2",
      ]
      try AdmissionScene.unhurried { judge in
        let upstream = try ScriptedUpstream.echoingTarget()
        try Scene.play(backend, upstream, settings: settings) { scene in
          let client = try scene.http2()
          let tokens = try AdmissionScene.burst(client, paths)
          guard try judge(tokens.map { try client.answer($0) }) else { return }

          for (token, path) in zip(tokens, paths) { #expect(try client.answer(token).text == path) }
          #expect(
            upstream.requests.map(\.target) == [
              "/first", "/critical/1", "/critical/2", "/important/1", "/normal/1", "/normal/2",
              "/best-effort/1", "/best-effort/2",
            ]
          )
          #expect(try scene.metric("spillway_queue_wait_seconds_count{service=\"backend\"}") == 7)
          try AdmissionScene.expectNothingHeld(scene)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service of HTTP/2 is asked in the same order`(backend: Backend) throws {
      let settings = AdmissionScene.settings(limit: 1)
      try AdmissionScene.unhurried { judge in
        let service = try HTTP2Upstream.echo()
        try Scene.play(backend, h2c: service, settings: settings) { scene in
          let paths = ["/first", "/best-effort", "/normal", "/critical"]
          let client = try scene.http2()
          let tokens = try AdmissionScene.burst(client, paths)
          guard try judge(tokens.map { try client.answer($0) }) else { return }

          for token in tokens { #expect(try client.answer(token).status == 200) }
          #expect(
            service.requests.map(\.target) == ["/first", "/critical", "/normal", "/best-effort"]
          )
          try AdmissionScene.expectNothingHeld(scene)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `in a full queue the lowest class gives way to a higher one`(backend: Backend) throws {
      let settings = AdmissionScene.settings(limit: 1, capacity: 2)
      try AdmissionScene.unhurried { judge in
        let upstream = try ScriptedUpstream.echoingTarget()
        try Scene.play(backend, upstream, settings: settings) { scene in
          let paths = ["/first", "/best-effort/1", "/best-effort/2", "/critical", "/best-effort/3"]
          let client = try scene.http2()
          let tokens = try AdmissionScene.burst(client, paths)
          guard try judge(tokens.map { try client.answer($0) }) else { return }

          #expect(try client.answer(tokens[1]).reason == "shed-evicted")
          #expect(try client.answer(tokens[4]).reason == "shed-queue-full")
          #expect(try client.answer(tokens[3]).text == "/critical")
          #expect(try client.answer(tokens[2]).text == "/best-effort/2")
          #expect(
            upstream.requests.map(\.target) == ["/first", "/critical", "/best-effort/2"]
          )
          try AdmissionScene.expectNothingHeld(scene)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that goes away leaves the queue`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/held")
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let held = try client.request("GET", "/held")
        try eventually("it is held") { upstream.requests.count == 1 }

        try Self.expectLeft(scene, "critical") {
          let gone = try client.request("GET", "/critical/gone")
          return { try client.reset(gone) }
        }
        try Self.expectLeft(scene, "important") {
          let other = try scene.client()
          try other.request("GET", "/important/gone")
          return { other.close() }
        }
        #expect(try scene.metric("spillway_concurrency_inflight") == 1)
        gate.open()
        #expect(try client.answer(held).text == "/held")
        #expect(try client.exchange("GET", "/after").text == "/after")
        #expect(upstream.requests.map(\.target) == ["/held", "/after"])
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that holds back a byte of its body does not get past the limit`(
      backend: Backend
    ) throws {
      let settings = AdmissionScene.settings(limit: 4)
      let hanging = try ScriptedUpstream { peer, _ in try peer.hang() }
      try Scene.play(backend, hanging, settings: settings) { scene in
        let clients = try (0..<3).map { _ in try scene.client() }
        for client in clients {
          // A block of it is enough to get a permit.
          try client.send(
            "POST /normal HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 20000\r\n\r\n"
          )
          try client.send(Array(repeating: 97, count: 17_000))
        }
        let held = "spillway_concurrency_inflight"
        try eventually("their permits go back") {
          try scene.upstream.openConnections == 3 && scene.metric(held) == 0
        }
        for client in clients { try client.send(Array(repeating: 98, count: 3_000)) }
        try eventually("they count again") { try scene.metric(held) == 3 }
        for client in clients { client.close() }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that dribbles its body does not keep others from the service`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, request.target)
      }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let slow = try scene.client()
        // A block of it is enough to get a permit, and from then on it has to keep its pace.
        try slow.send("POST /slow HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 20000\r\n\r\n")
        try slow.send(Array(repeating: 97, count: 17_000))
        try eventually("its head is there") { upstream.requests.count == 1 }

        try eventually("another is served") {
          try scene.client().exchange("GET", "/critical").status == 200
        }
        #expect(try scene.metric("spillway_concurrency_inflight") == 0)
        try slow.send(Array(repeating: 98, count: 3_000))
        #expect(try slow.response().text == "/slow")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    /// Asks, and goes away by what `ask` returns, until a request was seen to leave the queue.
    ///
    /// On a machine that hangs it may be refused first: then another tries.
    private static func expectLeft(
      _ scene: Scene,
      _ name: String,
      _ ask: () throws -> () throws -> Void
    ) throws {
      let ends = "spillway_admission_decisions_total{class=\"\(name)\"}"
      let depth = "spillway_queue_depth"
      try eventually("one of class \(name) has left") {
        let before = try scene.metrics().sum(ends) ?? 0
        let leave = try ask()
        try eventually("it waits, or was refused") {
          let metrics = try scene.metrics()
          return try (metrics.sum(ends) ?? 0) > before || (metrics.sum(depth) ?? 0) > 0
        }
        try leave()
        try eventually("it waits no longer") { try scene.metric(depth) == 0 }
        return try AdmissionScene.decisions(scene, "decision=\"left\",class=\"\(name)\"") > 0
      }
    }
  }
}
