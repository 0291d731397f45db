import Testing

extension WireTests {
  /// Peers that cost more than they should: each is ended by name, and others are not slower for it.
  struct HTTP2AbuseTests {
    struct Flood: Sendable, CustomStringConvertible {
      let reason: String
      let first: [UInt8]
      let frames: @Sendable (UInt32) -> [UInt8]

      init(
        _ reason: String,
        first: [UInt8] = [],
        _ frames: @escaping @Sendable (UInt32) -> [UInt8]
      ) {
        self.reason = reason
        self.first = first
        self.frames = frames
      }

      var description: String { reason }
    }

    static let floods = [
      Flood("rapid-reset") { number in
        HTTP2Frames.headers(2 * number + 1, HTTP2Frames.get) + HTTP2Frames.reset(2 * number + 1)
      },
      Flood("ping-flood") { _ in HTTP2Frames.ping() },
      Flood("settings-flood") { _ in HTTP2Frames.frame(0x4, 0, 0) },
      Flood("priority-flood") { _ in HTTP2Frames.frame(0x2, 0, 1, [0, 0, 0, 3, 1]) },
      Flood("empty-frame-flood", first: HTTP2Frames.headers(1, HTTP2Frames.post, flags: 4)) { _ in
        HTTP2Frames.data(1, [])
      },
      Flood("window-update-flood") { _ in HTTP2Frames.windowUpdate(0, 1) },
      Flood("unknown-frame-flood") { _ in HTTP2Frames.frame(0x42, 0, 0, [1]) },
      Flood(
        "continuation-flood",
        first: HTTP2Frames.headers(1, HTTP2Frames.get, flags: 1)
      ) { _ in HTTP2Frames.frame(0x9, 0, 1, [0, 1, 0x61, 1, 0x61]) },
    ]

    @Test(arguments: Backend.allCases, floods)
    func `a flood ends its own session, and a polite client is served meanwhile`(
      backend: Backend,
      flood: Flood
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request["host"] == "a" { try peer.hang() } else { try peer.respond(200, "polite") }
      }
      try Scene.play(backend, upstream) { scene in
        let polite = try scene.http2()
        let hostile = try scene.client()
        var bytes = HTTP2Frames.hello + flood.first
        for number in 0..<20_000 { bytes += flood.frames(UInt32(number)) }

        hostile.trySend(bytes)
        #expect(try polite.exchange().text == "polite")

        let code = HTTP2Frames.goAway(in: try hostile.rest())
        #expect(code == 0xB, "ENHANCE_YOUR_CALM")
        let selector = "spillway_h2_connection_errors_total{reason=\"\(flood.reason)\"}"
        #expect(try scene.metric(selector) == 1)
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
