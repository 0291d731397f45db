import Testing

extension WireTests {
  /// What outlasts its permit is counted among the open streams, of which there is a bound.
  @Suite(.serialized) struct OpenStreamTests {
    private static let open = "spillway_open_streams"
    private static let bound = "spillway_open_streams_limit"
    private static let refused = "spillway_open_streams_refused_total"
    private static let upgrade =
      "GET /chat HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

    private static func settings(streams: Int, limit: Int = 1, mode: String = "enforce")
      -> EdgeSettings
    {
      var settings = EdgeSettings()
      settings.service =
        "admission: {mode: \(mode), limit: {kind: fixed, inFlight: \(limit)}, "
        + "openStreams: \(streams)}"
      settings.policies = "timeoutMs: 30000"
      return settings
    }

    /// Event streams that stay open at `/events`, and plain answers elsewhere.
    private static func events() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in
        guard request.target == "/events" else { return try peer.respond(200, request.target) }
        try peer.send(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5\r\ndata\n\r\n"
        )
        try peer.hang()
      }
    }

    /// Opens an event stream and waits for its first event.
    private static func listen(_ scene: Scene) throws -> RawClient {
      let client = try scene.client()
      try client.request("GET", "/events")
      #expect(try client.head().status == 200)
      #expect(try client.text(10) == "5\r\ndata\n\r\n")
      return client
    }

    @Test(arguments: Backend.allCases)
    func `event streams beyond their bound are refused, and nobody else is`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.events(), settings: Self.settings(streams: 2)) { scene in
        let listeners = try (0..<2).map { _ in try Self.listen(scene) }
        let client = try scene.client()
        let answer = try client.exchange("GET", "/events")

        #expect(answer.status == 503)
        #expect(answer.problem?["reason"] as? String == "shed-open-streams")
        #expect((5...15).contains(answer["retry-after"].flatMap { Int($0) } ?? 0))
        #expect(!answer.saysClose)
        #expect(try client.exchange("GET", "/plain").text == "/plain")
        #expect(try scene.metric(Self.open) == 2)
        #expect(try scene.metric(Self.bound) == 2)
        #expect(try scene.metric("\(Self.refused){kind=\"event-stream\",mode=\"enforce\"}") == 1)
        #expect(
          try scene.metric("spillway_local_replies_total{reason=\"shed-open-streams\"}") == 1
        )
        let service = try AdmissionScene.explanation(scene)
        #expect(service["openStreams"] as? Int == 2)
        #expect(service["openStreamsLimit"] as? Int == 2)
        #expect(try scene.admin("/admin/services?format=text").text.contains("2 of 2 streams open"))
        try eventually("the service was told") { scene.upstream.cancellations == 1 }

        listeners[0].close()
        try eventually("its place is free") { try scene.metric(Self.open) == 1 }
        let next = try Self.listen(scene)
        next.close()
        listeners[1].close()
        try eventually("all places are free") { try scene.metric(Self.open) == 0 }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a WebSocket without room is refused before the service hears of it`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in try peer.acceptWebSocket() }
      try Scene.play(backend, upstream, settings: Self.settings(streams: 1)) { scene in
        let first = try scene.client()
        try first.send(Self.upgrade)
        #expect(try first.head().status == 101)
        #expect(try scene.metric(Self.open) == 1)
        #expect(try scene.metric("spillway_concurrency_inflight") == 0)

        let second = try scene.client()
        try second.send(Self.upgrade)
        let refused = try second.response()
        #expect(refused.status == 503)
        #expect(refused.problem?["reason"] as? String == "shed-open-streams")
        #expect(upstream.requests.count == 1)
        let shed = "decision=\"shed\",reason=\"shed-open-streams\""
        #expect(try AdmissionScene.decisions(scene, shed) == 1)
        #expect(try scene.metric("\(Self.refused){kind=\"upgrade\"}") == 1)

        first.finish()
        _ = try first.rest()
        try eventually("its place is free") { try scene.metric(Self.open) == 0 }
        try second.send(Self.upgrade)
        #expect(try second.head().status == 101)
        second.finish()
        _ = try second.rest()
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upgrade that the service grants and that finds no room is taken back`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        try peer.echo(farewell: "")
      }
      try Scene.play(backend, upstream, settings: Self.settings(streams: 1)) { scene in
        let ask =
          "GET / HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        let first = try scene.client()
        try first.send(ask)
        #expect(try first.head().status == 101)

        let refused = try scene.answer(to: ask)
        #expect(refused.status == 503)
        #expect(refused.problem?["reason"] as? String == "shed-open-streams")
        #expect(upstream.requests.count == 2)
        #expect(try scene.metric(Self.open) == 1)
        first.finish()
        _ = try first.rest()
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `calls of gRPC end without room, and streams of it do not go on`(
      backend: Backend
    ) throws {
      let type = ("content-type", "application/grpc")
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if request.target == "/unary" {
          try peer.respond(
            request,
            200,
            [type],
            body: [1, 2, 3],
            trailers: [("grpc-status", "0")]
          )
        } else {
          try peer.respond(request, 200, [type], body: [1], isLast: false)
        }
      }
      let settings = Self.settings(streams: 1)
      try Scene.play(backend, h2c: service, settings: settings) { scene in
        let client = try scene.http2()
        let fields = [("content-type", "application/grpc"), ("te", "trailers")]
        let first = try client.request("POST", "/stream", fields, body: [0])
        try client.wait("its first message") { $0.answers[first]?.body == [1] }
        #expect(try scene.metric(Self.open) == 1)

        // On a machine that hangs between its parts one may be taken for a stream.
        try eventually("a call that ends goes through") {
          let token = try client.request("POST", "/unary", fields, body: [0])
          try client.wait("its end") { $0.answers[token]?.closed != nil }
          let answer = client.answers[token]
          return answer?.body == [1, 2, 3] && answer?.trailers.first?.value == "0"
        }
        let counted = "\(Self.refused){kind=\"grpc\"}"
        let before = try scene.metric(counted)
        let second = try client.request("POST", "/stream", fields, body: [0])
        try client.wait("its end") { $0.answers[second]?.closed != nil }
        #expect(client.answers[second]?.isComplete == false)
        #expect(client.answers[first]?.closed == nil)
        #expect(try scene.metric(counted) == before + 1)
        #expect(try scene.metric(Self.open) == 1)
        #expect(try scene.metric("spillway_concurrency_inflight") == 0)
        try client.reset(first)
        try eventually("its place is free") { try scene.metric(Self.open) == 0 }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `who is waited for counts among the streams, and beyond their bound is refused`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echo(), settings: Self.settings(streams: 1, limit: 2)) { scene in
        let head = "POST /slow HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 20000\r\n\r\n"
        let first = try scene.client()
        try first.send(head)
        try first.send(Array(repeating: 97, count: 17_000))
        try eventually("it counts among the streams") {
          try scene.metric(Self.open) == 1 && scene.metric("spillway_concurrency_inflight") == 0
        }

        let second = try scene.client()
        try second.send(head)
        try second.send(Array(repeating: 97, count: 17_000))
        let refused = try second.response()
        #expect(refused.status == 503)
        #expect(refused.problem?["reason"] as? String == "shed-open-streams")
        #expect(try scene.metric("\(Self.refused){kind=\"slow-client\"}") == 1)

        try first.send(Array(repeating: 98, count: 3_000))
        #expect(try first.response().text.hasSuffix("ab" + String(repeating: "b", count: 2_999)))
        #expect(try scene.metric(Self.open) == 0)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reader without room is cut off, and its permit is another's`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard request.target == "/long" else { return try peer.respond(200, request.target) }
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n")
        let part = [UInt8](repeating: 0x78, count: 1 << 20)
        for _ in 0..<50 { try peer.send(part) }
      }
      try Scene.play(backend, upstream, settings: Self.settings(streams: 1, limit: 2)) { scene in
        let first = try scene.client(receiveBuffer: 4_096)
        try first.request("GET", "/long")
        try eventually("it counts among the streams") { try scene.metric(Self.open) == 1 }
        let second = try scene.client(receiveBuffer: 4_096)
        try second.request("GET", "/long")
        try eventually("it is cut off") {
          try scene.metric("\(Self.refused){kind=\"slow-client\"}") == 1
            && scene.metric("spillway_concurrency_inflight") == 0
        }

        #expect(try scene.metric(Self.open) == 1)
        #expect(try scene.client().exchange("GET", "/on").text == "/on")
        let cut = try second.rest(within: .seconds(60))
        #expect(cut.count < 52_428_800)
        first.close()
        try AdmissionScene.expectNothingHeld(scene)
        #expect(try scene.metric(Self.open) == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `in shadow streams are counted and none is refused`(backend: Backend) throws {
      let settings = Self.settings(streams: 1, limit: 10, mode: "shadow")
      try Scene.play(backend, Self.events(), settings: settings) { scene in
        let listeners = try (0..<3).map { _ in try Self.listen(scene) }

        #expect(try scene.metric(Self.open) == 3)
        #expect(try scene.metric("\(Self.refused){mode=\"shadow\"}") == 2)
        #expect(try scene.metric("\(Self.refused){mode=\"enforce\"}") == 0)
        for listener in listeners { listener.close() }
        try eventually("all places are free") { try scene.metric(Self.open) == 0 }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload changes the bound, keeps the count and ends nobody`(backend: Backend) throws {
      try Scene.play(backend, Self.events(), settings: Self.settings(streams: 2)) { scene in
        let listeners = try (0..<2).map { _ in try Self.listen(scene) }

        try scene.reload { $0.service = Self.settings(streams: 1).service }
        #expect(try scene.metric(Self.bound) == 1)
        #expect(try scene.metric(Self.open) == 2)
        #expect(try scene.client().exchange("GET", "/events").status == 503)
        listeners[0].close()
        try eventually("one is left") { try scene.metric(Self.open) == 1 }
        #expect(try scene.client().exchange("GET", "/events").status == 503)

        try scene.reload { $0.service = Self.settings(streams: 3).service }
        let next = try Self.listen(scene)
        #expect(try scene.metric(Self.open) == 2)
        next.close()
        listeners[1].close()
        try eventually("all places are free") { try scene.metric(Self.open) == 0 }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the bound follows the connections where nothing is said`(backend: Backend) throws {
      var settings = EdgeSettings()
      settings.service = "connections: {maximum: 50}"
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        #expect(try scene.metric(Self.bound) == 45)
        try scene.reload { $0.service = "" }
        #expect(try scene.metric(Self.bound) == 921)
      }
    }
  }
}
