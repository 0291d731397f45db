import Testing
import Units

extension WireTests {
  /// Random requests against services that fail at random.
  struct RetryStormTests {
    /// How a service treats a request, drawn from the seed, its name and how often it came.
    private static func behave(
      _ peer: UpstreamPeer,
      _ request: UpstreamRequest,
      _ draw: UInt64
    ) throws {
      switch draw % 8 {
      case 0: peer.reset()
      case 1: peer.close()
      case 2: try peer.respond(503, "x")
      case 3:
        try peer.respond(502, "", "Connection: close")
        peer.close()
      case 4:
        try peer.send("HTTP/1.1 200 OK\r\nContent-Le")
        peer.close()
      default: try peer.respond(200, request.text)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is not idempotent and has no key comes at most once, whatever fails`(
      backend: Backend
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let arrivals = Tally()
      @Sendable func service() throws -> ScriptedUpstream {
        // Heads are counted, too, whose bodies never came.
        try ScriptedUpstream(readsBody: false) { peer, request in
          var random = arrivals.arrival(of: request, seed: seed)
          // Some fail before they have read the body.
          if random.next() % 4 == 0 {
            // Each of these ends the connection: what is left of the body is no request.
            return try Self.behave(peer, request, [0, 1, 3, 4][Int(random.next() % 4)])
          }
          let whole = try peer.readBody(of: request)
          try Self.behave(peer, whole, random.next())
        }
      }
      var settings = RetryScene.settings("retries: 2, retryOn: [connect-failure, reset, 5xx]")
      settings.workers = 2
      try Scene.play(backend, service(), service(), settings: settings) { scene in
        let port = try scene.edge.port("public")
        let clients = Tally()
        let failures = try storm(seed: seed, rounds: 40) { random in
          let client = try RawClient(port: port)
          defer { client.close() }
          let number = clients.next("clients")
          // The target's first letter says whether it may come again.
          let isIdempotent = random.next() % 2 == 0
          let hasKey = random.next() % 3 == 0
          let method =
            isIdempotent ? ["GET", "PUT", "DELETE"].randomElement(using: &random) : "POST"
          let mark = isIdempotent || hasKey ? "m" : "o"
          let size = [0, 10, 20_000, 80_000].randomElement(using: &random) ?? 0
          let key = hasKey ? "Idempotency-Key: \"\(number)\"\r\n" : ""
          client.trySend(
            "\(method ?? "GET") /\(mark)/\(number) HTTP/1.1\r\nHost: edge.test\r\n\(key)"
              + "Content-Length: \(size)\r\n\r\n" + String(repeating: "b", count: size)
          )
          let answer = try client.response()
          guard [200, 502, 503].contains(answer.status) else {
            throw WireFailure("\(answer.status)")
          }
        }

        #expect(failures == [], "seed \(seed)")
        // Two retries, and one repeat where a kept connection was closed.
        arrivals.expectOnce(most: 4, seed: seed)
        #expect(arrivals.all.contains { $0.value > 1 }, "seed \(seed): nothing was repeated")
      }
    }
  }
}
