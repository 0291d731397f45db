import Testing

extension WireTests {
  /// RFC 9218: which streams take turns, and in which order.
  struct HTTP2PriorityTests {
    private static let length = 40_000
    private static let streams: [UInt32] = [1, 3, 5]

    /// What came of each stream until the first one ended, and in which order they ended.
    private struct Outcome {
      var order: [UInt32] = []
      var share: [Int] = []
    }

    /// Asks for three bodies at once, and opens all windows when all of them lie in the edge.
    private static func outcome(_ scene: Scene, _ priorities: [String]) throws -> Outcome {
      let name = "spillway_bytes_total{direction=\"in\",side=\"upstream\"}"
      let before = try scene.metric(name)
      let client = try scene.client()
      // SETTINGS_INITIAL_WINDOW_SIZE 0, and a large window for the connection.
      try client.send(
        HTTP2Frames.preface + HTTP2Frames.frame(0x4, 0, 0, [0, 4, 0, 0, 0, 0])
          + HTTP2Frames.windowUpdate(0, 1 << 20)
      )
      for (stream, priority) in zip(streams, priorities) {
        let lines = HTTP2Frames.get + [("priority", priority)]
        try client.send(HTTP2Frames.headers(stream, lines))
      }
      try eventually("all bodies are there") {
        try scene.metric(name) - before >= Double(streams.count * length)
      }

      try client.send(HTTP2Frames.frame(0x4, 0, 0, [0, 4, 0, 0, 0xFF, 0xFF]))

      var bytes: [UInt8] = []
      func ended() -> [UInt32] {
        HTTP2Frames.parse(bytes)
          .filter { $0.kind == 0 && $0.flags & HTTP2Frames.endStream != 0 }
          .map(\.stream)
      }
      while ended().count < streams.count {
        let more = try client.some()
        guard !more.isEmpty else { throw WireFailure("the edge ended the connection") }
        bytes += more
      }
      let frames = HTTP2Frames.parse(bytes).filter { $0.kind == 0 }
      let first = frames.firstIndex { $0.flags & HTTP2Frames.endStream != 0 } ?? 0
      var result = Outcome(order: ended())
      result.share = streams.map { stream in
        frames[...first].filter { $0.stream == stream }.reduce(0) { $0 + $1.payload.count }
      }
      return result
    }

    private static func service() throws -> ScriptedUpstream {
      let body = String(repeating: "x", count: length)
      return try ScriptedUpstream { peer, _ in try peer.respond(200, body) }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9218 10: the more urgent a response, the sooner it is through`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.service()) { scene in
        let rising = try Self.outcome(scene, ["u=7", "u=3", "u=0"])
        #expect(rising.order == [5, 3, 1])
        #expect(rising.share[2] == Self.length && rising.share[0] < Self.length / 4)
        let mixed = try Self.outcome(scene, ["u=2", "u=6", "u=1"])
        #expect(mixed.order == [5, 1, 3])
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9218 10: equals come one after the other, or share the line where they can`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.service()) { scene in
        let whole = try Self.outcome(scene, ["u=3", "u=3", "u=3"])
        #expect(whole.order == [1, 3, 5])
        #expect(whole.share[2] < Self.length / 4)
        let shared = try Self.outcome(scene, ["u=3, i", "u=3, i", "u=3, i"])
        #expect(shared.share.allSatisfy { $0 > Self.length / 2 }, "\(shared.share)")
      }
    }
  }
}
