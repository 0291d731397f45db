import Testing

extension WireTests {
  /// Fields that belong to one hop, and fields that tell the next hop who asked.
  struct ForwardingTests {
    @Test(arguments: Backend.allCases)
    func `RFC 9110 7.6.1: hop-by-hop fields of a request and those Connection names are stripped`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        _ = try scene.client().exchange(
          "GET",
          "/",
          "Connection: keep-alive, X-Secret ,x-other",
          "X-Secret: 1",
          "x-OTHER: 2",
          "Keep-Alive: timeout=5",
          "Proxy-Connection: keep-alive",
          "Proxy-Authorization: Basic YTpi",
          "TE: gzip, trailers;q=0.5",
          "Upgrade: websocket",
          "X-Kept: 3"
        )
        let request = try #require(scene.upstream.requests.first)

        for name in [
          "x-secret", "x-other", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade",
        ] {
          #expect(request[name] == nil, "\(name) passed")
        }
        #expect(!request.head.members("te").contains("gzip"))
        #expect(!request.head.members("connection").contains("x-secret"))
        #expect(request["x-kept"] == "3")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a stranger cannot say who it is under a name that services read as ours`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        _ = try scene.client().exchange(
          "GET",
          "/",
          "X_Forwarded_For: 1.2.3.4",
          "x-forwarded_proto: https",
          "Content_Length: 5",
          "X-Real-IP: 1.2.3.4",
          "X-Forwarded-Port: 443",
          "True-Client-IP: 1.2.3.4",
          "X_Own_Field: 1",
          "X-Reality: 1"
        )
        let request = try #require(scene.upstream.requests.first)

        for name in [
          "x_forwarded_for", "x-forwarded_proto", "content_length", "x-real-ip",
          "x-forwarded-port", "true-client-ip",
        ] {
          #expect(request[name] == nil, "\(name) passed")
        }
        #expect(request["x_own_field"] == "1")
        #expect(request["x-reality"] == "1")
      }
    }

    @Test(arguments: Backend.allCases)
    func `fields that frame, route or identify cannot be stripped by naming them`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        for name in [
          "Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via",
          "X-Request-Id", "Content-Length", "Transfer-Encoding", "Content-Type",
        ] {
          try client.send(
            "POST /named HTTP/1.1\r\nHost: edge.test\r\nConnection: \(name)\r\n"
              + "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
          )
          let answer = try client.response()
          if answer.status == 400 {
            #expect(answer.saysClose)
            break
          }
          let request = try #require(scene.upstream.requests.last)
          #expect(request.text == "hello", "\(name): the body lost its frame")
          #expect(request["host"] == "edge.test", "\(name)")
          for kept in ["x-forwarded-for", "x-forwarded-proto", "via", "x-request-id"] {
            #expect(request[kept] != nil, "\(name): \(kept) is missing")
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 7.6.1: hop-by-hop fields of a response are stripped`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(
          200,
          "ok",
          "Connection: keep-alive, x-internal",
          "X-Internal: 1",
          "Keep-Alive: timeout=5",
          "Proxy-Connection: keep-alive",
          "X-Kept: 2"
        )
      }
      try Scene.play(backend, upstream) { scene in
        let answer = try scene.client().exchange()

        for name in ["x-internal", "keep-alive", "proxy-connection"] {
          #expect(answer[name] == nil, "\(name) passed")
        }
        #expect(!answer.head.members("connection").contains("x-internal"))
        #expect(answer["x-kept"] == "2")
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream that closes does not close the client's connection`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, request.target, "Connection: close")
        peer.close()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for path in ["/1", "/2", "/3"] {
          let answer = try client.exchange("GET", path)
          #expect(answer.text == path)
          #expect(!answer.saysClose)
        }
        #expect(scene.upstream.acceptedConnections == 3)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the upstream learns who asked, how, for what and through whom`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        _ = try scene.client().exchange()
        let request = try #require(scene.upstream.requests.first)

        #expect(request["x-forwarded-for"] == "127.0.0.1")
        #expect(request["x-forwarded-proto"] == "http")
        #expect(request["x-forwarded-host"] == "edge.test")
        let forwarded = try #require(request["forwarded"])
        #expect(forwarded.contains("for=127.0.0.1"))
        #expect(forwarded.contains("proto=http"))
        #expect(try #require(request["via"]).hasPrefix("1.1 "))
        #expect(try #require(request["x-request-id"]).count >= 16)
        #expect(request["host"] == "edge.test")
      }
    }

    @Test(arguments: Backend.allCases)
    func `an untrusted client is not believed about who it is`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        for _ in 0..<2 {
          _ = try client.exchange(
            "GET",
            "/",
            "X-Forwarded-For: 6.6.6.6",
            "x-forwarded-for: 7.7.7.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.test",
            "Forwarded: for=6.6.6.6;proto=https",
            "X-Request-Id: chosen-by-client"
          )
        }
        let text = scene.upstream.transcript
        for lie in ["6.6.6.6", "7.7.7.7", "https", "evil.test", "chosen-by-client"] {
          #expect(!text.contains(lie), "\(lie) passed")
        }
        let ids = scene.upstream.requests.compactMap { $0["x-request-id"] }
        #expect(Set(ids).count == 2, "ids are unique")
        #expect(scene.upstream.requests.allSatisfy { $0.head.all("x-forwarded-for").count == 1 })
      }
    }

    @Test(arguments: Backend.allCases)
    func `a trusted proxy is believed and added to`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "trustedProxies: [127.0.0.0/8]")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        _ = try scene.client().exchange(
          "GET",
          "/",
          "X-Forwarded-For: 203.0.113.9",
          "X-Forwarded-Proto: https",
          "X-Request-Id: from-the-balancer",
          "Via: 1.1 balancer"
        )
        let request = try #require(scene.upstream.requests.first)

        #expect(request.head.members("x-forwarded-for") == ["203.0.113.9", "127.0.0.1"])
        #expect(request["x-forwarded-proto"] == "https")
        #expect(request["x-request-id"] == "from-the-balancer")
        #expect(request.head.members("via").first == "1.1balancer")
        #expect(request.head.members("via").count == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what a trusted proxy leaves empty is not passed on empty`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "trustedProxies: [127.0.0.0/8]")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        for fields in ["", "X-Forwarded-Host: \r\nX-Forwarded-Proto:\r\n"] {
          #expect(try scene.answer(to: "GET / HTTP/1.0\r\n\(fields)\r\n").status == 200)
          let request = try #require(scene.upstream.requests.last)
          #expect(request["x-forwarded-host"] == nil)
          #expect(request["x-forwarded-proto"] == "http")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 7.6.1: a response cannot lose its frame by naming it`(backend: Backend) throws {
      let heads = [
        "Connection: content-length, x-gone\r\nX-Gone: 1\r\nContent-Length: 5\r\n\r\nhello",
        "Connection: x-gone, Transfer-Encoding\r\nX-Gone: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
          + "5\r\nhello\r\n0\r\n\r\n",
      ]
      for head in heads {
        let upstream = try ScriptedUpstream { peer, _ in
          try peer.send("HTTP/1.1 200 OK\r\n" + head)
        }
        try Scene.play(backend, upstream) { scene in
          let client = try scene.client()
          for _ in 0..<2 {
            let answer = try client.exchange()
            #expect(answer.text == "hello")
            #expect(answer["x-gone"] == nil)
            #expect((answer["content-length"] == nil) != (answer["transfer-encoding"] == nil))
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `fields pass in their order with their case and bytes`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(200, "", "Set-Cookie: a=1", "X-Odd: \u{e9} \t\"x\"", "Set-Cookie: b=2")
      }
      try Scene.play(backend, upstream) { scene in
        let answer = try scene.client().exchange(
          "GET",
          "/",
          "Cookie: a=1; b=2",
          "X-Multi: 1",
          "x-multi: 2",
          "X-Empty:",
          "X-Odd: \u{e9} \t\"x\""
        )
        let request = try #require(scene.upstream.requests.first)

        #expect(request.head.all("x-multi") == ["1", "2"])
        #expect(request["x-empty"]?.isEmpty == true)
        #expect(request["x-odd"] == "\u{e9} \t\"x\"")
        #expect(answer.head.all("set-cookie") == ["a=1", "b=2"])
        #expect(answer["x-odd"] == "\u{e9} \t\"x\"")
      }
    }
  }
}
