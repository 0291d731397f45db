import Testing

extension WireTests {
  /// Connections, handshakes and streams while the edge itself has more to do than it can.
  @Suite(.serialized) struct OverloadConnectionTests {
    @Test(arguments: Backend.allCases)
    func `clients of HTTP2 get fewer streams, and theirs back though they say nothing`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      var settings = OverloadScene.settings(inFlight: 20)
      settings.listener = "h2: {maximumStreams: 120}"
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.http2()
        let other = try scene.http2()
        #expect(try other.exchange("GET", "/best-effort").status == 200)
        #expect(other.maximumStreams == 120)
        let tokens = try OverloadScene.hold(scene, holder, 19, of: 19)

        #expect(try other.exchange("GET", "/best-effort").reason == "shed-edge-overload")
        // It is told when it says something; within its bound it is served.
        try eventually("it gets fewer streams") {
          let status = try other.exchange("GET", "/critical").status
          #expect(status == 200)
          return other.maximumStreams == 30
        }
        gate.open()
        for token in tokens { #expect(try holder.answer(token).status == 200) }
        try other.wait("its streams") { $0.maximumStreams == 120 }
        try eventually("all are served again") {
          try other.exchange("GET", "/best-effort").status == 200
        }
        #expect(try scene.metric("spillway_h2_streams_narrowed_total") >= 1)
        #expect(other.farewells.isEmpty && holder.farewells.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `without memory handshakes are refused, and who is there is served`(
      backend: Backend
    ) throws {
      let memory = try MemoryStage()
      var settings = EdgeSettings.secure()
      settings.overload = "loopDelay: 60s, memory: 50%"
      settings.routes = AdmissionScene.settings(limit: 1).routes
      try Scene.play(backend, .echoingTarget(), settings: settings, memory: memory.source) {
        scene in
        let client = try scene.secureClient().client
        #expect(try OverloadScene.status(client, "critical") == 200)
        // Nothing is accepted from 0.98 on: 0.96 lies between both.
        memory.use(0.767)
        try eventually("all but the highest two classes are shed") {
          try OverloadScene.status(client, "normal") == 503
        }

        let hello = try HandshakeTests.hello()
        let stranger = try scene.client()
        stranger.trySend(hello)
        #expect(stranger.isClosedSilently())
        let refused = "spillway_tls_handshake_failures_total{reason=\"overload\"}"
        #expect(try scene.metric(refused) == 1)
        #expect(try OverloadScene.status(client, "critical") == 200)
        #expect(try OverloadScene.explanation(scene)["refusesHandshakes"] as? Bool == true)
        try OverloadScene.expectAdmin(scene)

        memory.use(0)
        try eventually("the lowest class is served") {
          try OverloadScene.status(client, "best-effort") == 200
        }
        let late = try scene.secureClient().client
        #expect(try OverloadScene.status(late, "critical") == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `without memory nothing more is accepted until there is some`(backend: Backend) throws {
      let memory = try MemoryStage()
      let settings = OverloadScene.bounded()
      try Scene.play(backend, .echoingTarget(), settings: settings, memory: memory.source) {
        scene in
        let client = try scene.client()
        #expect(try OverloadScene.status(client, "critical") == 200)
        memory.use(0.9)
        try eventually("it is noticed") {
          try OverloadScene.status(client, "important") == 503
        }

        // One is on its way into the worker's hands already.
        let first = try scene.client()
        #expect(try OverloadScene.status(first, "critical") == 200)
        #expect(try scene.metric("spillway_accept_pauses_total") >= 1)
        let second = try scene.client()
        try second.request("GET", "/critical")
        for _ in 0..<20 { #expect(try OverloadScene.status(client, "critical") == 200) }
        #expect(try scene.metric("spillway_client_connections") == 2)
        try OverloadScene.expectAdmin(scene)

        memory.use(0)
        #expect(try second.response().status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a full table of clients presses, and sheds nobody who is there`(
      backend: Backend
    ) throws {
      var settings = AdmissionScene.settings(limit: 10_000)
      settings.listener = "connections: {maximum: 3}"
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let clients = try (0..<3).map { _ in try scene.client() }
        for client in clients {
          #expect(try OverloadScene.status(client, "best-effort") == 200)
        }

        #expect(try OverloadScene.pressure(scene, "connections") == 1)
        for client in clients {
          #expect(try OverloadScene.status(client, "best-effort") == 200)
        }
        clients[0].close()
        try eventually("it presses less") {
          try OverloadScene.pressure(scene, "connections") < 1
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `descriptors that run short shed, and are seen`(backend: Backend) throws {
      var settings = AdmissionScene.settings(limit: 10_000)
      settings.listener = "connections: {maximum: 100}"
      try Scene.play(backend, .echoingTarget(), settings: settings, descriptors: 20) { scene in
        let client = try scene.client()
        #expect(try OverloadScene.status(client, "best-effort") == 200)
        // With the one to the service, and that of the client, they are 17 of 19.
        let idle = try (0..<15).map { _ in try scene.client() }

        try eventually("the lowest class is shed") {
          try OverloadScene.status(client, "best-effort") == 503
        }
        #expect(try OverloadScene.status(client, "critical") == 200)
        #expect(try OverloadScene.pressure(scene, "descriptors") > 0.8)
        #expect(try OverloadScene.sheds(scene, "descriptors") >= 1)
        for client in idle { client.close() }
        try eventually("it is served again") {
          try OverloadScene.status(client, "best-effort") == 200
        }
      }
    }
  }
}
