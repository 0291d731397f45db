import Testing

extension WireTests {
  /// How responses end, RFC 9112 section 6.3, and what HTTP/1.0 clients get.
  struct FramingTests {
    /// An upstream that sends the same bytes for every request and keeps the connection.
    private static func sending(_ answer: String) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in try peer.send(answer) }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 9.3.2: the answer to HEAD has fields and no body`(backend: Backend) throws {
      for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        try Scene.play(backend, Self.sending("HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n")) { scene in
          let client = try scene.client()

          try client.send(
            "HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
          )
          for _ in 0..<2 {
            let answer = try client.response(to: "HEAD")
            #expect(answer.status == 200)
            if framing.hasPrefix("Content") { #expect(answer["content-length"] == "100") }
          }
          #expect(scene.upstream.acceptedConnections == 1)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.4.5: 204 and 304 end with their head`(backend: Backend) throws {
      let heads = [
        "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
      ]
      for head in heads {
        try Scene.play(backend, Self.sending(head)) { scene in
          let client = try scene.client()
          for _ in 0..<3 {
            let answer = try client.exchange()
            #expect([204, 304].contains(answer.status))
            #expect(answer["transfer-encoding"] == nil)
          }
          #expect(scene.upstream.acceptedConnections == 1)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 8.6: 204 and interim responses that announce a body lose the announcement`(
      backend: Backend
    ) throws {
      let heads = [
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nX: 1\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
      ]
      for head in heads {
        try Scene.play(backend, Self.sending(head)) { scene in
          let client = try scene.client()
          for _ in 0..<2 {
            try client.request()
            let answer = try client.response()
            #expect(answer.status == 204)
            for fields in [answer.head] + answer.interim.map(\.head) {
              #expect(fields.all("content-length") == [])
              #expect(fields.all("transfer-encoding") == [])
            }
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 6.3: a response that ends with its connection reaches HTTP/1.1 in chunks`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\n\r\nhello")
        peer.close()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for _ in 0..<2 {
          let answer = try client.exchange()
          #expect(answer.text == "hello")
          #expect(answer.framing == .chunked)
          #expect(answer.isComplete)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that ends with its connection reaches HTTP/1.0 in the same way`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\n\r\nhello")
        peer.close()
      }
      try Scene.play(backend, upstream) { scene in
        let head = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
        let answer = try scene.answer(to: head)

        #expect(answer.text == "hello")
        #expect(answer.framing == .untilClose)
        #expect(!answer.head.members("connection").contains("keep-alive"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 6.1: an HTTP/1.0 client gets a chunked response without its chunks`(
      backend: Backend
    ) throws {
      let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"
      try Scene.play(backend, Self.sending(answer)) { scene in
        let answer = try scene.answer(to: "GET / HTTP/1.0\r\nHost: a\r\n\r\n")

        #expect(answer.text == "hello")
        #expect(answer.framing == .untilClose)
        #expect(answer["transfer-encoding"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 9.3: an HTTP/1.0 connection ends unless it asks to be kept`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let plain = try scene.client()
        try plain.send("GET /a HTTP/1.0\r\n\r\n")
        #expect(try plain.response().text == "/a")
        #expect(plain.isClosedSilently())

        let kept = try scene.client()
        for path in ["/b", "/c"] {
          try kept.send("GET \(path) HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
          let answer = try kept.response()
          #expect(answer.text == path)
          #expect(answer.head.members("connection").contains("keep-alive"))
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 6.6.1: a response without a date gets one, and one that has it keeps it`(
      backend: Backend
    ) throws {
      let old = "Tue, 15 Nov 1994 08:12:31 GMT"
      let upstream = try ScriptedUpstream { peer, request in
        let date = request.target == "/dated" ? "Date: \(old)\r\n" : ""
        try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        try peer.send("HTTP/1.1 200 OK\r\n\(date)Content-Length: 0\r\n\r\n")
      }
      let imf = try Regex(
        "(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
      )
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        let bare = try client.exchange("GET", "/bare")
        let dated = try client.exchange("GET", "/dated")
        let session = try scene.http2()
        let stream = try session.exchange("GET", "/bare")
        let datedStream = try session.exchange("GET", "/dated")

        for date in [bare["date"], stream["date"]] {
          #expect(try imf.wholeMatch(in: date ?? "") != nil, "\(date ?? "none")")
        }
        #expect(bare.head.all("date").count == 1)
        #expect(bare.interim.allSatisfy { $0["date"] == nil })
        #expect(dated["date"] == old)
        #expect(dated.head.all("date").count == 1)
        #expect(datedStream.fields.filter { $0.name == "date" }.map(\.value) == [old])
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 3.2: what goes upstream is HTTP/1.1 with one Host, whoever asked`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        _ = try scene.answer(to: "GET /a HTTP/1.0\r\n\r\n")
        _ = try scene.answer(to: "GET /b HTTP/1.0\r\nHost: named\r\n\r\n")

        #expect(scene.upstream.requests.map(\.version) == ["HTTP/1.1", "HTTP/1.1"])
        #expect(scene.upstream.requests.map { $0.head.all("host").count } == [1, 1])
        #expect(scene.upstream.requests.last?["host"] == "named")
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies of every size arrive whole both ways`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in try peer.respond(200, request.text) }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for size in [0, 1, 4_095, 16_383, 16_384, 16_385, 65_536, 1_000_003] {
          let body = String(repeating: "0123456789abcdef", count: size / 16 + 1).prefix(size)
          try client.post("/", String(body))
          let answer = try client.response()
          #expect(answer.isComplete)
          #expect(answer.text == body, "\(size) bytes")
        }
        #expect(scene.upstream.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream of HTTP/1.0 is understood and not reused unless it offers`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for _ in 0..<3 {
          let answer = try client.exchange()
          #expect(answer.text == "hi")
          #expect(answer.version == "HTTP/1.1")
        }
        #expect(scene.upstream.acceptedConnections == 3)
      }
    }
  }
}
