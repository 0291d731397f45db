import HTTPCodec
import Testing
import Units

extension WireTests {
  /// How streams and sessions towards services end before they should.
  struct ServiceEndTests {
    private static func post(_ target: String, _ body: String) -> String {
      "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test(arguments: Backend.allCases)
    func `what was refused goes to another endpoint, a POST as well`(backend: Backend) throws {
      let busy = try HTTP2Upstream { peer, request, moment in
        if moment == .end { try peer.reset(request, .refusedStream) }
      }
      var settings = EdgeSettings()
      settings.service = "balance: round-robin"
      try Scene.play(backend, h2c: busy, .echo(), settings: settings) { scene in
        let old = try scene.client()
        let new = try scene.http2()

        for number in 0..<4 {
          try old.send(Self.post("/\(number)", "old"))
          #expect(try old.response().text == "POST /\(number) old")
          #expect(
            try new.exchange(
              "POST",
              "/\(number)",
              [("content-length", "3")],
              body: Array("new".utf8)
            )
            .text == "POST /\(number) new"
          )
        }

        #expect(!scene.services[0].requests.isEmpty)
        let repeats = try scene.metric("spillway_upstream_h2_repeats_total")
        #expect(repeats == Double(scene.services[0].requests.count))
        let resets = "spillway_upstream_h2_resets_received_total{reason=\"refused-stream\"}"
        #expect(try scene.metric(resets) == repeats)
      }
    }

    @Test(arguments: Backend.allCases)
    func `refused by everybody: 503 after as many attempts as there may be`(backend: Backend) throws
    {
      let busy = try HTTP2Upstream { peer, request, moment in
        if moment == .head { try peer.reset(request, .refusedStream) }
      }
      try Scene.play(backend, h2c: busy) { scene in
        let client = try scene.client()

        try client.send(Self.post("/", "x"))
        let answer = try client.response()

        #expect(answer.status == 503)
        #expect(answer.problem?["reason"] as? String == "upstream-refused")
        #expect(scene.service.requests.count == 3)
        #expect(scene.service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `GOAWAY: what it takes goes on, the rest goes elsewhere`(backend: Backend) throws {
      let held = Locked<HTTP2Upstream.Request?>(nil)
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if request.connection > 0 { return try peer.respond(request, 200, body: request.body) }
        guard let first = held.withLock({ $0 }) else { return held.withLock { $0 = request } }
        try peer.raw(HTTP2Frames.goAway(last: UInt32(first.number)))
        try peer.respond(first, 200, body: Array("first".utf8))
      }
      try Scene.play(backend, h2c: service) { scene in
        let first = try scene.client()
        try first.send(Self.post("/", "a"))
        try eventually("the first is there") { held.withLock { $0 } != nil }
        let second = try scene.client()
        try second.send(Self.post("/", "second"))

        #expect(try first.response().text == "first")
        #expect(try second.response().text == "second")
        try first.send(Self.post("/", "third"))
        #expect(try first.response().text == "third")
        #expect(scene.service.requests.map(\.connection) == [0, 0, 1, 1])
        #expect(try scene.metric("spillway_upstream_h2_goaways_total") == 1)
        try eventually("the first session is gone") { scene.service.openConnections == 1 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a session that is on its way out is not counted as idle`(backend: Backend) throws {
      let gate = Gate()
      defer { gate.open() }
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.respond(request, 200, body: request.body)
        guard request.target == "/last" else { return }
        try peer.raw(HTTP2Frames.goAway(last: 1 << 30))
        // It does not see that the edge has ended its side.
        gate.wait()
      }
      try Scene.play(backend, h2c: service) { scene in
        func pool(_ state: String, _ metrics: Exposition) throws -> Double {
          try metrics.sum("spillway_upstream_pool_connections{state=\"\(state)\"}") ?? 0
        }
        let client = try scene.client()
        #expect(try client.exchange().status == 200)
        try eventually("it is idle") {
          let metrics = try scene.metrics()
          return try pool("idle", metrics) == 1 && pool("busy", metrics) == 0
        }
        #expect(try client.exchange("GET", "/last").status == 200)

        // The edge waits for the service's end.
        try eventually("it counts as busy") {
          let metrics = try scene.metrics()
          return try pool("idle", metrics) == 0 && pool("busy", metrics) == 1
        }
        gate.open()
        try eventually("it is gone") {
          let metrics = try scene.metrics()
          return try pool("idle", metrics) == 0 && pool("busy", metrics) == 0
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a session that breaks fails what it carries, and only that`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        switch request.target {
        case "/break": peer.close()
        case "/cut":
          try peer.respond(request, 200, body: Array("part".utf8), isLast: false)
        default: try peer.respond(request, 200, body: request.body)
        }
      }
      try Scene.play(backend, h2c: service) { scene in
        let cut = try scene.http2()
        let waiting = try scene.client()
        let token = try cut.request("GET", "/cut")
        try cut.wait("part") { $0.answers[token]?.text == "part" }

        try waiting.send(Self.post("/break", "x"))

        let answer = try waiting.response()
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-reset")
        #expect(try cut.answer(token).isComplete == false)
        try waiting.send(Self.post("/", "again"))
        #expect(try waiting.response().text == "again")
        #expect(scene.service.acceptedConnections == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that goes away cancels its stream and nothing else`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end, request.target != "/wait" else { return }
        try peer.respond(request, 200, body: request.body)
      }
      try Scene.play(backend, h2c: service) { scene in
        let new = try scene.http2()
        let old = try scene.client()
        try old.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        let token = try new.request("GET", "/wait")
        try eventually("both are there") { scene.service.requests.count == 2 }

        old.close()
        try new.reset(token)
        try eventually("both are cancelled") {
          scene.service.requests.allSatisfy { $0.reset == .cancel }
        }

        #expect(try new.exchange("POST", "/", body: [120]).text == "x")
        #expect(scene.service.acceptedConnections == 1)
        let resets = "spillway_upstream_h2_resets_sent_total{reason=\"cancel\"}"
        #expect(try scene.metric(resets) == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an attempt that takes too long is cancelled; the session stays`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end, request.target != "/wait" else { return }
        try peer.respond(request, 200, body: request.body)
      }
      var settings = EdgeSettings()
      settings.policies = "timeoutMs: 300"
      try Scene.play(backend, h2c: service, settings: settings) { scene in
        let client = try scene.client()

        try client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.response().status == 504)
        try eventually("it is cancelled") { scene.service.requests[0].reset == .cancel }
        try client.send(Self.post("/", "next"))

        #expect(try client.response().text == "next")
        #expect(scene.service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an early answer ends the request with NO_ERROR`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .head else { return }
        try peer.respond(request, 413, body: Array("enough".utf8))
      }
      // What is asked of admission waits for 16 KiB of a body.
      try Scene.play(backend, h2c: service, settings: EdgeSettings().withoutAdmission) { scene in
        let new = try scene.http2()
        let old = try scene.client()

        let token = try new.request("POST", "/", body: [1], isLast: false)
        let answer = try new.answer(token)
        #expect(answer.status == 413 && answer.text == "enough" && answer.isComplete)
        #expect(answer.closed?.code == .noError)
        try old.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
        let other = try old.response()
        #expect(other.status == 413 && other.text == "enough" && other.saysClose)

        try eventually("both are ended") {
          scene.service.requests.count == 2
            && scene.service.requests.allSatisfy { $0.reset == .noError }
        }
        #expect(scene.service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that cannot be reached is answered for`(backend: Backend) throws {
      let gone = try HTTP2Upstream.echo()
      let endpoint = gone.endpoint
      gone.stop()
      var settings = EdgeSettings()
      settings.endpoints = [endpoint]
      try Scene.play(backend, h2c: .echo(), settings: settings) { scene in
        let client = try scene.http2()

        let plain = try client.exchange()
        let call = try client.exchange(
          "POST",
          "/",
          [("content-type", "application/grpc+proto")],
          body: []
        )

        #expect(plain.status == 502)
        #expect(call.status == 200)
        #expect(call["content-type"] == "application/grpc")
        #expect(call["grpc-status"] == "14")
        #expect(call.body.isEmpty && call.isComplete)
      }
    }
  }
}
