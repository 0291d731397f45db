import HTTPCodec
import Testing
import Units

extension WireTests {
  /// WebSocket over HTTP/2, RFC 8441: a stream above a tunnel of HTTP/1.1.
  struct HTTP2WebSocketTests {
    private static let agree =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    private static let pseudo = [
      (":protocol", "websocket"), (":scheme", "http"), (":authority", "edge.test"),
    ]

    @Test(arguments: Backend.allCases)
    func `RFC 8441 5: an agreement opens a tunnel both ways on one stream`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard request.target == "/chat" else { return try peer.respond(200, "other") }
        try peer.send(Self.agree + "first")
        try peer.echo(farewell: "bye")
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let token = try client.request(
          "CONNECT",
          "/chat",
          [("sec-websocket-version", "13")],
          body: Array("early".utf8),
          isLast: false,
          replacing: Self.pseudo
        )
        let head = try client.head(token)
        #expect(head.status == 200)
        #expect(head["sec-websocket-protocol"] == "chat")
        #expect(head["sec-websocket-accept"] == nil && head["upgrade"] == nil)
        let request = scene.upstream.requests[0]
        #expect(request.method == "GET" && request["upgrade"] == "websocket")
        #expect(request["sec-websocket-version"] == "13")
        #expect(request["sec-websocket-key"]?.count == 24)
        #expect(request["transfer-encoding"] == nil)

        try client.wait("the echo") { $0.answers[token]?.text == "firstearly" }
        let large = String(repeating: "x", count: 200_000)
        try client.send(Array(large.utf8), on: token)
        try client.wait("more") { $0.answers[token]?.text == "firstearly" + large }
        #expect(try client.exchange().text == "other")

        try client.send([], on: token, isLast: true)
        let answer = try client.answer(token)
        #expect(answer.text.hasSuffix("xbye") && answer.isComplete)
        #expect(answer.closed?.isSent == true)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is no agreement opens no tunnel`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(request.target == "/declined" ? 403 : 200, request.target)
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()
        func ask(_ path: String, _ name: String = "websocket") throws -> HTTP2Client.Answer {
          let pseudo = [(":protocol", name)] + Self.pseudo.dropFirst()
          let token = try client.request("CONNECT", path, isLast: false, replacing: pseudo)
          return try client.answer(token)
        }

        let declined = try ask("/declined")
        let mistaken = try ask("/mistaken")
        let unknown = try ask("/unknown", "connect-udp")

        #expect(declined.status == 403 && declined.text == "/declined")
        #expect(mistaken.status == 502, "a 2xx would say that the tunnel stands")
        #expect(unknown.status == 501)
        #expect(scene.upstream.requests.count == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what the edge answers by itself opens no tunnel`(backend: Backend) throws {
      var settings = EdgeSettings()
      settings.routes = [
        "name: local, match: {path: /local}, respond: {status: 200}, policies: {auth: none}",
        "name: none, match: {path: /none}, respond: {status: 404}, policies: {auth: none}",
      ]
      let upstream = try ScriptedUpstream { peer, _ in try peer.respond(200) }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()
        func ask(_ path: String, _ fields: [(String, String)] = []) throws -> Int {
          let token = try client.request(
            "CONNECT",
            path,
            fields,
            isLast: false,
            replacing: Self.pseudo
          )
          return try client.answer(token).status
        }
        // A call of gRPC is told of its failure with status 200.
        let call = [("content-type", "application/grpc")]

        #expect(try ask("/local") == 501)
        #expect(try ask("/local", call) == 501)
        #expect(try ask("/none") == 404)
        #expect(try ask("/refused", call) == 502)
        #expect(try client.exchange("GET", "/local").status == 200)
        let plain = try client.request("CONNECT", "", call, replacing: [(":authority", "a:443")])
        #expect(try client.answer(plain).status == 501)
        let old = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Type: application/grpc\r\n\r\n"
        #expect(try scene.answer(to: old, method: "CONNECT").status == 501)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what the client says last reaches a service that has ended its side`(
      backend: Backend
    ) throws {
      let heard = Locked<[String]>([])
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(Self.agree + "bye")
        peer.finish()
        var text = ""
        while true {
          let part = try peer.some()
          if part.isEmpty { break }
          text += String(decoding: part, as: UTF8.self)
        }
        heard.withLock { [text] in $0.append(text) }
        peer.close()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()
        let last = String(repeating: "x", count: 30_000)
        // Either side's end may come first.
        let rounds = 8
        for round in 1...rounds {
          let token = try client.request("CONNECT", "/", isLast: false, replacing: Self.pseudo)
          try client.wait("the service's word") { $0.answers[token]?.text == "bye" }

          try client.send(Array(last.utf8), on: token, isLast: true)

          try eventually("round \(round)") { heard.withLock { $0.count } == round }
          #expect(heard.withLock { $0.last } == last)
        }
        let requests = "spillway_requests_total{route=\"all\",method=\"GET\",code=\""
        try eventually("it is no client that left") {
          try scene.metric(requests + "101\"}") == Double(rounds)
        }
        #expect(try scene.metric("spillway_client_aborts_total") == 0)
        #expect(try client.exchange("HEAD").status != 0, "the session goes on")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a tunnel is ended by either side's reset`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.send(Self.agree)
        if request.target == "/reset" { peer.reset() } else { try peer.hang() }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let kept = try client.request("CONNECT", "/", isLast: false, replacing: Self.pseudo)
        #expect(try client.head(kept).status == 200)
        try client.reset(kept)
        try eventually("the upstream was told") { scene.upstream.cancellations == 1 }

        let broken = try client.request("CONNECT", "/reset", isLast: false, replacing: Self.pseudo)
        let answer = try client.answer(broken)
        #expect(!answer.isComplete && answer.closed?.code == .internalError)
      }
    }
  }
}
