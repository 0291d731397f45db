import HTTPCodec
import Testing

extension WireTests {
  /// HTTP/2 in cleartext: one exchange of each kind, as HTTP/1.1 services see and answer them.
  struct HTTP2ExchangeTests {
    private static let echo: ScriptedUpstream.Script = { peer, request in
      try peer.respond(200, "\(request.method) \(request.target) \(request.text)")
    }

    @Test(arguments: Backend.allCases)
    func `a request without a body goes to the service as HTTP/1.1`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(Self.echo)
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let answer = try client.exchange("GET", "/a?b=c", [("x-one", "1"), ("te", "trailers")])

        #expect(answer.status == 200)
        #expect(answer.text == "GET /a?b=c ")
        #expect(answer.isComplete)
        #expect(answer["via"] == "1.1 spillway")
        #expect(answer["connection"] == nil)
        let request = scene.upstream.requests[0]
        #expect(request.version == "HTTP/1.1")
        #expect(request["host"] == "edge.test")
        #expect(request["x-one"] == "1")
        #expect(request["te"] == "trailers")
        #expect(request["via"] == "2.0 spillway")
        #expect(request["x-forwarded-for"] == "127.0.0.1")
        #expect(request["content-length"] == nil)
        #expect(request["transfer-encoding"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body with a length keeps it, one without goes in chunks`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(Self.echo)
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let known = try client.exchange(
          "POST",
          "/",
          [("content-length", "5")],
          body: Array("known".utf8)
        )
        let unknown = try client.exchange("POST", "/", body: Array("unknown".utf8))
        let empty = try client.exchange("POST", "/", body: [])

        #expect(known.text == "POST / known")
        #expect(unknown.text == "POST / unknown")
        #expect(empty.text == "POST / ")
        #expect(scene.upstream.requests[0]["content-length"] == "5")
        #expect(scene.upstream.requests[0]["transfer-encoding"] == nil)
        #expect(scene.upstream.requests[1]["content-length"] == nil)
        #expect(scene.upstream.requests[1]["transfer-encoding"] == "chunked")
        #expect(scene.upstream.requests.allSatisfy { $0.isComplete })
        #expect(scene.upstream.acceptedConnections == 1, "bodies in chunks end, too")
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 6.4.1: answers without a body end with their head`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        switch request.target {
        case "/head": try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n")
        case "/204": try peer.send("HTTP/1.1 204 No Content\r\n\r\n")
        case "/304": try peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\n")
        default: try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let head = try client.exchange("HEAD", "/head")
        let none = try client.exchange("GET", "/204")
        let same = try client.exchange("GET", "/304")
        let zero = try client.exchange("GET", "/0")

        #expect(head.status == 200 && head["content-length"] == "42" && head.body.isEmpty)
        #expect(none.status == 204 && none["content-length"] == nil)
        #expect(same.status == 304 && same["content-length"] == "42")
        #expect(zero.status == 200 && zero["content-length"] == "0")
        #expect([head, none, same, zero].allSatisfy { $0.isComplete })
        #expect(scene.upstream.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body in chunks comes without them, one until the close ends`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/chunks" {
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
          for _ in 0..<1000 { try peer.send("1\r\nx\r\n") }
          try peer.send("0\r\n\r\n")
        } else {
          try peer.send("HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\nrest")
          peer.close()
        }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let chunks = try client.exchange("GET", "/chunks")
        let rest = try client.exchange("GET", "/rest")

        #expect(chunks.text == String(repeating: "x", count: 1000))
        #expect(chunks.isComplete && chunks["transfer-encoding"] == nil)
        #expect(rest.text == "rest")
        #expect(rest.isComplete && rest["connection"] == nil && rest["x-hop"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `trailers go both ways`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        let given = request.trailers.first?.value ?? "none"
        try peer.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
            + "4\r\nbody\r\n0\r\nX-Sum: \(given)\r\n\r\n"
        )
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()
        let trailers = [Field(name: "x-given", value: "7")]

        let token = try client.request("POST", "/", body: Array("a".utf8), trailers: trailers)
        let answer = try client.answer(token)
        let bare = try client.answer(client.request("POST", "/", trailers: trailers))

        #expect(answer.text == "body")
        #expect(answer.trailers == [Field(name: "x-sum", value: "7")])
        #expect(bare.trailers == [Field(name: "x-sum", value: "7")])
        #expect(scene.upstream.requests[0].trailers == trailers)
      }
    }

    @Test(arguments: Backend.allCases)
    func `interim responses come before the final one`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        try peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        let whole = try peer.readBody(of: request)
        try peer.respond(200, whole.text)
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let token = try client.request(
          "POST",
          "/",
          [("expect", "100-continue"), ("content-length", "4")],
          isLast: false
        )
        try client.wait("100") { $0.answers[token]?.interim == [103, 100] }
        try client.send(Array("body".utf8), on: token, isLast: true)

        #expect(try client.answer(token).text == "body")
      }
    }

    @Test(arguments: Backend.allCases)
    func `the edge's own replies come on the stream and leave the others alone`(
      backend: Backend
    ) throws {
      var settings = EdgeSettings(listener: "limits: {bodyBytes: 100, headBytes: 4KiB}")
      settings.hasDefaultRoute = false
      settings.endpoints = ["127.0.0.1:1"]
      settings.routes = [
        "name: local, match: {path: /local, methods: [GET]}, respond: {status: 200, body: hello}, "
          + "policies: {auth: none}",
        "name: dead, match: {path: /dead}, upstream: {service: backend}, policies: {auth: none}",
      ]
      try Scene.play(backend, settings: settings) { scene in
        let client = try scene.http2()
        let long = String(repeating: "x", count: 5000)

        let local = try client.exchange("GET", "/local")
        let none = try client.exchange("GET", "/none")
        let method = try client.exchange("DELETE", "/local")
        let dead = try client.exchange("GET", "/dead")
        let head = try client.exchange("HEAD", "/none")
        let large = try client.answer(
          client.request("POST", "/dead", [("content-length", "101")], isLast: false)
        )
        let wide = try client.exchange("GET", "/local", [("x-long", long)])
        let path = try client.exchange("GET", "/%zz")
        let connect = try client.answer(
          client.request("CONNECT", "", replacing: [(":authority", "edge.test:443")])
        )

        #expect(local.status == 200 && local.text == "hello")
        #expect(none.status == 404 && none.text.contains("no-route"))
        #expect(method.status == 405 && method["allow"]?.contains("GET") == true)
        #expect(dead.status == 502 && dead["proxy-status"] != nil)
        #expect(head.status == 404 && head.body.isEmpty)
        #expect(large.status == 413)
        #expect(large.closed?.code == .noError, "RFC 9113 8.1: the rest of it is not wanted")
        #expect(wide.status == 431)
        #expect(path.status == 400)
        #expect(connect.status == 501)
        #expect([local, none, method, dead, head, wide, path].allSatisfy { $0.isComplete })
        #expect(none["connection"] == nil && none["x-request-id"]?.count == 32)
        #expect(client.farewells.isEmpty)
        #expect(try client.exchange("GET", "/local").status == 200, "the session goes on")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a hundred streams at once are answered each with its own`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(Self.echo)
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()

        let tokens = try (0..<100).map { try client.request("POST", "/\($0)", body: [0x61]) }

        for (place, token) in tokens.enumerated() {
          let answer = try client.answer(token)
          #expect(answer.text == "POST /\(place) a")
        }
        #expect(try scene.metric("spillway_h2_sessions") == 1)
        #expect(try scene.metric("spillway_h2_streams_opened_total") == 100)
        #expect(try scene.metric("spillway_h2_streams") == 0)
        #expect(try scene.metric("spillway_client_connections") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `HTTP/1.1 and HTTP/2 share a port, and the preface may come in pieces`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let pieces = try scene.client()
        let hello = HTTP2Frames.hello + HTTP2Frames.headers(1, HTTP2Frames.get)
        for byte in hello { try pieces.send([byte]) }
        #expect(try pieces.some().count >= 9)

        let post = try scene.client()
        try post.dribble("PRI * HTTP/2.0\r\n\r\nSN")
        #expect(try post.response().status == 505)
        let put = try scene.client()
        try put.dribble("P")
        try put.dribble("UT /put HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try put.response().text == "/put")
      }
    }
  }
}
