import Testing
import Units

extension WireTests {
  /// Slow requests that get no second attempt.
  struct HedgeRefusalTests {
    /// Why there is none, and the settings that make it so.
    private static let reasons: [(reason: String, settings: EdgeSettings, endpoints: Int)] = [
      ("no-other-endpoint", HedgeScene.settings(), 1),
      ("shadow", HedgeScene.settings(admission: "{mode: shadow}"), 2),
      (
        "service-limited",
        HedgeScene.settings(admission: "{mode: enforce, limit: {kind: fixed, inFlight: 1}}"), 2
      ),
      ("connection-limit", HedgeScene.settings(service: "limits: {requests: 1}"), 2),
      ("budget-exhausted", HedgeScene.settings(budget: "{ratio: 0, minimumPerSecond: 0}"), 2),
    ]

    @Test(arguments: Backend.allCases, reasons.indices)
    func `a service that cannot spare it is not asked twice, and the reason is counted`(
      backend: Backend,
      index: Int
    ) throws {
      let entry = Self.reasons[index]
      let gate = Gate()
      @Sendable func service() throws -> ScriptedUpstream {
        try HedgeScene.service { peer, _, attempt in
          gate.wait()
          try peer.respond(200, "\(attempt)")
        }
      }
      @Sendable func play(_ scene: Scene) throws {
        defer { gate.open() }
        try HedgeScene.warm(scene)
        let before = try HedgeScene.count(scene, "refused", entry.reason)
        let client = try scene.client()
        try client.request("GET", "/")
        try eventually("it is refused") {
          try HedgeScene.count(scene, "refused", entry.reason) > before
        }
        gate.open()

        #expect(try client.response().text == "1")
        #expect(HedgeScene.attempts(scene, at: "/") == [1])
        #expect(try HedgeScene.count(scene, "sent") == 0)
      }
      if entry.endpoints == 1 {
        try Scene.play(backend, service(), settings: entry.settings, play)
      } else {
        try Scene.play(backend, service(), service(), settings: entry.settings, play)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is no plain read, or comes from a tier that repeats, has one attempt`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let script = HedgeScene.script { peer, request, attempt in
        if request.target != "/read" || attempt == 1 { gate.wait() }
        try peer.respond(200, "\(attempt)")
      }
      try HedgeScene.play(backend, script) { scene in
        defer { gate.open() }
        let held: [(String, [String], String)] = [
          ("POST", [], "x"), ("PUT", [], "x"), ("DELETE", [], ""), ("GET", [], "body"),
          ("POST", ["Idempotency-Key: \"k\""], "x"), ("GET", ["x-envoy-attempt-count: 2"], ""),
          ("GET", ["Connection: upgrade", "Upgrade: websocket"], ""),
        ]
        var clients: [RawClient] = []
        for (index, (method, fields, body)) in held.enumerated() {
          let client = try scene.client()
          let lines = (fields + (body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"]))
            .map { $0 + "\r\n" }.joined()
          try client.send("\(method) /\(index) HTTP/1.1\r\nHost: edge.test\r\n\(lines)\r\n\(body)")
          clients.append(client)
        }
        try eventually("all are there") { HedgeScene.requests(scene).count == held.count }

        // By the time that a later request has a second attempt, these would have one.
        let read = try scene.client().exchange("GET", "/read")
        #expect(read.text == "2")
        for index in held.indices {
          #expect(HedgeScene.requests(scene, at: "/\(index)").count == 1, "\(held[index])")
        }
        gate.open()
        for client in clients { #expect(try client.response().status == 200) }
        for index in held.indices {
          #expect(HedgeScene.requests(scene, at: "/\(index)").count == 1, "\(held[index])")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `nothing is hedged while the route has learned too little`(backend: Backend) throws {
      let gate = Gate()
      @Sendable func service() throws -> ScriptedUpstream {
        try HedgeScene.service { peer, request, attempt in
          if request.target == "/early" || attempt == 1 { gate.wait() }
          try peer.respond(200, "\(attempt)")
        }
      }
      try Scene.play(backend, service(), service(), settings: HedgeScene.settings()) { scene in
        defer { gate.open() }
        #expect(try HedgeScene.delay(scene) == nil)
        let early = try scene.client()
        try early.request("GET", "/early")
        try HedgeScene.expect(1, of: "/early", scene)
        try HedgeScene.warm(scene)

        #expect(try scene.client().exchange("GET", "/late").text == "2")
        #expect(HedgeScene.attempts(scene, at: "/early") == [1])
        gate.open()
        #expect(try early.response().text == "1")
      }
    }

    @Test(arguments: Backend.allCases)
    func `of a route that stalls one request in twenty has a second attempt`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let script = HedgeScene.script { peer, _, attempt in
        gate.wait()
        try peer.respond(200, "\(attempt)")
      }
      let settings = HedgeScene.settings()
      let (one, other) = (try HedgeScene.service(script), try HedgeScene.service(script))
      try Scene.play(backend, one, other, settings: settings) { scene in
        defer { gate.open() }
        let warmed = try HedgeScene.warm(scene)
        func decided() throws -> (sent: Int, refused: Int) {
          let metrics = try scene.metrics()
          let refused = "spillway_hedges_total{result=\"refused\",reason=\"share-used\"}"
          return (
            Int(try metrics.sum("spillway_hedges_total{result=\"sent\"}") ?? 0),
            Int(try metrics.sum(refused) ?? 0)
          )
        }
        let before = try decided()
        let client = try scene.http2()
        let tokens = try AdmissionScene.burst(client, (0..<40).map { "/\($0)" })
        try eventually("all are decided about") {
          let now = try decided()
          return now.sent - before.sent + now.refused - before.refused == tokens.count
        }
        let sent = try decided().sent
        let requests = warmed + tokens.count
        #expect(sent * 20 <= requests, "\(sent) of \(requests)")
        #expect(sent > before.sent)
        gate.open()
        for token in tokens { #expect(try client.answer(token).status == 200) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that was sent hints already keeps its attempt`(backend: Backend) throws {
      let gates = Locked<[String: Gate]>([:])
      let script = HedgeScene.script { peer, request, attempt in
        guard attempt == 1 else { return try peer.respond(200, "2") }
        try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        gates.withLock { $0[request.target] }?.wait()
        try peer.respond(200, "1")
      }
      try HedgeScene.play(backend, script) { scene in
        var round = 0
        // On a machine that hangs the hints may come after the second attempt went out.
        try eventually("one was refused") {
          round += 1
          let target = "/\(round)"
          let gate = Gate()
          gates.withLock { $0[target] = gate }
          defer { gate.open() }
          let client = try scene.client()
          try client.request("GET", target)
          var isRefused = false
          try eventually("it is decided about") {
            isRefused = try HedgeScene.count(scene, "refused", "response-begun") > 0
            return isRefused || HedgeScene.requests(scene, at: target).count == 2
          }
          gate.open()
          let answer = try client.response()
          guard isRefused else { return false }
          #expect(answer.text == "1" && answer.interim.count == 1)
          #expect(HedgeScene.attempts(scene, at: target) == [1])
          return true
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a stream that has yet to end has one attempt`(backend: Backend) throws {
      let gate = Gate()
      let script = HedgeScene.script { peer, _, attempt in
        gate.wait()
        try peer.respond(200, "\(attempt)")
      }
      try HedgeScene.play(backend, script) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let length = [("content-length", "0")]
        let open = try client.request("GET", "/open", length, body: [], isLast: false)
        try eventually("it is there") { HedgeScene.requests(scene, at: "/open").count == 1 }
        let plain = try client.request("GET", "/plain")
        try HedgeScene.expect(2, of: "/plain", scene)

        // It came first: its second attempt would have gone out before.
        #expect(HedgeScene.requests(scene, at: "/open").count == 1)
        try client.send([], on: open, isLast: true)
        gate.open()
        #expect(try client.answer(open).status == 200)
        #expect(try client.answer(plain).status == 200)
      }
    }
  }
}
