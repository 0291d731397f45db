import Foundation
import Testing
import Units

extension WireTests {
  /// Random requests against services that are slow and fail at random, hedged and repeated.
  struct HedgeStormTests {
    private static func behave(
      _ peer: UpstreamPeer,
      _ request: UpstreamRequest,
      _ random: inout SplitMix64
    ) throws {
      // Now and then slow enough for a hedge.
      if random.next() % 4 == 0 { usleep(UInt32(random.next() % 40_000)) }
      switch random.next() % 16 {
      case 0: peer.reset()
      case 1: peer.close()
      case 2: try peer.respond(503, "x")
      case 3:
        try peer.respond(502, "", "Connection: close")
        peer.close()
      case 4:
        try peer.send("HTTP/1.1 200 OK\r\nContent-Le")
        peer.close()
      case 5:
        try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        try peer.respond(200, request.target)
      default: try peer.respond(200, request.target)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is not idempotent and has no key comes at most once, and each has its answer`(
      backend: Backend
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let arrivals = Tally()
      @Sendable func service() throws -> ScriptedUpstream {
        try ScriptedUpstream { peer, request in
          var random = arrivals.arrival(of: request, seed: seed)
          try Self.behave(peer, request, &random)
        }
      }
      var settings = HedgeScene.settings(
        "timeoutMs: 30000, retries: 2, retryOn: [connect-failure, reset, 5xx]"
      )
      settings.policies = settings.policies.replacing("0.99", with: "0.5")
      settings.workers = 2
      try Scene.play(backend, service(), service(), service(), settings: settings) { scene in
        let port = try scene.edge.port("public")
        let clients = Tally()
        let failures = try storm(seed: seed, rounds: 150) { random in
          let client = try RawClient(port: port)
          defer { client.close() }
          let number = clients.next("clients")
          // The target's first letter says whether it may come again.
          let isRead = random.next() % 4 != 0
          let mark = isRead ? "m" : "o"
          let method = isRead ? "GET" : "POST"
          let body = isRead ? "" : "Content-Length: 3\r\n\r\nabc"
          let end = isRead ? "\r\n" : body
          client.trySend("\(method) /\(mark)/\(number) HTTP/1.1\r\nHost: edge.test\r\n\(end)")
          // Some leave at once.
          if random.next() % 16 == 0 { return }
          let answer = try client.response()
          guard [200, 502, 503].contains(answer.status) else {
            throw WireFailure("\(answer.status)")
          }
          guard answer.status != 200 || answer.text == "/\(mark)/\(number)" else {
            throw WireFailure("/\(mark)/\(number) got \(answer.text)")
          }
        }

        #expect(failures == [], "seed \(seed)")
        // Two retries, a hedge, and one repeat of either where a kept connection was closed.
        arrivals.expectOnce(most: 6, seed: seed)
        // A client may have left with its two attempts still out.
        try eventually("each hedge has its end") {
          let metrics = try scene.metrics()
          func sum(_ result: String) throws -> Double {
            try metrics.sum("spillway_hedges_total{result=\"\(result)\"}") ?? 0
          }
          let ends = try ["won", "lost", "failed", "took-over", "left"].map(sum)
          return try ends.reduce(0, +) == sum("sent")
        }
        #expect(
          try HedgeScene.count(scene, "sent") > 0,
          "seed \(seed): nothing was hedged"
        )
      }
    }
  }
}
