import Testing

extension WireTests {
  /// Who waits for whom: a line holds up nobody who could go on.
  struct CapLineTests {
    typealias Spoken = CapScene.Spoken

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `a connection that lies idle with another worker makes room at its endpoint`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      for limits in [
        "{perEndpoint: {connections: 1}}", "{connections: 1, pending: 0}",
        "{perEndpoint: {connections: 1}, pending: 0}",
      ] {
        var settings = CapScene.settings(limits, connect: "20s")
        settings.workers = 2
        try CapScene.play(backend, spoken, settings) { scene in
          // The kernel spreads connections by their ports, so both workers have some of them.
          for round in 0..<24 {
            let client = try RawClient(port: scene.edge.port("public"))
            defer { client.close() }
            #expect(try client.exchange("GET", "/\(round)").status == 200, "\(limits)")
            // Idle, or closed for a wish that came while it was in use.
            let busy = "spillway_upstream_pool_connections{state=\"busy\"}"
            try eventually("it is free") { try scene.metric(busy) == 0 }
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is beyond the cap of requests waits in the queue, which knows classes`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(service: "limits: {requests: 1}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        func limit() throws -> Double {
          try scene.metric("spillway_concurrency_limit{service=\"backend\"}")
        }
        #expect(try scene.client().exchange("GET", "/").status == 200)
        #expect(try limit() == 1)

        try scene.reload { $0.service = "limits: {requests: 3}" }
        try eventually("the limit may be higher") {
          #expect(try scene.client().exchange("GET", "/").status == 200)
          return try limit() > 1
        }
        #expect(try limit() <= 3)
      }
    }

    @Test(arguments: Backend.allCases)
    func `who waits for endpoints of one port holds up nobody who asks another`(
      backend: Backend
    ) throws {
      let (first, second) = (try ScriptedUpstream.echo(), try ScriptedUpstream.echo())
      var settings = CapScene.settings("{perEndpoint: {requests: 1}}")
      settings.hasDefaultRoute = false
      settings.routes = [("a", first), ("b", second)].map { name, service in
        "name: \(name), match: {pathPrefix: /\(name)}, "
          + "upstream: {service: backend, port: \(service.port)}, "
          + "policies: {auth: none, timeoutMs: 30000}"
      }
      try Scene.play(backend, first, second, settings: settings) { scene in
        let held = try CapScene.hold(scene, "/a/1")
        try CapScene.expect(["/a/1"], at: scene)
        let waits = try CapScene.hold(scene, "/a/2")
        try CapScene.expectWaiting(1, scene)

        for _ in 0..<3 { #expect(try scene.client().exchange("GET", "/b").status == 200) }

        try CapScene.expectWaiting(1, scene)
        try CapScene.finish(held, "/a/1")
        try CapScene.finish(waits, "/a/2")
        try CapScene.expectNothing(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that works is waited for rather than one that is down asked again`(
      backend: Backend
    ) throws {
      let service = try ScriptedUpstream.echo()
      var settings = CapScene.settings("{perEndpoint: {requests: 1}}")
      settings.endpoints = [service.endpoint, "127.0.0.1:\(try Socket.deadPort())"]
      try Scene.play(backend, service, settings: settings) { scene in
        let held = try CapScene.hold(scene, "/1")
        try CapScene.expect(["/1"], at: scene)
        let second = try CapScene.hold(scene, "/2")
        try CapScene.expectWaiting(1, scene)
        let third = try CapScene.hold(scene, "/3")
        try CapScene.expectWaiting(2, scene)

        try CapScene.finish(held, "/1")
        try CapScene.finish(second, "/2")
        try CapScene.finish(third, "/3")
        try CapScene.expectNothing(scene)
      }
    }
  }
}
