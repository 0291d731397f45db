import Testing

extension WireTests {
  /// Peers that cost more than they should: each is ended by name, and others are not slower for it.
  struct HTTP2AbuseTests {
    /// Budgets that time does not bring back, so that their bounds are exact.
    private static let settings: EdgeSettings = {
      let names = [
        "provokedResets", "fields", "pings", "settings", "priorities", "emptyFrames", "tinyFrames",
        "windowUpdates", "unknownFrames",
      ]
      let budgets = names.map { "\($0): {perSecond: 0}" }.joined(separator: ", ")
      return EdgeSettings(listener: "h2: {resetsPerSecond: 0, budgets: {\(budgets)}}")
    }()

    /// Frames of other clients, and those that were received together with the last one.
    private static let slack = 4_000.0
    /// What a flood may hold: 8 MiB.
    private static let mostBlocks = 512.0

    @Test(arguments: Backend.allCases, HTTP2Flood.all)
    func `a flood ends its own session, and a polite client is served meanwhile`(
      backend: Backend,
      flood: HTTP2Flood
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request["host"] == "a" { try peer.hang() } else { try peer.respond(200, "polite") }
      }
      try Scene.play(backend, upstream, settings: Self.settings.withoutAdmission) { scene in
        let polite = try scene.http2()
        #expect(try polite.exchange().text == "polite")
        let hostile = try scene.client()
        let parts = 4
        var isOpen = hostile.trySend(HTTP2Frames.hello + flood.first)
        for part in 0..<parts where isOpen {
          let range = flood.count / parts * part..<flood.count / parts * (part + 1)
          var bytes: [UInt8] = []
          for number in range { bytes += flood.frames(UInt32(number)) }
          isOpen = hostile.trySend(bytes)
          let answer = try polite.exchange()
          #expect(answer.text == "polite", "\(answer)")
          #expect(try scene.metric("spillway_buffer_blocks{state=\"used\"}") < Self.mostBlocks)
        }

        let code = HTTP2Frames.goAway(in: try hostile.rest())

        // A reset may take GOAWAY with it where the client is still sending. What breaks a rule may
        // overdo it, too, before the answer to the first frame of it is written.
        if hostile.end == .finished {
          #expect(code == flood.code || code == 0xB, "\(String(describing: code))")
        }
        let errors = "spillway_h2_connection_errors_total"
        #expect(try scene.metric(errors) == 1)
        let counted = try scene.metric("\(errors){reason=\"\(flood.reason)\"}")
        #expect(counted == 1 || !flood.isExact, "\(flood)")
        let frames = try scene.metric("spillway_h2_frames_received_total")
        #expect(frames <= Double(flood.most) + Self.slack)
        #expect(try polite.exchange().text == "polite")
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9113 8.1.1: what is malformed is reset and never passed on`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let hostile: [[(String, String)]] = [
          HTTP2Frames.get + [("connection", "close")],
          HTTP2Frames.get + [("transfer-encoding", "chunked")],
          HTTP2Frames.get + [("X-Upper", "1")],
          HTTP2Frames.get + [("a", "b\r\nc: d")],
          HTTP2Frames.get + [("te", "gzip")],
          HTTP2Frames.get + [("host", "other")],
          HTTP2Frames.get + [(":path", "/again")],
          HTTP2Frames.get + [("content-length", "3")],
          Array(HTTP2Frames.get.dropLast()) + [(":path", "/a b")],
          Array(HTTP2Frames.get.dropLast()),
        ]
        for lines in hostile {
          let client = try scene.client()
          try client.send(
            HTTP2Frames.hello + HTTP2Frames.headers(1, lines)
              + HTTP2Frames.headers(3, HTTP2Frames.get)
          )
          var bytes: [UInt8] = []
          while !HTTP2Frames.parse(bytes).contains(where: { $0.stream == 3 && $0.flags & 1 == 1 }) {
            let more = try client.some()
            guard !more.isEmpty else { break }
            bytes += more
          }
          #expect(HTTP2Frames.reset(of: 1, in: bytes) == 1, "\(lines.last ?? ("", ""))")
        }
        #expect(scene.upstream.requests.count == hostile.count)
        let sum = try scene.metric("spillway_h2_malformed_messages_total")
        #expect(sum == Double(hostile.count))
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9113 5.4.1: an error of the connection is named and ends it`(
      backend: Backend
    ) throws {
      let broken: [([UInt8], UInt32)] = [
        (HTTP2Frames.data(1, [1]), 1),
        (HTTP2Frames.frame(0x6, 0, 0, [1]), 6),
        (HTTP2Frames.windowUpdate(0, 0), 1),
        (HTTP2Frames.headers(2, HTTP2Frames.get), 1),
        (HTTP2Frames.frame(0x1, 0x5, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), 9),
        (HTTP2Frames.frame(0x0, 0, 1, [UInt8](repeating: 0, count: 16_385)), 6),
      ]
      try Scene.play(backend, .echoingTarget()) { scene in
        for (bytes, code) in broken {
          let client = try scene.client()
          client.trySend(HTTP2Frames.hello + bytes)
          #expect(HTTP2Frames.goAway(in: try client.rest()) == code)
        }
        #expect(
          try scene.metric("spillway_h2_connection_errors_total{reason=\"protocol\"}")
            == Double(broken.count)
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `half a frame does not keep a session`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {headTimeout: 200ms, keepAliveIdle: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let head = HTTP2Frames.headers(1, HTTP2Frames.get)
        for bytes in [
          Array(HTTP2Frames.preface.prefix(20)), HTTP2Frames.preface,
          HTTP2Frames.hello + head.prefix(5), HTTP2Frames.hello + head.prefix(30),
          HTTP2Frames.hello + HTTP2Frames.headers(1, HTTP2Frames.get, flags: 1),
        ] {
          let client = try scene.client()
          try client.send(bytes)
          _ = try client.rest()
          client.close()
        }
      }
    }
  }
}
