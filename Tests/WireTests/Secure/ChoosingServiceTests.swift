import Foundation
import HTTPCodec
import TLS
import Testing
import Units

extension WireTests {
  /// Services that choose between HTTP/2 and HTTP/1.1 by ALPN (`protocol: auto`).
  struct ChoosingServiceTests {
    /// One front before a service of either protocol, with the settings to reach it.
    private struct Stage {
      let upstream: ScriptedUpstream
      let service: HTTP2Upstream
      let front: TLSFront

      init(
        _ spoken: ApplicationProtocol?,
        upstream: ScriptedUpstream? = nil,
        service: HTTP2Upstream? = nil
      ) throws {
        self.upstream = try upstream ?? .echo()
        self.service = try service ?? .echo()
        if let spoken {
          front = try TLSFront(before: self.upstream) {
            $0.tls = { $0.applicationProtocols = [spoken] }
          }
          try become(spoken)
        } else {
          front = try TLSFront(before: self.upstream) { $0.tls = { $0.applicationProtocols = [] } }
        }
      }

      func become(_ spoken: ApplicationProtocol) throws {
        try front.become(spoken, before: spoken == .http2 ? service.port : upstream.port)
      }

      /// Ends every connection, and comes back as another.
      func restart(as spoken: ApplicationProtocol) throws {
        try become(spoken)
        upstream.closeConnections()
        service.closeConnections()
      }

      func settings(_ more: String = "") -> EdgeSettings {
        var settings = EdgeSettings.secureService(front, speaks: "auto", more: more)
        settings.policies = "timeoutMs: 30000"
        return settings
      }

      func play(
        _ backend: Backend,
        _ settings: EdgeSettings? = nil,
        _ play: (Scene) throws -> Void
      ) throws {
        defer { front.stop() }
        try Scene.play(
          backend,
          upstream,
          behind: service,
          settings: settings ?? self.settings(),
          play
        )
      }
    }

    private static let patience = "connections: {connectTimeout: 30s}"

    /// Connections that were made, by what is spoken on them.
    private static func made(_ scene: Scene) throws -> (http1: Double, http2: Double) {
      let name = "spillway_upstream_connections_made_total{service=\"backend\""
      return (
        try scene.metric("\(name),protocol=\"http/1.1\"}"),
        try scene.metric("\(name),protocol=\"h2\"}")
      )
    }

    @Test(arguments: Backend.allCases, [ApplicationProtocol.http2, .http1, nil])
    func `what the service chooses is spoken, and one connection is enough`(
      backend: Backend,
      spoken: ApplicationProtocol?
    ) throws {
      let stage = try Stage(spoken)
      try stage.play(backend) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        for number in 0..<5 {
          #expect(try old.exchange("GET", "/\(number)").text == "GET /\(number) ")
          try old.post("/\(number)", "body")
          #expect(try old.response().text == "POST /\(number) body")
          #expect(try new.exchange("GET", "/n").text == "GET /n ")
          #expect(try new.exchange("POST", "/n", body: [120]).text == "POST /n x")
        }
        #expect(stage.front.tunnels.count == 1)
        #expect(stage.front.tunnels.first?.chosen == spoken)
        #expect(stage.upstream.requests.count == (spoken == .http2 ? 0 : 20))
        #expect(stage.service.requests.count == (spoken == .http2 ? 20 : 0))
        let made = try Self.made(scene)
        #expect(made == (spoken == .http2 ? (0, 1) : (1, 0)))
        #expect(try scene.metric("spillway_upstream_h2_streams") == 0)
        #expect(
          try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") == 1
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies that wait for the choice come whole, whichever it is`(backend: Backend) throws {
      for spoken in [ApplicationProtocol.http1, .http2] {
        let stage = try Stage(spoken)
        let held = try HeldFront(before: stage.front.port)
        defer { held.stop() }
        var settings = stage.settings(Self.patience)
        settings.endpoints = [held.endpoint]
        try stage.play(backend, settings) { scene in
          let long = String(repeating: "0123456789abcdef", count: 10_000)
          let known = try scene.client()
          let chunked = try scene.client()
          let large = try scene.client()
          let new = try scene.http2()
          try known.post("/known", "known")
          try chunked.send(
            "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nchu\r\n"
          )
          try large.send(
            "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: \(long.utf8.count)\r\n\r\n"
          )
          let tokens = [
            try new.request("POST", "/new", body: Array("unknown".utf8)),
            try new.request("POST", "/new", [("content-length", "5")], body: Array("known".utf8)),
            try new.request("GET", "/new"),
          ]
          try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 6 }
          held.open()
          try chunked.send("3\r\nnks\r\n0\r\n\r\n")
          try large.send(long)

          #expect(try known.response().text == "POST /known known")
          #expect(try chunked.response().text == "POST /chunked chunks")
          #expect(try large.response().text == "POST /large \(long)")
          let texts = try tokens.map { try new.answer($0).text }
          #expect(texts == ["POST /new unknown", "POST /new known", "GET /new "])
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `many requests wait for one handshake, then each has a connection of its own`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        gate.wait()
        try peer.respond(200, request.target)
      }
      let stage = try Stage(.http1, upstream: upstream)
      let held = try HeldFront(before: stage.front.port)
      defer {
        gate.open()
        held.stop()
      }
      var settings = stage.settings(Self.patience)
      settings.endpoints = [held.endpoint]
      try stage.play(backend, settings) { scene in
        let clients = try (0..<20).map { _ in try scene.client() }
        let first = try scene.client()
        try first.request("GET", "/first")
        try eventually("it waits") { held.connections == 1 }
        for (number, client) in clients.enumerated() { try client.post("/\(number)", "body") }
        let new = try scene.http2()
        let tokens = try (0..<20).map { try new.request("GET", "/new/\($0)") }
        try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 41 }
        #expect(held.connections == 1, "a needless connection was opened")
        // Some do not wait for it: nothing is opened for them.
        clients[0].reset()
        try new.reset(tokens[0])
        try eventually("they are gone") { try scene.metric("spillway_exchanges_active") == 39 }
        held.open()
        try eventually("each has its own") { upstream.requests.count == 39 }
        #expect(stage.front.tunnels.count == 39)
        #expect(upstream.requests.first?.target == "/first", "who came first is served first")
        gate.open()

        #expect(try first.response().text == "/first")
        for (number, client) in clients.enumerated().dropFirst() {
          #expect(try client.response().text == "/\(number)")
        }
        for (number, token) in tokens.enumerated().dropFirst() {
          #expect(try new.answer(token).text == "/new/\(number)")
        }
        #expect(try Self.made(scene) == (39, 0))
        #expect(try scene.metric("spillway_upstream_h2_sessions") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the service's bound on connections holds when they are spread`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        gate.wait()
        try peer.respond(200, request.target)
      }
      let stage = try Stage(.http1, upstream: upstream)
      let held = try HeldFront(before: stage.front.port)
      defer {
        gate.open()
        held.stop()
      }
      var settings = stage.settings("connections: {maximum: 3, connectTimeout: 30s}")
      settings.endpoints = [held.endpoint]
      try stage.play(backend, settings) { scene in
        let clients = try (0..<10).map { _ in try scene.client() }
        for client in clients { try client.request() }
        try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 10 }
        held.open()
        let refused = "spillway_local_replies_total{reason=\"connection-limit\"}"
        try eventually("the rest is refused") { try scene.metric(refused) == 7 }
        gate.open()
        let statuses = try clients.map { try $0.response().status }
        #expect(statuses.count { $0 == 200 } == 3)
        #expect(statuses.count { $0 == 503 } == 7)
        #expect(stage.front.tunnels.count == 3)
        #expect(try clients[0].exchange().status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection that nobody waits for any more is kept for the next`(
      backend: Backend
    ) throws {
      for spoken in [ApplicationProtocol.http1, .http2] {
        let stage = try Stage(spoken)
        let held = try HeldFront(before: stage.front.port)
        defer { held.stop() }
        var settings = stage.settings(Self.patience)
        settings.endpoints = [held.endpoint]
        try stage.play(backend, settings) { scene in
          let client = try scene.client()
          try client.request()
          try eventually("it waits") { held.connections == 1 }
          client.reset()
          try eventually("it is gone") { try scene.metric("spillway_exchanges_active") == 0 }
          held.open()
          let active = "spillway_upstream_connections_active{service=\"backend\"}"
          try eventually("it stands") { try scene.metric(active) == 1 }
          #expect(
            try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") == 1
          )
          let other = try scene.client()
          #expect(try other.exchange("GET", "/x").text == "GET /x ")
          #expect(held.connections == 1)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that comes back with the other protocol is followed`(backend: Backend) throws {
      let stage = try Stage(.http1)
      try stage.play(backend) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        var before = 0
        for spoken in [ApplicationProtocol.http1, .http2, .http1, .http2] {
          try stage.restart(as: spoken)
          try eventually("the connections are gone") {
            try scene.metric("spillway_connections{side=\"upstream\"}") == 0
          }
          for number in 0..<3 {
            try old.post("/\(number)", "body")
            #expect(try old.response().text == "POST /\(number) body")
            #expect(try new.exchange("POST", "/n", body: [120]).text == "POST /n x")
          }
          #expect(stage.front.tunnels.count == before + 1, "a needless connection was opened")
          #expect(stage.front.tunnels.last?.chosen == spoken)
          before = stage.front.tunnels.count
        }
        #expect(try Self.made(scene) == (2, 2))
      }
    }

    @Test(arguments: Backend.allCases)
    func `many connections of HTTP/1.1 that turn out to be HTTP/2 become few`(
      backend: Backend
    ) throws {
      let stage = try Stage(.http1)
      let settings = stage.settings(Self.patience)
      try stage.play(backend, settings) { scene in
        let first = try scene.client()
        #expect(try first.exchange("GET", "/one").text == "GET /one ")
        try stage.restart(as: .http2)
        try eventually("it is gone") {
          try scene.metric("spillway_connections{side=\"upstream\"}") == 0
        }
        let clients = try (0..<30).map { _ in try scene.client() }
        for (number, client) in clients.enumerated() { try client.post("/\(number)", "body") }
        for (number, client) in clients.enumerated() {
          #expect(try client.response().text == "POST /\(number) body")
        }
        try eventually("what is not needed is closed") { stage.service.openConnections == 1 }
        #expect(try Self.made(scene) == (1, 1))
        #expect(stage.service.requests.count == 30)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a handshake that hangs ends all that wait, and another endpoint is asked`(
      backend: Backend
    ) throws {
      let stage = try Stage(.http1)
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
      let stage = try Stage(.http1)
      let held = try HeldFront(before: stage.front.port)
      let other = try TLSFront(http1: stage.upstream)
      defer {
        held.stop()
        other.stop()
      }
      var settings = stage.settings(Self.patience)
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
        #expect(try scene.metric("spillway_connections{side=\"upstream\"}") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that neither proves who it is nor chooses is answered for`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream.echo()
      let upstream = try ScriptedUpstream.echo()
      let stranger = try TLSFront(WireAuthority.stranger.server, h2: service)
      defer { stranger.stop() }
      let settings = EdgeSettings.secureService(stranger, speaks: "auto")
      try Scene.play(backend, upstream, behind: service, settings: settings) { scene in
        let new = try scene.http2()
        let tokens = try (0..<5).map { _ in try new.request("POST", "/", body: [120]) }
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
        let upstream = try ScriptedUpstream { peer, _ in
          try peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
          )
          try peer.echo(farewell: "bye")
        }
        let service = try HTTP2Upstream { peer, request, moment in
          switch moment {
          case .head: try peer.respond(request, 200, isLast: false)
          case .body: try peer.send(request, Array(request.body.suffix(4)))
          case .end: try peer.send(request, Array("bye".utf8), isLast: true)
          case .gone: break
          }
        }
        let stage = try Stage(spoken, upstream: upstream, service: service)
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
        let stage = try Stage(spoken, upstream: upstream, service: service)
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
