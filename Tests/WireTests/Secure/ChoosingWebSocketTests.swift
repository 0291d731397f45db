import HTTPCodec
import TLS
import Testing

extension WireTests {
  /// WebSockets to services that choose HTTP/2 and take none over it.
  struct ChoosingWebSocketTests {
    private static let handshake =
      "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    /// A service of HTTP/2 that takes no WebSockets.
    private static func withoutConnect() throws -> HTTP2Upstream {
      try HTTP2Upstream(settings: H2Settings(allowsConnect: true)) { peer, request, moment in
        if moment == .end { try peer.respond(request, 200, body: Array("h2".utf8)) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a WebSocket to a service without extended CONNECT goes over HTTP/1.1`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in try peer.acceptWebSocket(farewell: "bye") }
      let service = try Self.withoutConnect()
      let front = try TLSFront(before: upstream) {
        $0.tls = { $0.applicationProtocols = [.http2, .http1] }
        $0.http2 = service.port
      }
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, speaks: "auto")
      try Scene.play(backend, upstream, behind: service, settings: settings) { scene in
        // The first request of all, and one when the service is known.
        for _ in 0..<2 {
          let client = try scene.client()
          try client.send(Self.handshake)
          #expect(try client.head().status == 101)
          try client.send("ping")
          #expect(try client.text(4) == "ping")
          client.finish()
          #expect(String(decoding: try client.rest(), as: UTF8.self) == "bye")
        }
        let new = try scene.http2()
        let token = try new.request(
          "CONNECT",
          "/chat",
          [("sec-websocket-version", "13")],
          isLast: false,
          replacing: [
            (":scheme", "http"), (":authority", "a"), (":protocol", "websocket"),
          ]
        )
        #expect(try new.head(token).status == 200)
        try new.send(Array("pong".utf8), on: token)
        try new.wait("an echo") { $0.answers[token]?.text == "pong" }
        try new.send([], on: token, isLast: true)
        #expect(try new.answer(token).text == "pongbye")

        // Everything else keeps to HTTP/2, over the one session.
        #expect(try new.exchange().text == "h2")
        #expect(try scene.client().exchange().text == "h2")
        #expect(front.tunnels.map(\.chosen) == [.http2, .http1, .http1, .http1])
        #expect(service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a WebSocket to a service of HTTP/2 alone is refused, with the reason`(
      backend: Backend
    ) throws {
      let service = try Self.withoutConnect()
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, speaks: "auto")
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        for _ in 0..<3 {
          let client = try scene.client()
          try client.send(Self.handshake)
          let answer = try client.response()
          #expect(answer.status == 502)
          #expect(answer.problem?["reason"] as? String == "upgrade-refused")
        }
        let failed = "spillway_upstream_tls_handshake_failures_total{reason=\"no-http1\"}"
        #expect(try scene.metric(failed) == 1, "what it lacks is known after one handshake")
        #expect(try scene.client().exchange().text == "h2")
        // It is well: nothing rests because of it.
        let failures = "spillway_upstream_connect_failures_total{service=\"backend\"}"
        #expect(try scene.metric(failures) == 0)
      }
    }
  }
}
