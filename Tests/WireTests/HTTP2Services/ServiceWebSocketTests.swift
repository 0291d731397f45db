import HTTPCodec
import Testing

extension WireTests {
  /// WebSockets to services of HTTP/2 (RFC 8441).
  struct ServiceWebSocketTests {
    private static let handshake =
      "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    private static func service(allows: Bool) throws -> HTTP2Upstream {
      let settings = H2Settings(allowsConnect: true, allowsExtendedConnect: allows)
      return try HTTP2Upstream(settings: settings) { peer, request, moment in
        guard request.method == "CONNECT" else {
          if moment == .end { try peer.respond(request, 200, body: Array(request.method.utf8)) }
          return
        }
        switch moment {
        case .head:
          guard request.target != "/no" else { return try peer.respond(request, 403) }
          try peer.respond(request, 200, isLast: false)
        case .body:
          let news = request.body.suffix(4)
          try peer.send(request, Array(news))
        case .end: try peer.send(request, Array("bye".utf8), isLast: true)
        case .gone: break
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a handshake of HTTP/1.1 becomes an extended CONNECT`(backend: Backend) throws {
      try Scene.play(backend, h2c: Self.service(allows: true)) { scene in
        let client = try scene.client()

        try client.send(Self.handshake)
        let head = try client.head()
        #expect(head.status == 101)
        #expect(head["upgrade"] == "websocket")
        #expect(head["connection"] == "upgrade")
        #expect(head["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        try client.send("ping")
        #expect(try client.text(4) == "ping")
        try client.send("pong")
        #expect(try client.text(4) == "pong")
        client.finish()
        #expect(String(decoding: try client.rest(), as: UTF8.self) == "bye")

        let request = scene.service.requests[0]
        #expect(request.method == "CONNECT")
        #expect(request[":protocol"] == "websocket")
        #expect(request["sec-websocket-version"] == "13")
        #expect(request["sec-websocket-key"] == nil && request["upgrade"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an extended CONNECT goes through, and a refusal as well`(backend: Backend) throws {
      try Scene.play(backend, h2c: Self.service(allows: true)) { scene in
        let client = try scene.http2()
        let fields = [("sec-websocket-version", "13")]
        let pseudo = [
          (":protocol", "websocket"), (":scheme", "http"), (":authority", "a"),
        ]

        let refused = try client.request("CONNECT", "/no", fields, isLast: false, replacing: pseudo)
        #expect(try client.head(refused).status == 403)
        let token = try client.request("CONNECT", "/chat", fields, isLast: false, replacing: pseudo)
        #expect(try client.head(token).status == 200)
        try client.send(Array("ping".utf8), on: token)
        try client.wait("the echo") { $0.answers[token]?.text == "ping" }
        try client.send([], on: token, isLast: true)

        #expect(try client.answer(token).text == "pingbye")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that takes none: 502, and plain requests go on`(backend: Backend) throws {
      try Scene.play(backend, h2c: Self.service(allows: false)) { scene in
        let client = try scene.client()

        try client.send(Self.handshake)
        let answer = try client.response()
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upgrade-refused")
        let other = try scene.client()
        try other.send(
          "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: tls/1.2\r\nConnection: upgrade\r\n\r\n"
        )
        #expect(try other.response().text == "GET")

        #expect(scene.service.requests.map(\.method) == ["GET"])
      }
    }
  }
}
