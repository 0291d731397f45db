import Testing

extension WireTests {
  /// A service whose endpoints are what a name server says they are.
  struct DiscoveryNameTests {
    private static let shop = "_http._tcp.shop.test"
    private static let changes = "spillway_discovery_changes_total{service=\"backend\"}"
    private static let failures =
      "spillway_discovery_failures_total{service=\"backend\",reason=\"unavailable\"}"

    private static func up(_ source: String) -> String {
      "spillway_discovery_up{service=\"backend\",source=\"\(source)\"}"
    }

    private static func named(_ name: String) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in try peer.respond(200, name) }
    }

    private static func play(
      _ backend: Backend,
      _ discovery: String,
      _ server: FakeNameServer,
      _ first: ScriptedUpstream,
      _ second: ScriptedUpstream,
      _ play: (Scene) throws -> Void
    ) throws {
      var settings = EdgeSettings()
      settings.discovery = discovery
      settings.workers = 2
      try Scene.play(
        backend,
        first,
        second,
        settings: settings.withoutAdmission,
        nameServers: "127.0.0.1:\(server.port)",
        play
      )
    }

    @Test(arguments: Backend.allCases)
    func `services that a name server names are asked by priority, and drained when they leave`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let server = try FakeNameServer()
      defer { server.stop() }
      for name in ["a.shop.test", "b.shop.test"] {
        server.set(name, .answer(["127.0.0.1"], ttl: 300))
      }
      server.set(
        Self.shop,
        .services(
          [(1, 0, first.port, "a.shop.test"), (2, 0, second.port, "b.shop.test")],
          ttl: 1
        )
      )
      try Self.play(backend, "dns: \(Self.shop), type: srv", server, first, second) { scene in
        let client = try scene.client()
        // Both are there once the edge has started, and the first one is better.
        for _ in 0..<20 { #expect(try client.exchange("GET", "/").text == "first") }
        let told = try scene.admin("/admin/services").text
        #expect(told.contains("\"source\":\"dns-srv\",\"from\":\"\(Self.shop)\",\"isUp\":true"))
        #expect(told.contains("\"weight\":1,\"priority\":1"))

        server.set(Self.shop, .services([(2, 0, second.port, "b.shop.test")], ttl: 1))

        try eventually("the other one serves") {
          try client.exchange("GET", "/").text == "second"
        }
        try eventually("nothing is kept of the first") { first.openConnections == 0 }
        try eventually("it is counted") { try scene.metric(Self.changes) == 2 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a name server that is away, or says nonsense, takes nobody away`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let server = try FakeNameServer()
      defer { server.stop() }
      server.set("a.shop.test", .answer(["127.0.0.1"], ttl: 300))
      server.set(Self.shop, .services([(0, 0, first.port, "a.shop.test")], ttl: 1))
      try Self.play(backend, "dns: \(Self.shop), type: srv", server, first, second) { scene in
        let client = try scene.client()
        try eventually("it is up") { try scene.metric(Self.up("dns-srv")) == 1 }

        server.set(Self.shop, .broken)
        try eventually("it is down") { try scene.metric(Self.up("dns-srv")) == 0 }
        #expect(try scene.metric(Self.failures) >= 1)
        #expect(try client.exchange("GET", "/").text == "first")

        // A dot for a target says that the service is not to be had.
        server.set(Self.shop, .services([(0, 0, 0, "")], ttl: 1))
        try eventually("it is empty") {
          try scene.metric(
            "spillway_discovery_failures_total{service=\"backend\",reason=\"empty\"}"
          ) == 1
        }
        #expect(try client.exchange("GET", "/").text == "first")

        // A target that nobody knows does not take the place of one that serves.
        server.set(Self.shop, .services([(0, 0, second.port, "nobody.test")], ttl: 1))
        try eventually("it waits") {
          try scene.metric("spillway_discovery_waiting{service=\"backend\"}") == 1
        }
        #expect(try client.exchange("GET", "/").text == "first")
        try eventually("it is said which name has no address, and why") {
          let told = try scene.admin("/admin/services").text
          return told.contains("\"unresolvedNames\":[{\"name\":\"nobody.test\",\"problem\":\"")
            && !told.contains("not answered yet")
        }
        #expect(try scene.metric("spillway_discovery_unresolved{service=\"backend\"}") == 1)
        server.set("nobody.test", .answer(["127.0.0.1"], ttl: 300))

        try eventually("it serves") { try client.exchange("GET", "/").text == "second" }
        #expect(try scene.metric(Self.up("dns-srv")) == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a list with a name that is never answered is served in the end`(backend: Backend) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let server = try FakeNameServer()
      defer { server.stop() }
      for name in ["a.shop.test", "b.shop.test"] {
        server.set(name, .answer(["127.0.0.1"], ttl: 300))
      }
      server.set("c.shop.test", .silent)
      server.set(Self.shop, .services([(0, 0, first.port, "a.shop.test")], ttl: 1))
      try Self.play(backend, "dns: \(Self.shop), type: srv", server, first, second) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").text == "first")

        server.set(
          Self.shop,
          .services([(0, 0, second.port, "b.shop.test"), (0, 0, 1, "c.shop.test")], ttl: 1)
        )

        try eventually("the new one serves") { try client.exchange("GET", "/").text == "second" }
        #expect(try scene.metric("spillway_discovery_waiting{service=\"backend\"}") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a name with a port is a source as well, found late or not`(backend: Backend) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let server = try FakeNameServer()
      defer { server.stop() }
      let discovery = "dns: Shop.test, port: \(first.port)"
      try Self.play(backend, discovery, server, first, second) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/").status == 503)
        try eventually("it is missed") { try scene.metric(Self.failures) >= 1 }

        server.set("shop.test", .answer(["127.0.0.1"], ttl: 1))

        try eventually("it serves") { try client.exchange("GET", "/").text == "first" }
        try eventually("it is up") { try scene.metric(Self.up("dns")) == 1 }
        server.set("shop.test", .unknown)
        try eventually("it is down") { try scene.metric(Self.up("dns")) == 0 }
        #expect(try client.exchange("GET", "/").text == "first")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload from a list to a name server keeps the list until there is an answer`(
      backend: Backend
    ) throws {
      let (first, second) = (try Self.named("first"), try Self.named("second"))
      let server = try FakeNameServer()
      defer { server.stop() }
      server.set("b.shop.test", .answer(["127.0.0.1"], ttl: 300))
      let settings = EdgeSettings(endpoints: [first.endpoint]).withoutAdmission
      try Scene.play(
        backend,
        first,
        second,
        settings: settings,
        nameServers: "127.0.0.1:\(server.port)"
      ) { scene in
        let client = try scene.client()

        try scene.reload { $0.discovery = "dns: \(Self.shop), type: srv, port: \(second.port)" }
        try eventually("it is missed") { try scene.metric(Self.failures) >= 1 }
        #expect(try client.exchange("GET", "/").text == "first")
        server.set(Self.shop, .services([(0, 0, 1, "b.shop.test")], ttl: 1))

        try eventually("it serves") { try client.exchange("GET", "/").text == "second" }
      }
    }
  }
}
