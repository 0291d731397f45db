import Foundation
import HTTPCodec
import TLS
import Testing
import Units

extension WireTests {
  /// Services that choose, where something ends or fails, and what is more than a request.
  struct ChoosingServiceEndTests {
    @Test(arguments: Backend.allCases)
    func `a handshake that hangs ends all that wait, and another endpoint is asked`(
      backend: Backend
    ) throws {
      let stage = try ChoosingStage(.http1)
      let held = try HeldFront(before: stage.front.port)
      defer { held.stop() }
      var settings = stage.settings("connections: {connectTimeout: 200ms}")
      settings.endpoints = [held.endpoint]
      try stage.play(backend, settings) { scene in
        let new = try scene.http2()
        let tokens = try (0..<10).map { _ in try new.request("POST", "/", body: [120]) }
        for token in tokens {
          let answer = try new.answer(token)
          #expect(answer.status == 504)
        }
        #expect(try scene.metric("spillway_connections{side=\"upstream\"}") == 0)

        try scene.reload {
          $0.service += ", balance: round-robin"
          $0.endpoints = [held.endpoint, stage.front.endpoint]
        }
        try eventually("the other is asked") {
          try new.exchange("POST", "/", body: [120]).text == "POST / x"
        }
        let more = try (0..<10).map { _ in try new.request("POST", "/", body: [120]) }
        for token in more { #expect(try new.answer(token).text == "POST / x") }
      }
    }

    @Test(arguments: Backend.allCases, [ApplicationProtocol.http1, .http2])
    func `an endpoint that leaves during a handshake serves who waits, and is left then`(
      backend: Backend,
      next: ApplicationProtocol
    ) throws {
      let stage = try ChoosingStage(.http1)
      let held = try HeldFront(before: stage.front.port)
      let other = try TLSFront(http1: stage.upstream)
      defer {
        held.stop()
        other.stop()
      }
      var settings = stage.settings(ChoosingStage.patience)
      settings.endpoints = [held.endpoint]
      held.open()
      try stage.play(backend, settings) { scene in
        // What it chooses is known, and the other way round it comes back.
        let first = next == .http2 ? ApplicationProtocol.http1 : .http2
        try stage.become(first)
        let clients = try (0..<3).map { _ in try scene.client() }
        #expect(try clients[0].exchange("GET", "/first").text == "GET /first ")
        held.hold()
        try stage.restart(as: next)
        try eventually("it is gone") {
          try scene.metric("spillway_connections{side=\"upstream\"}") == 0
        }
        let before = held.connections
        for (number, client) in clients.enumerated() { try client.post("/\(number)", "body") }
        let expected = before + (first == .http1 ? 3 : 1)
        try eventually("they wait") {
          try held.connections == expected && scene.metric("spillway_exchanges_active") == 3
        }
        try scene.reload { $0.endpoints = [other.endpoint] }
        try eventually("it is in effect") {
          try scene.client().exchange("GET", "/new").status == 200 && !other.tunnels.isEmpty
        }
        held.open()
        for (number, client) in clients.enumerated() {
          #expect(try client.response().text == "POST /\(number) body")
        }
        try eventually("it is left") {
          stage.service.openConnections == 0 && stage.upstream.openConnections == 1
        }
        // The edge hears of it after the service.
        try eventually("the edge knows") {
          try scene.metric("spillway_connections{side=\"upstream\"}") == 1
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that neither proves who it is nor chooses is answered for`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream.echo()
      let upstream = try ScriptedUpstream.echo()
      let stranger = try TLSFront(WireAuthority.stranger.server, h2: service)
      let held = try HeldFront(before: stranger.port)
      defer {
        held.stop()
        stranger.stop()
      }
      var settings = EdgeSettings.secureService(
        stranger,
        speaks: "auto",
        more: ChoosingStage.patience
      )
      settings.endpoints = [held.endpoint]
      settings.policies = "timeoutMs: 30000"
      try Scene.play(backend, upstream, behind: service, settings: settings) { scene in
        let new = try scene.http2()
        let tokens = try (0..<5).map { _ in try new.request("POST", "/", body: [120]) }
        try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 5 }
        held.open()
        for token in tokens {
          let answer = try new.answer(token)
          #expect(answer.status == 502)
          #expect(answer["proxy-status"]?.contains("tls_certificate_error") == true)
        }
        let failures = "spillway_upstream_connect_failures_total{service=\"backend\"}"
        #expect(try scene.metric(failures) == 1, "one handshake stands for all that waited")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a WebSocket goes through either, the first request of all as well`(
      backend: Backend
    ) throws {
      let handshake =
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      for spoken in [ApplicationProtocol.http1, .http2] {
        let upstream = try ScriptedUpstream { peer, _ in try peer.acceptWebSocket(farewell: "bye") }
        let service = try HTTP2Upstream { peer, request, moment in
          switch moment {
          case .head: try peer.respond(request, 200, isLast: false)
          case .body: try peer.send(request, Array(request.body.suffix(4)))
          case .end: try peer.send(request, Array("bye".utf8), isLast: true)
          case .gone: break
          }
        }
        let stage = try ChoosingStage(spoken, upstream: upstream, service: service)
        try stage.play(backend) { scene in
          let client = try scene.client()
          try client.send(handshake)
          let head = try client.head()
          #expect(head.status == 101)
          #expect(head["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
          try client.send("ping")
          #expect(try client.text(4) == "ping")
          client.finish()
          #expect(String(decoding: try client.rest(), as: UTF8.self) == "bye")
          #expect(stage.front.tunnels.first?.chosen == spoken)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `calls of gRPC have their trailers from either`(backend: Backend) throws {
      let call = [("content-type", "application/grpc"), ("te", "trailers")]
      for spoken in [ApplicationProtocol.http1, .http2] {
        let upstream = try ScriptedUpstream { peer, request in
          try peer.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTrailer: grpc-status\r\n"
              + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ngrpc-status: 7\r\n\r\n"
          )
        }
        let service = try HTTP2Upstream { peer, request, moment in
          guard moment == .end else { return }
          try peer.respond(
            request,
            200,
            [("content-type", "application/grpc")],
            body: Array("hello".utf8),
            trailers: [("grpc-status", "7")]
          )
        }
        let stage = try ChoosingStage(spoken, upstream: upstream, service: service)
        try stage.play(backend) { scene in
          let new = try scene.http2()
          let tokens = try (0..<10).map { _ in
            try new.request("POST", "/", call, body: [0, 0, 0, 0, 0])
          }
          for token in tokens {
            let answer = try new.answer(token)
            #expect(answer.status == 200 && answer.text == "hello")
            #expect(answer.trailers.map(\.value) == ["7"])
          }
        }
      }
    }
  }
}
