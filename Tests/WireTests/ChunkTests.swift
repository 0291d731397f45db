import Testing

extension WireTests {
  /// Chunked bodies both ways, RFC 9112 section 7.1, and what attackers make of them.
  struct ChunkTests {
    private static let head =
      "POST /first HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let loot = "GET /smuggled HTTP/1.1\r\nHost: edge.test\r\n\r\n"

    @Test(arguments: Backend.allCases)
    func `RFC 9112 7.1: a malformed chunk ends the connection with 400 and hides no request`(
      backend: Backend
    ) throws {
      let bodies = [
        "0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n", "g\r\nhello\r\n0\r\n\r\n", "\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n", "5\rhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5 5\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "8000000000000000\r\nhello\r\n0\r\n\r\n",
        "0\r\nX: a\n\r\n", "0\r\n X: a\r\n\r\n", "0\r\nX : a\r\n\r\n", "0\r\nX\r\n\r\n",
        "0\r\nX: a\r\n folded\r\n\r\n", "0\n\n", "0\r\n\n",
      ]
      try Scene.play(backend, .echoingTarget()) { scene in
        for body in bodies {
          let client = try scene.client()
          client.trySend(Self.head + body + Self.loot)
          do {
            let answer = try client.response()
            #expect(answer.status == 400, "\(body.debugDescription): \(answer.status)")
            #expect(client.isClosedSilently(), "\(body.debugDescription): a second answer")
          } catch {
            Issue.record("\(body.debugDescription): \(error)")
          }
          client.close()
        }
        #expect(!scene.upstream.transcript.contains("smuggled"))
        #expect(!scene.upstream.requests.contains { $0.isComplete })
      }
    }

    @Test(arguments: Backend.allCases)
    func `a chunk extension is dropped below its bound and refused above it`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let short = "5;name=value;other=\"quoted\"\r\nhello\r\n0\r\n\r\n"
        #expect(try scene.answer(to: Self.head + short).status == 200)
        #expect(scene.upstream.requests.last?.text == "hello")
        #expect(!scene.upstream.transcript.contains("quoted"))

        let long = "5;" + String(repeating: "a", count: 40_000) + "\r\nhello\r\n0\r\n\r\n"
        #expect(try scene.answer(to: Self.head + long).status == 400)

        let tiny = String(
          repeating: "1;\(String(repeating: "e", count: 200))\r\nx\r\n",
          count: 2_000
        )
        let answer = try scene.answer(to: Self.head + tiny + "0\r\n\r\n")
        #expect(
          [200, 400].contains(answer.status),
          "extensions in every chunk are bounded or read"
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `a chunked request arrives whole, in whatever pieces it came`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let body = "5\r\nhello\r\n001\r\n,\r\n6\r\n world\r\n0\r\n\r\n"
        let client = try scene.client()

        try client.dribble(Self.head + body)
        #expect(try client.response().text == "/first")
        try client.send(Self.head + body)
        #expect(try client.response().text == "/first")

        #expect(scene.upstream.requests.map(\.text) == ["hello, world", "hello, world"])
        #expect(scene.upstream.requests.map(\.isComplete) == [true, true])
      }
    }

    @Test(arguments: Backend.allCases)
    func `a chunked response arrives whole, in whatever pieces it came`(backend: Backend) throws {
      let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "5\r\nhello\r\n1;x=y\r\n,\r\n6\r\n world\r\n0\r\n\r\n"
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/slow" {
          for byte in answer.utf8 { try peer.send([byte]) }
        } else {
          try peer.send(answer)
        }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for path in ["/slow", "/fast", "/slow", "/fast"] {
          let response = try client.exchange("GET", path)
          #expect(response.text == "hello, world")
          #expect(response.framing == .chunked)
          #expect(response.isComplete)
        }
        #expect(scene.upstream.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 6.5: trailers pass both ways, framing fields among them do not`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
            + "5\r\nhello\r\n0\r\nx-sum: abc\r\n\r\n"
        )
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        try client.send(
          "POST / HTTP/1.1\r\nHost: edge.test\r\nTE: trailers\r\nConnection: TE\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-up: def\r\n\r\n"
        )
        let response = try client.response()

        #expect(response.trailers == [Field(name: "x-sum", value: "abc")])
        #expect(scene.upstream.requests.first?.trailers == [Field(name: "x-up", value: "def")])

        for name in ["Content-Length", "Transfer-Encoding", "Host", "Connection"] {
          let evil = try scene.client()
          evil.trySend(Self.head + "2\r\nhi\r\n0\r\n\(name): 5\r\n\r\n")
          _ = try evil.response()
          let names = scene.upstream.requests.flatMap(\.trailers).map { $0.name.lowercased() }
          #expect(!names.contains(name.lowercased()), "\(name) passed as a trailer")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `trailers without end are refused`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        let trailers = String(repeating: "x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", count: 4_000)

        client.trySend(Self.head + "0\r\n" + trailers)
        let answer = try client.response()

        #expect([400, 431].contains(answer.status))
        #expect(client.isClosedSilently())
      }
    }
  }
}
