import Testing

extension WireTests {
  /// Answers that come before the request is whole, RFC 9112 section 9.6.
  struct EarlyResponseTests {
    private static let big = 50_000_000
    /// A service that hears of a request before its body comes.
    private static let settings = EdgeSettings().withoutAdmission

    /// Answers a POST before its body.
    ///
    /// Then it either drops what comes or takes it for the next request, as a service would that has
    /// lost its place.
    private static func hasty(closes: Bool, goesOn: Bool = false) throws -> ScriptedUpstream {
      try ScriptedUpstream(readsBody: false) { peer, request in
        guard request.method == "POST" else { return try peer.respond(200, request.target) }
        try peer.respond(403, "enough", closes ? "Connection: close" : "X-Keeps: yes")
        if closes { peer.finish() }
        if !goesOn { try peer.hang() }
      }
    }

    @Test(arguments: Backend.allCases, [false, true])
    func `RFC 9110 10.1: an answer that comes before the body reaches a client still sending`(
      backend: Backend,
      closes: Bool
    ) throws {
      try Scene.play(backend, Self.hasty(closes: closes)) { scene in
        let client = try scene.client()
        try client.send(
          "POST /big HTTP/1.1\r\nHost: edge.test\r\nContent-Length: \(Self.big)\r\n\r\n"
        )
        client.trySend([UInt8](repeating: 0x78, count: 100_000))
        let answer = try client.response()

        #expect(answer.status == 403)
        #expect(answer.text == "enough")
        #expect(answer.isComplete)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an answer while most of an upload waits is not taken for one to an earlier request`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        guard request.method == "POST" else { return try peer.respond(200, request.target) }
        gate.wait()
        try peer.respond(403, "enough")
        try peer.hang()
      }
      try Scene.play(backend, upstream) { scene in
        #expect(try scene.client().exchange("GET", "/first").status == 200)
        let client = try scene.client()
        try client.send(
          "POST /big HTTP/1.1\r\nHost: edge.test\r\nContent-Length: \(Self.big)\r\n\r\n"
        )
        let part = [UInt8](repeating: 0x78, count: 1_000_000)
        // Until neither the service nor the edge takes any more.
        for _ in 0..<40 where (try? client.send(part, within: .milliseconds(300))) == nil { break }
        gate.open()

        #expect(try client.response().status == 403)
        #expect(scene.upstream.requests.map(\.connection) == [0, 0])
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream connection with an unread body is never used again`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.hasty(closes: false, goesOn: true), settings: Self.settings) {
        scene in
        let client = try scene.client()
        // The body looks like a request; on a reused connection it would be answered as one.
        let loot = "GET /smuggled HTTP/1.1\r\nHost: edge.test\r\n\r\n"
        try client.send(
          "POST /big HTTP/1.1\r\nHost: edge.test\r\nContent-Length: \(loot.utf8.count + 10)\r\n\r\n"
        )
        #expect(try client.response().status == 403)
        client.trySend(loot)

        for path in ["/1", "/2", "/3"] {
          #expect(try scene.client().exchange("GET", path).text == path)
        }
        #expect(!scene.upstream.requests.contains { $0.target == "/smuggled" })
        #expect(
          scene.upstream.requests.filter { $0.target.count == 2 }.allSatisfy { $0.connection > 0 }
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that sends the rest may go on, one that cannot is told to leave`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.hasty(closes: false), settings: Self.settings) { scene in
        let client = try scene.client()
        try client.send("POST /small HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 100\r\n\r\n")
        let answer = try client.response()
        #expect(answer.status == 403)

        if answer.saysClose {
          #expect(client.isClosedSilently(within: .seconds(10)))
        } else {
          try client.send(String(repeating: "x", count: 100))
          #expect(try client.exchange("GET", "/next").text == "/next")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream that answers and closes while the body is still coming is heard`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, _ in
        try peer.respond(413, "too much", "Connection: close")
        peer.close()
      }
      try Scene.play(backend, upstream, settings: Self.settings) { scene in
        let client = try scene.client()
        try client.send(
          "POST /big HTTP/1.1\r\nHost: edge.test\r\nContent-Length: \(Self.big)\r\n\r\n"
        )
        let answer = try client.response()

        #expect(answer.status == 413)
        #expect(answer.text == "too much")
      }
    }
  }
}
