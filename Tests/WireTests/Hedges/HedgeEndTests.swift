import Testing
import Units

extension WireTests {
  /// What ends two attempts, or changes around them, while both are out.
  struct HedgeEndTests {
    private static let hanging = HedgeScene.script { peer, _, _ in try peer.hang() }

    @Test(arguments: Backend.allCases)
    func `a client that leaves takes both attempts along`(backend: Backend) throws {
      try HedgeScene.play(backend, Self.hanging) { scene in
        let before = try HedgeScene.count(scene, "left")
        let old = try scene.client()
        try old.request("GET", "/old")
        try HedgeScene.expect(2, of: "/old", scene)
        old.close()
        try eventually("both are ended") { HedgeScene.cancellations(scene) >= 2 }

        let new = try scene.http2()
        let token = try new.request("GET", "/new")
        try HedgeScene.expect(2, of: "/new", scene)
        try new.reset(token)
        try eventually("these, too") { HedgeScene.cancellations(scene) >= 4 }

        try eventually("it is counted") { try HedgeScene.count(scene, "left") == before + 2 }
        #expect(try scene.client().exchange("GET", "/warm").status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the request's own time ends both`(backend: Backend) throws {
      let settings = HedgeScene.settings("timeoutMs: 1500, retries: 2, retryOn: [reset, 5xx]")
      try HedgeScene.play(backend, Self.hanging, settings: settings) { scene in
        // On a machine that hangs the second attempt may be too late.
        try eventually("both were out") {
          let before = try HedgeScene.count(scene, "left")
          let answer = try scene.client().exchange("GET", "/")
          #expect(answer.status == 504)
          #expect(answer.problem?["reason"] as? String == "upstream-timeout")
          return try HedgeScene.count(scene, "left") > before
        }
        #expect(try RetryScene.retries(scene) == 0)
        let kinds = "spillway_timeouts_total{kind=\"request\"}"
        let replies = "spillway_local_replies_total{reason=\"upstream-timeout\"}"
        #expect(try scene.metric(kinds) == scene.metric(replies))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload that takes the route away leaves both to be answered`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let script = HedgeScene.script { peer, _, attempt in
        gate.wait()
        try peer.respond(200, "\(attempt)")
      }
      try HedgeScene.play(backend, script) { scene in
        defer { gate.open() }
        let client = try scene.client()
        try client.request("GET", "/")
        try HedgeScene.expect(2, of: "/", scene)
        try scene.reload {
          $0.hasDefaultRoute = false
          $0.routes = [
            "name: fresh, match: {path: /fresh}, respond: {status: 204}, policies: {auth: none}"
          ]
        }
        try eventually("the new configuration is there") {
          try scene.client().exchange("GET", "/fresh").status == 204
        }
        gate.open()

        #expect(try client.response().status == 200)
        #expect(try client.exchange("GET", "/").status == 404)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a drain waits for the answer, and one of the attempts goes`(backend: Backend) throws {
      let gate = Gate()
      var settings = HedgeScene.settings()
      settings.root = ["drain: {grace: 100ms, deadline: 20s}"]
      let script = HedgeScene.script { peer, _, attempt in
        guard attempt > 1 else { return try peer.hang() }
        gate.wait()
        try peer.respond(200, "2")
      }
      try HedgeScene.play(backend, script, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.client()
        try client.request("GET", "/")
        try HedgeScene.expect(2, of: "/", scene)
        scene.edge.drain()
        try eventually("readiness fails") { try scene.admin("/readyz").status == 503 }
        gate.open()

        let answer = try client.response()
        #expect(answer.text == "2" && answer.saysClose)
        try eventually("it has drained") { scene.edge.hasDrained }
      }
    }

    @Test(arguments: Backend.allCases, [0, 1])
    func `an answer comes while the other attempt is still connecting`(
      backend: Backend,
      opened: Int
    ) throws {
      let upstreams = try [HedgeScene.answering(), HedgeScene.answering()]
      let fronts = try upstreams.map { try TLSFront(http1: $0) }
      let held = try fronts.map { try HeldFront(before: $0.port) }
      defer {
        for front in held { front.stop() }
        for front in fronts { front.stop() }
      }
      var settings = HedgeScene.settings(service: "connections: {connectTimeout: 30s}")
      settings.service = EdgeSettings.secureService(more: settings.service).service
      settings.endpoints = held.map(\.endpoint)
      try Scene.play(backend, upstreams[0], upstreams[1], settings: settings) { scene in
        for front in held { front.open() }
        try HedgeScene.warm(scene)
        for front in held { front.hold() }
        for upstream in upstreams { upstream.closeConnections() }
        try eventually("no connection is kept") {
          try scene.metric("spillway_connections{side=\"upstream\"}") == 0
        }
        let before = held.map(\.connections)
        let sent = try HedgeScene.count(scene, "sent")
        func judged() throws -> Int {
          try HedgeScene.count(scene, "won") + HedgeScene.count(scene, "lost")
        }
        let ended = try judged()
        let client = try scene.client()
        try client.request("GET", "/")
        try eventually("the hedge is out, and both connect") {
          try HedgeScene.count(scene, "sent") > sent
            && zip(held, before).allSatisfy { $0.connections > $1 }
        }
        held[opened].open()

        #expect(try client.response().status == 200)
        #expect(upstreams[1 - opened].requests.allSatisfy { $0.target != "/" })
        #expect(try judged() == ended + 1)
        try eventually("the other one is given up") {
          try scene.metric("spillway_upstream_tls_handshakes_active") == 0
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `each attempt holds a permit, and gives it back`(backend: Backend) throws {
      let gate = Gate()
      let settings = HedgeScene.settings(
        admission: "{mode: enforce, limit: {kind: fixed, inFlight: 2}}"
      )
      let script = HedgeScene.script { peer, _, attempt in
        gate.wait()
        try peer.respond(200, "\(attempt)")
      }
      try HedgeScene.play(backend, script, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.client()
        try client.request("GET", "/")
        try HedgeScene.expect(2, of: "/", scene)
        #expect(try scene.metric("spillway_concurrency_inflight") == 2)
        gate.open()

        #expect(try client.response().status == 200)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a loser is no failure of its endpoint, and a failure is one`(backend: Backend) throws {
      let settings = HedgeScene.settings(
        service: "breaker: {consecutiveFailures: 1, open: 600s}"
      )
      let gate = Gate()
      let script = HedgeScene.script { peer, request, attempt in
        guard attempt > 1 else {
          if request.target.hasPrefix("/won") { return try peer.hang() }
          gate.wait()
          return try peer.respond(200, "1")
        }
        try peer.respond(request.target == "/failed" ? 503 : 200, "2")
      }
      try HedgeScene.play(backend, script, settings: settings) { scene in
        defer { gate.open() }
        func open() throws -> Double {
          try scene.metric("spillway_breaker_state{state=\"open\"}")
        }
        for round in 0..<3 {
          #expect(try scene.client().exchange("GET", "/won/\(round)").text == "2")
        }
        #expect(try open() == 0)

        let before = try HedgeScene.count(scene, "failed")
        let client = try scene.client()
        try client.request("GET", "/failed")
        try eventually("the hedge has failed") {
          try HedgeScene.count(scene, "failed") > before
        }
        gate.open()
        #expect(try client.response().text == "1")
        #expect(try open() > 0)
      }
    }
  }
}

extension HedgeScene {
  /// A service that answers whatever comes with its attempt.
  static func answering() throws -> ScriptedUpstream {
    try service { peer, _, attempt in try peer.respond(200, "\(attempt)") }
  }
}
