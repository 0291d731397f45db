import Glibc
import Testing
import Units

extension WireTests {
  /// Many HTTP/2 clients at once that change their minds; what counts is that nothing is left.
  struct HTTP2StormTests {
    /// One client's life, drawn from its seed: streams begun, cut off, reset, or answered.
    private static func act(_ port: UInt16, _ random: inout SplitMix64) throws {
      let client = try HTTP2Client(Socket.connected(to: port, receiveBuffer: nil))
      defer { client.close() }
      var polite: [Int32] = []
      for _ in 0..<Int.random(in: 1...20, using: &random) {
        let body = [UInt8](repeating: 0x78, count: Int.random(in: 0...40_000, using: &random))
        let token = try client.request("POST", "/storm", body: body, isLast: false)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: try client.reset(token)
        case 1:
          try client.send([], on: token, isLast: true)
          try client.reset(token)
        default:
          try client.send(body, on: token, isLast: true)
          polite.append(token)
        }
        if Int.random(in: 0..<8, using: &random) == 0,
          try client.socket.wait(for: Int32(POLLIN), by: Deadline(after: .milliseconds(5)))
        {
          try client.turn()
        }
      }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: client.socket.reset()
      case 1: break
      default:
        for token in polite {
          let answer = try client.answer(token)
          guard [200, 502].contains(answer.status), answer.isComplete else {
            throw WireFailure("a polite stream got \(answer)")
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a storm of resets before fickle upstreams leaves nothing behind`(
      backend: Backend
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let upstream = try ScriptedUpstream { peer, request in
        switch request.ordinal % 7 {
        case 3: peer.reset()
        case 5:
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
          try peer.send("0\r\nX-Trailer: 1\r\n\r\n")
        case 6:
          try peer.respond(200, "last", "Connection: close")
          peer.close()
        default: try peer.respond(200, request.text)
        }
      }
      let settings = EdgeSettings(workers: 2).withoutAdmission
      try Scene.play(backend, upstream, settings: settings) { scene in
        let port = try scene.edge.port("public")
        let failures = try storm(seed: seed, rounds: 15) { try Self.act(port, &$0) }

        #expect(failures == [], "seed \(seed)")
        #expect(try scene.http2().exchange("GET", "/after").status == 200)
        try eventually("no stream is left") { try scene.metric("spillway_h2_streams") == 0 }
      }
    }
  }
}
