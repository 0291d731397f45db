import Testing
import Units

extension WireTests {
  /// Many clients at once, polite ones and others; what counts is that nothing is left behind.
  struct StormTests {
    /// One client's next move, drawn from its seed.
    private static func act(_ port: UInt16, _ random: inout SplitMix64) throws {
      let client = try RawClient(port: port)
      defer { client.close() }
      let request = Array(
        ("POST /storm HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n"
          + "400\r\n" + String(repeating: "x", count: 1024) + "\r\n0\r\n\r\n").utf8
      )
      let cut = Int.random(in: 0...request.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        client.trySend(Array(request[..<cut]))
        client.reset()
      case 1:
        client.trySend(Array(request[..<cut]))
        client.close()
      case 2:
        client.trySend(request)
        client.reset()
      case 3:
        var broken = request
        broken[cut % broken.count] = UInt8.random(in: 0...255, using: &random)
        client.trySend(broken)
        client.finish()
        _ = try? client.rest()
      default:
        for _ in 0..<3 {
          try client.send(request)
          let answer = try client.response()
          guard [200, 502].contains(answer.status) else {
            throw WireFailure("a polite client got \(answer.status)")
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a storm of aborts and nonsense before fickle upstreams leaves nothing behind`(
      backend: Backend
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let upstream = try ScriptedUpstream { peer, request in
        switch request.ordinal % 7 {
        case 3: peer.reset()
        case 5:
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
          try peer.send("0\r\n\r\n")
        case 6:
          try peer.respond(200, "last", "Connection: close")
          peer.close()
        default: try peer.respond(200, request.text)
        }
      }
      let settings = EdgeSettings(workers: 2).withoutAdmission
      try Scene.play(backend, upstream, settings: settings) { scene in
        let port = try scene.edge.port("public")
        let failures = try storm(seed: seed, rounds: 60) { try Self.act(port, &$0) }

        #expect(failures == [], "seed \(seed)")
        #expect(try scene.client().exchange("GET", "/after").status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `five hundred connections at once are all served by two workers`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget(), settings: EdgeSettings(workers: 2).withoutAdmission)
      { scene in
        let clients = try (0..<500).map { _ in try scene.client() }
        for (index, client) in clients.enumerated() { try client.request("GET", "/\(index)") }
        for (index, client) in clients.enumerated() {
          #expect(try client.response().text == "/\(index)")
        }
        #expect(try scene.metric("spillway_connections{side=\"downstream\"}") == 500)
      }
    }
  }
}
