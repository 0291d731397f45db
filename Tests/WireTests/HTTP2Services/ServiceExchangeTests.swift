import HTTPCodec
import Testing
import Units

extension WireTests {
  /// HTTP/2 towards services: one exchange of each kind, for clients of either protocol.
  struct ServiceExchangeTests {
    @Test(arguments: Backend.allCases)
    func `a request of HTTP/1.1 goes to the service as a stream`(backend: Backend) throws {
      try Scene.play(backend, h2c: .echo()) { scene in
        let client = try scene.client()

        try client.send(
          "GET /a?b=c HTTP/1.1\r\nHost: edge.test\r\nX-One: 1\r\nConnection: x-hop, te\r\n"
            + "X-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\r\n"
        )
        let answer = try client.response()

        #expect(answer.status == 200)
        #expect(answer.text == "GET /a?b=c ")
        #expect(answer["via"] == "2.0 spillway")
        let request = scene.service.requests[0]
        #expect(request["host"] == "edge.test")
        #expect(request["x-one"] == "1")
        #expect(request["x-hop"] == nil && request["keep-alive"] == nil)
        #expect(request["connection"] == nil)
        #expect(request["te"] == "trailers")
        #expect(request["via"] == "1.1 spillway")
        #expect(request["x-forwarded-for"] == "127.0.0.1")
        #expect(request["x-request-id"]?.count == 32)
        #expect(request.isComplete && request.body.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 6.3: a response that ends with its head has a length for HTTP/1.1`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        let status = Int(request.target.dropFirst()) ?? 200
        try peer.respond(request, status)
      }
      try Scene.play(backend, h2c: service) { scene in
        let client = try scene.client()
        for status in [200, 404, 503, 204, 304] {
          let answer = try client.exchange("GET", "/\(status)")
          let hasBody = status != 204 && status != 304
          #expect(answer.status == status && answer.body.isEmpty)
          #expect(answer.head.all("content-length") == (hasBody ? ["0"] : []), "\(status)")
          #expect(!answer.saysClose)
        }
        let head = try client.exchange("HEAD", "/200")
        #expect(head["content-length"] == nil, "nobody knows it")
        #expect(try scene.http2().exchange("GET", "/200").status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `one connection carries what clients of both protocols ask for`(backend: Backend) throws {
      try Scene.play(backend, h2c: .echo()) { scene in
        let old = try scene.client()
        let new = try scene.http2()

        for number in 0..<3 {
          try old.send("GET /\(number) HTTP/1.1\r\nHost: edge.test\r\n\r\n")
          #expect(try old.response().text == "GET /\(number) ")
        }
        let tokens = try (0..<20).map { try new.request("GET", "/new/\($0)") }
        for (number, token) in tokens.enumerated() {
          #expect(try new.answer(token).text == "GET /new/\(number) ")
        }

        #expect(scene.service.acceptedConnections == 1)
        #expect(try scene.metric("spillway_upstream_h2_sessions") == 1)
        #expect(try scene.metric("spillway_upstream_h2_streams") == 0)
        #expect(try scene.metric("spillway_upstream_h2_streams_opened_total") == 23)
        #expect(
          try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") == 1
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies of every framing come whole`(backend: Backend) throws {
      try Scene.play(backend, h2c: .echo()) { scene in
        let old = try scene.client()
        let new = try scene.http2()

        try old.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nknown")
        #expect(try old.response().text == "POST / known")
        try old.send(
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3\r\nchu\r\n3\r\nnks\r\n0\r\n\r\n"
        )
        #expect(try old.response().text == "POST / chunks")
        try old.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        #expect(try old.response().text == "POST / ")
        let known = try new.exchange(
          "POST",
          "/",
          [("content-length", "5")],
          body: Array("known".utf8)
        )
        let unknown = try new.exchange("POST", "/", body: Array("unknown".utf8))
        let empty = try new.exchange("POST", "/", body: [])

        #expect(known.text == "POST / known")
        #expect(unknown.text == "POST / unknown")
        #expect(empty.text == "POST / ")
        let requests = scene.service.requests
        #expect(requests.map { $0["content-length"] } == ["5", nil, "0", "5", nil, nil])
        #expect(requests.allSatisfy { $0["transfer-encoding"] == nil && $0.isComplete })
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 6.4.1: answers without a body end with their head`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        switch request.target {
        case "/head": try peer.respond(request, 200, [("content-length", "42")])
        case "/late": try peer.respond(request, 200, [("content-length", "42")], body: [])
        case "/204": try peer.respond(request, 204)
        case "/304": try peer.respond(request, 304, [("content-length", "42")])
        default: try peer.respond(request, 200, [("content-length", "0")], body: [])
        }
      }
      try Scene.play(backend, h2c: service) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        let asked = [
          ("HEAD", "/head", 200, "42"), ("HEAD", "/late", 200, "42"), ("GET", "/204", 204, nil),
          ("GET", "/304", 304, "42"), ("GET", "/0", 200, "0"),
        ]

        for (method, target, status, length) in asked {
          try old.send("\(method) \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
          let answer = try old.response(to: method)
          #expect(answer.status == status && answer["content-length"] == length)
          #expect(answer.body.isEmpty)
          let other = try new.exchange(method, target)
          #expect(other.status == status && other["content-length"] == length)
          #expect(other.isComplete && other.body.isEmpty)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `trailers go both ways`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        let given = request.trailers.first?.value ?? "none"
        try peer.respond(
          request,
          200,
          body: Array("body".utf8),
          trailers: [("x-sum", given)]
        )
      }
      try Scene.play(backend, h2c: service) { scene in
        let old = try scene.client()
        let new = try scene.http2()

        try old.send(
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "1\r\nx\r\n0\r\nX-Mark: one\r\n\r\n"
        )
        let first = try old.response()
        let second = try new.answer(
          try new.request("POST", "/", body: [120], trailers: [Field(name: "x-mark", value: "two")])
        )

        #expect(first.text == "body")
        #expect(first.trailers.map(\.value) == ["one"])
        #expect(second.text == "body")
        #expect(second.trailers.map(\.value) == ["two"])
        #expect(scene.service.requests.allSatisfy { $0.trailers.map(\.name) == ["x-mark"] })
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9113 8.1: trailers behind a body of stated length arrive`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        if moment == .body, request.target == "/late" {
          try peer.inform(request, 103, [("link", "</a>")])
        }
        guard moment == .end else { return }
        let mark = request.trailers.first?.value ?? "none"
        try peer.respond(request, 200, body: request.body, trailers: [("x-sum", mark)])
      }
      try Scene.play(backend, h2c: service) { scene in
        let client = try scene.http2()
        let mark = [Field(name: "x-mark", value: "one")]
        let large = [UInt8](repeating: 120, count: 100_000)
        for body in [[120], [], large] {
          let length = [("content-length", "\(body.count)")]
          let token = try client.request("POST", "/", length, body: body, trailers: mark)
          let answer = try client.answer(token)
          #expect(answer.body == body && answer.isComplete)
          #expect(answer.trailers.map(\.value) == ["one"], "behind \(body.count) bytes")
        }
        // The body is there whole before anybody knows of trailers.
        let token = try client.request(
          "POST",
          "/late",
          [("content-length", "1")],
          body: [120],
          isLast: false,
          trailers: mark
        )
        try client.wait("the body is there") { $0.answers[token]?.interim == [103] }
        #expect(scene.service.requests.last?.isComplete == false)
        try client.send([], on: token, isLast: true)
        #expect(try client.answer(token).trailers.map(\.value) == ["one"])
        // Without any the stream ends with the client's.
        let plain = try client.request("POST", "/", [("content-length", "1")], body: [120])
        #expect(try client.answer(plain).trailers.map(\.value) == ["none"])
      }
    }

    @Test(arguments: Backend.allCases)
    func `what was refused before its trailers is repeated with them, never without`(
      backend: Backend
    ) throws {
      let refusals = Locked(0)
      let service = try HTTP2Upstream { peer, request, moment in
        if moment == .body, request.target == "/early", refusals.withLock({ $0 }) == 0 {
          refusals.withLock { $0 += 1 }
          return try peer.reset(request, .refusedStream)
        }
        guard moment == .end else { return }
        if request.target == "/whole" { return try peer.reset(request, .refusedStream) }
        let mark = request.trailers.first?.value ?? "none"
        try peer.respond(request, 200, body: request.body, trailers: [("x-sum", mark)])
      }
      try Scene.play(backend, h2c: service) { scene in
        let client = try scene.http2()
        let length = [("content-length", "1")]
        let mark = [Field(name: "x-mark", value: "one")]
        let early = try client.request(
          "POST",
          "/early",
          length,
          body: [120],
          isLast: false,
          trailers: mark
        )
        try eventually("it is repeated") { scene.service.requests.last?.body.isEmpty == false }
        try eventually("it is there again") { scene.service.requests.count == 2 }
        try client.send([], on: early, isLast: true)
        let answer = try client.answer(early)
        #expect(answer.body == [120] && answer.trailers.map(\.value) == ["one"])

        let whole = try client.request("POST", "/whole", length, body: [120], trailers: mark)
        #expect(try client.answer(whole).status == 503)
        #expect(scene.service.requests.count { $0.target == "/whole" } == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `interim responses are passed on`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        if moment == .head {
          try peer.inform(request, 103, [("link", "</a>")])
          if request["expect"] != nil { try peer.inform(request, 100) }
        }
        if moment == .end { try peer.respond(request, 200, body: request.body) }
      }
      try Scene.play(backend, h2c: service) { scene in
        let old = try scene.client()
        let new = try scene.http2()

        try old.send(
          "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        #expect(try old.head().status == 103)
        #expect(try old.head().status == 100)
        try old.send("ab")
        #expect(try old.response().text == "ab")
        let answer = try new.exchange()

        #expect(answer.interim == [103])
        #expect(answer.status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a large body goes through both ways, byte for byte`(backend: Backend) throws {
      try Scene.play(backend, h2c: .echo()) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        let body = (0..<400_000).map { UInt8(ascii: "a") + UInt8($0 &* 2_654_435_761 >> 13 & 15) }
        let expected = Array("POST / ".utf8) + body

        let token = try new.request("POST", "/", body: body)
        #expect(try new.answer(token).body == expected)
        try old.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
        try old.send(body)
        #expect(try old.response().body == expected)
      }
    }
  }
}
