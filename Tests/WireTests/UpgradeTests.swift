import Foundation
import Testing

extension WireTests {
  /// Upgrades and the tunnels behind them, RFC 9110 section 7.8.
  struct UpgradeTests {
    private static let ask =
      "GET /chat HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

    private static func echoing(farewell: String = "") throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in try peer.acceptWebSocket(farewell: farewell) }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 7.8: an upgrade that the upstream accepts opens a tunnel both ways`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.echoing(farewell: "bye")) { scene in
        let client = try scene.client()

        try client.send(Self.ask)
        let answer = try client.response()
        #expect(answer.status == 101)
        #expect(answer.head.members("connection").contains("upgrade"))
        #expect(answer["upgrade"] == "websocket")
        #expect(answer["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(scene.upstream.requests.first?["upgrade"] == "websocket")
        #expect(scene.upstream.requests.first?.head.members("connection") == ["upgrade"])

        for word in ["hello", "\0\u{1}\u{2}", String(repeating: "x", count: 100_000)] {
          try client.send(word)
          #expect(try client.text(word.utf8.count) == word)
        }

        client.finish()
        #expect(String(decoding: try client.rest(), as: UTF8.self) == "bye")
        #expect(client.end == .finished)
      }
    }

    @Test(arguments: Backend.allCases)
    func `tunnels hold no buffer while nothing moves, and are logged by name`(
      backend: Backend
    ) throws {
      let path = NSTemporaryDirectory() + "spillway-tunnels-\(UUID().uuidString).log"
      defer { try? FileManager.default.removeItem(atPath: path) }
      let settings = EdgeSettings(accessLog: "\"file:\(path)\"")
      try Scene.play(backend, Self.echoing(), settings: settings) { scene in
        let clients = try (0..<20).map { _ in try scene.client() }
        for client in clients {
          try client.send(Self.ask)
          #expect(try client.head().status == 101)
        }
        try eventually("no block is held") {
          try scene.metric("spillway_buffer_blocks{state=\"used\"}") == 0
        }
        for client in clients { client.finish() }
        for client in clients { _ = try client.rest() }

        let identifiers = scene.upstream.requests.compactMap { $0["x-request-id"] }
        var lines: [Substring] = []
        try eventually("all are logged") {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          lines = text.split(separator: "\n")
          return lines.count == clients.count && text.hasSuffix("\n")
        }
        #expect(lines.allSatisfy { $0.contains("\"method\":\"GET\"") })
        #expect(lines.allSatisfy { $0.contains("\"path\":\"/chat\"") })
        for identifier in identifiers {
          #expect(lines.count { $0.contains("\"\(identifier)\"") } == 1)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `small messages to a client that does not read hold few blocks`(
      backend: Backend
    ) throws {
      let messages = 20_000
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(UpstreamPeer.webSocketAgreement)
        // Each is read by the edge on its own: it is sent when the one before has left.
        for _ in 0..<messages { try peer.send([UInt8](repeating: 0x6D, count: 512)) }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client(receiveBuffer: 4_096)
        try client.send(Self.ask)
        _ = try client.head()

        _ = try settled("the upstream waits") { scene.upstream.sentBytes }

        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks <= 16, "\(blocks) blocks for 64 KiB")
      }
    }

    @Test(arguments: Backend.allCases)
    func `no tunnel opens in the middle of a request's body`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, _ in
        try peer.send(UpstreamPeer.webSocketAgreement)
        try peer.hang()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        try client.send(
          "POST / HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Content-Length: 10\r\n\r\nhalf"
        )

        #expect(try client.response().status == 502)
      }
    }

    @Test(arguments: Backend.allCases)
    func `bytes sent right behind the request reach the upstream once it agreed`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.echoing()) { scene in
        let client = try scene.client()

        try client.send(Self.ask + "early")

        #expect(try client.response().status == 101)
        #expect(try client.text(5) == "early")
      }
    }

    @Test(arguments: Backend.allCases)
    func `bytes that the upstream sends right behind its agreement reach the client`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(UpstreamPeer.webSocketAgreement + "first")
        try peer.echo()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()

        try client.send(Self.ask)

        #expect(try client.response().status == 101)
        #expect(try client.text(5) == "first")
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upgrade that the upstream declines opens no tunnel`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(request.target == "/chat" ? 403 : 200, request.target)
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()

        // What follows would be tunnelled past the edge's checks if it believed the request alone.
        try client.send(Self.ask + "GET /next HTTP/1.1\r\nHost: edge.test\r\n\r\n")

        #expect(try client.response().status == 403)
        #expect(try client.response().text == "/next")
        #expect(scene.upstream.requests.last?["via"] != nil, "it went past the edge")

        try client.send(Self.ask + "GET /chat HTTP/1.1\r\nX: no host\r\n\r\n")
        #expect(try client.response().status == 403)
        #expect(try client.response().status == 400)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an agreement that nobody asked for is a broken upstream`(backend: Backend) throws {
      try Scene.play(backend, Self.echoing()) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/plain").status == 502)

        #expect(
          try client.exchange("GET", "/unnamed", "Upgrade: websocket").status == 502,
          "Upgrade without Connection: upgrade is no request for one"
        )
        let old = try scene.client()
        try old.send("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(try old.response().status == 502, "HTTP/1.0 has no upgrades")
        #expect(scene.upstream.requests.allSatisfy { $0["upgrade"] == nil })
      }
    }

    @Test(arguments: Backend.allCases)
    func `h2c is not tunnelled past the edge`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()

        let answer = try client.exchange(
          "GET",
          "/h2c",
          "Connection: Upgrade, HTTP2-Settings",
          "Upgrade: h2c",
          "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
        )

        #expect(answer.status == 200)
        #expect(scene.upstream.requests.first?["upgrade"] == nil)
        #expect(scene.upstream.requests.first?["http2-settings"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a tunnel that nobody uses ends`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {upgradeIdle: 2s}")
      try Scene.play(backend, Self.echoing(), settings: settings) { scene in
        let client = try scene.client()
        try client.send(Self.ask)
        #expect(try client.response().status == 101)
        try client.send("x")
        #expect(try client.text(1) == "x")

        #expect(client.isClosedSilently())
        try eventually("the upstream side ended") { scene.upstream.openConnections == 0 }
        #expect(try scene.metric("spillway_timeouts_total{kind=\"tunnel-idle\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a tunnel outlives the request's timeout`(backend: Backend) throws {
      try Scene.play(backend, Self.echoing(), settings: EdgeSettings(policies: "timeoutMs: 2000")) {
        scene in
        let client = try scene.client()
        try client.send(Self.ask)
        #expect(try client.response().status == 101)

        let end = Deadline(after: .seconds(3))
        while !end.hasPassed {
          try client.send("x")
          #expect(try client.text(1) == "x")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `each side of a tunnel hears when the other is gone`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.send(UpstreamPeer.webSocketAgreement)
        if request.target == "/leave" { peer.close() } else { try peer.hang() }
      }
      try Scene.play(backend, upstream) { scene in
        let left = try scene.client()
        try left.send(Self.ask.replacing("/chat", with: "/leave"))
        #expect(try left.response().status == 101)
        #expect(left.isClosedSilently())

        let leaving = try scene.client()
        try leaving.send(Self.ask)
        #expect(try leaving.response().status == 101)
        leaving.reset()
        try eventually("the upstream heard") { scene.upstream.cancellations == 1 }
      }
    }
  }
}
