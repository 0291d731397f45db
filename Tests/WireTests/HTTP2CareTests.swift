import Glibc
import HTTPCodec
import Testing

extension WireTests {
  /// What an HTTP/2 client owes apart from its requests: to acknowledge, to be there, and to finish
  /// what it began.
  struct HTTP2CareTests {
    private static let hello =
      HTTP2Frames.hello + HTTP2Frames.frame(0x4, HTTP2Frames.acknowledgement, 0)
    private static let get = HTTP2Frames.headers(1, HTTP2Frames.get)

    private static func hanging() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in
        if request["host"] == "a" { try peer.hang() } else { try peer.respond(200, request.target) }
      }
    }

    private static func ended(_ scene: Scene, _ reason: String) throws -> Double {
      try scene.metric("spillway_h2_connection_errors_total{reason=\"\(reason)\"}")
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9113 6.5.3: a client that never acknowledges SETTINGS is told so`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(listener: "h2: {settingsTimeout: 300ms}")
      try Scene.play(backend, Self.hanging(), settings: settings) { scene in
        let deaf = try scene.client()
        try deaf.send(HTTP2Frames.hello + Self.get)
        let polite = try scene.client()
        try polite.send(Self.hello + Self.get)

        #expect(HTTP2Frames.goAway(in: try deaf.rest()) == 4, "SETTINGS_TIMEOUT")

        #expect(try Self.ended(scene, "settings-timeout") == 1)
        polite.trySend(HTTP2Frames.ping())
        var bytes: [UInt8] = []
        while !HTTP2Frames.parse(bytes).contains(where: { $0.kind == 0x6 }) {
          let more = try polite.some()
          guard !more.isEmpty else { throw WireFailure("the polite one was ended") }
          bytes += more
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that waits and is gone is found out by PING`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "h2: {pingInterval: 100ms, pingTimeout: 1s}")
      try Scene.play(backend, Self.hanging(), settings: settings) { scene in
        let polite = try scene.http2()
        let token = try polite.request(
          "GET",
          "/",
          replacing: [(":scheme", "http"), (":authority", "a")]
        )
        let silent = try scene.client()
        try silent.send(Self.hello + Self.get)
        try eventually("both wait") { scene.upstream.requests.count == 2 }

        while try Self.ended(scene, "ping-timeout") == 0 {
          if try polite.socket.wait(for: Int32(POLLIN), by: Deadline(after: .milliseconds(20))) {
            guard try polite.turn() else { throw WireFailure("the polite one was ended") }
          }
        }

        let pings = HTTP2Frames.parse(try silent.rest()).filter { $0.kind == 0x6 && $0.flags == 0 }
        #expect(pings.count == 1)
        #expect(silent.end == .reset)
        try eventually("its request was cancelled") { scene.upstream.cancellations == 1 }
        #expect(polite.answers[token]?.closed == nil, "who answers is there")
        #expect(try polite.exchange("GET", "/on").text == "/on")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a session without a stream is not asked`(backend: Backend) throws {
      var settings = EdgeSettings(
        listener: "limits: {keepAliveIdle: 1s}, h2: {pingInterval: 50ms, pingTimeout: 50ms}"
      )
      // Answered by the edge itself: no stream waits for a service, however busy the machine.
      settings.hasDefaultRoute = false
      settings.routes = [
        "name: local, match: {pathPrefix: /}, respond: {status: 200}, policies: {auth: none}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        try client.send(Self.hello + Self.get)

        let frames = HTTP2Frames.parse(try client.rest())

        #expect(!frames.contains { $0.kind == 0x6 })
        #expect(client.end == .finished)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9113 6.8: a request that crosses the first GOAWAY is served`(
      backend: Backend
    ) throws {
      for limits in ["{keepAliveIdle: 200ms}", "{maximumAge: 200ms}"] {
        let settings = EdgeSettings(listener: "limits: \(limits)")
        try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
          let client = try scene.client()
          try client.send(Self.hello + Self.get)
          var bytes: [UInt8] = []
          while !HTTP2Frames.parse(bytes).contains(where: { $0.kind == 0x7 }) {
            let more = try client.some()
            guard !more.isEmpty else { break }
            bytes += more
          }
          try client.send(HTTP2Frames.headers(3, HTTP2Frames.get))
          bytes += try client.rest()

          let frames = HTTP2Frames.parse(bytes)
          #expect(frames.contains { $0.stream == 3 && $0.flags & 1 == 1 })
          let last = frames.filter { $0.kind == 0x7 }.map { Array($0.payload[0..<4]) }
          #expect(last == [[0x7F, 0xFF, 0xFF, 0xFF], [0, 0, 0, 3]], "\(limits)")
        }
      }
    }

    static let halves: [[UInt8]] = [
      // HEADERS without its end, then no CONTINUATION.
      HTTP2Frames.headers(3, HTTP2Frames.get, flags: 1),
      HTTP2Frames.headers(3, HTTP2Frames.get, flags: 1)
        + HTTP2Frames.frame(0x9, 0, 3, [0, 1, 0x61, 1, 0x61]),
      Array(HTTP2Frames.headers(3, HTTP2Frames.get).prefix(20)),
      Array(HTTP2Frames.ping().prefix(4)),
      Array(HTTP2Frames.ping().prefix(12)),
    ]

    @Test(arguments: Backend.allCases)
    func `half a frame ends a session that other streams keep busy`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {headTimeout: 300ms}")
      try Scene.play(backend, Self.hanging(), settings: settings) { scene in
        for (index, half) in Self.halves.enumerated() {
          let client = try scene.client()
          try client.send(Self.hello + Self.get + half)
          #expect(HTTP2Frames.goAway(in: try client.rest()) == 0xB, "\(index)")
          #expect(try Self.ended(scene, "slow-frame") == Double(index + 1))
        }
        try eventually("all were cancelled") {
          scene.upstream.cancellations == Self.halves.count
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a window opened byte by byte is below the minimum rate`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {bodyIdle: 400ms}")
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(200, String(repeating: "x", count: 50_000))
      }
      try Scene.play(backend, upstream, settings: settings) { scene in
        // The stream's window in one case, the connection's in the other.
        let shut = HTTP2Frames.frame(0x4, 0, 0, [0, 4] + HTTP2Frames.word(0))
        let wide = HTTP2Frames.frame(0x4, 0, 0, [0, 4] + HTTP2Frames.word(1 << 30))
        let cases: [(Double, [UInt8], [UInt32], UInt32)] = [
          (1, shut, [1], 1), (2, wide, [1, 3], 0),
        ]
        for (number, first, streams, dribbled) in cases {
          let client = try scene.client()
          var hello = HTTP2Frames.preface + first
          hello += HTTP2Frames.frame(0x4, HTTP2Frames.acknowledgement, 0)
          for stream in streams { hello += HTTP2Frames.headers(stream, HTTP2Frames.get) }
          try client.send(hello)
          var bytes: [UInt8] = []
          // Of two that share a window either may have had its part first.
          while streams.allSatisfy({ HTTP2Frames.reset(of: $0, in: bytes) == nil }) {
            client.trySend(HTTP2Frames.windowUpdate(dribbled, 1))
            // Fifty a second: less than the budget, and far less than the minimum rate.
            let next = Deadline(after: .milliseconds(20))
            while try client.socket.wait(for: Int32(POLLIN), by: next) {
              let more = try client.some()
              guard !more.isEmpty else { throw WireFailure("the edge ended it") }
              bytes += more
            }
          }
          let slow = try scene.metric("spillway_timeouts_total{kind=\"slow-reader\"}")
          #expect(slow >= number)
          client.close()
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body of single bytes takes few blocks, and no place of others`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(
        listener: "h2: {window: 16MiB, connectionWindow: 16MiB, "
          + "budgets: {tinyFrames: {burst: 1000000, perSecond: 0}}}",
        policies: "timeoutMs: 30000"
      )
      let gate = Gate()
      // More than the kernel takes for a service that does not read, then more single bytes than
      // there are places to note pieces of bodies.
      let large = [UInt8](repeating: 0x62, count: 16_384)
      let (parts, singles) = (960, 20_000)
      let total = parts * large.count + singles
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        guard request.method == "POST" else { return try peer.respond(200, "small") }
        gate.wait()
        let whole = try peer.readBody(of: request)
        try peer.respond(200, "\(whole.body.count)")
      }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        let lines = HTTP2Frames.post + [("content-length", "\(total)")]
        try client.send(Self.hello + HTTP2Frames.headers(1, lines, flags: 4))
        for _ in 0..<parts { try client.send(HTTP2Frames.data(1, large)) }
        func taken(_ frames: Int) throws {
          try eventually("frames were taken", within: .seconds(20)) {
            try scene.metric("spillway_h2_frames_received_total") >= Double(frames)
          }
        }
        try taken(parts)
        let before = try settled("memory") {
          try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        }

        var bytes: [UInt8] = []
        for _ in 0..<singles { bytes += HTTP2Frames.data(1, [0x61]) }
        try client.send(bytes)
        try taken(parts + singles)

        let after = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(after - before < 20, "\(singles) bytes took \(after - before) blocks")
        #expect(try scene.http2().exchange().text == "small")
        #expect(try scene.metric("spillway_buffer_exhaustions_total") == 0)

        gate.open()
        try client.send(HTTP2Frames.data(1, [], flags: 1))
        var answer: [UInt8] = []
        while !HTTP2Frames.parse(answer).contains(where: { $0.stream == 1 && $0.flags & 1 == 1 }) {
          let more = try client.some()
          guard !more.isEmpty else { throw WireFailure("the edge ended it") }
          answer += more
        }
        let body = HTTP2Frames.parse(answer).filter { $0.kind == 0 }.flatMap(\.payload)
        #expect(String(decoding: body, as: UTF8.self) == "\(total)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a listener's h2 settings are announced, and a reload's to new sessions`(
      backend: Backend
    ) throws {
      func listener(_ streams: Int, _ window: String) -> String {
        "h2: {maximumStreams: \(streams), window: \(window), connectionWindow: 2MiB}"
      }
      let settings = EdgeSettings(listener: listener(7, "128KiB"))
      try Scene.play(backend, Self.hanging(), settings: settings) { scene in
        let old = try scene.http2()
        #expect(try old.exchange("GET", "/old").text == "/old")
        #expect(
          try Self.announced(scene) == Announced(streams: 7, window: 131_072, more: 2_031_617)
        )

        try scene.reload { $0.listener = listener(3, "64KiB") }

        #expect(try Self.announced(scene) == Announced(streams: 3, window: 65_536, more: 2_031_617))
        #expect(try old.exchange("GET", "/old").text == "/old", "it goes on as it began")

        let client = try scene.client()
        let streams: [UInt32] = [1, 3, 5, 7]
        // Before it has acknowledged the bound a client cannot know it.
        var requests = HTTP2Frames.hello
        for stream in streams { requests += HTTP2Frames.headers(stream, HTTP2Frames.get) }
        try client.send(requests)
        var bytes: [UInt8] = []
        while HTTP2Frames.reset(of: 7, in: bytes) == nil {
          let more = try client.some()
          guard !more.isEmpty else { break }
          bytes += more
        }
        #expect(HTTP2Frames.reset(of: 7, in: bytes) == 7, "REFUSED_STREAM")
      }
    }

    private struct Announced: Equatable {
      var streams: UInt32 = 0
      var window: UInt32 = 0
      /// What the connection's window is opened by.
      var more: UInt32 = 0
    }

    private static func announced(_ scene: Scene) throws -> Announced {
      let client = try scene.client()
      try client.send(Self.hello + HTTP2Frames.ping())
      var bytes: [UInt8] = []
      while !HTTP2Frames.parse(bytes).contains(where: { $0.kind == 0x6 }) {
        let more = try client.some()
        guard !more.isEmpty else { throw WireFailure("the edge ended it") }
        bytes += more
      }
      var found = Announced()
      func word(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
      for frame in HTTP2Frames.parse(bytes) where frame.stream == 0 {
        if frame.kind == 0x8 { found.more = word(frame.payload[...]) }
        guard frame.kind == 0x4 else { continue }
        for start in stride(from: 0, to: frame.payload.count, by: 6) {
          let value = word(frame.payload[(start + 2)..<(start + 6)])
          if frame.payload[start + 1] == 3 { found.streams = value }
          if frame.payload[start + 1] == 4 { found.window = value }
        }
      }
      return found
    }

    @Test(arguments: Backend.allCases)
    func `an operator's budget ends a session sooner`(backend: Backend) throws {
      let settings = EdgeSettings(
        listener: "h2: {resetBurst: 5, resetsPerSecond: 0, "
          + "budgets: {pings: {burst: 3, perSecond: 0}}}"
      )
      try Scene.play(backend, Self.hanging(), settings: settings) { scene in
        let pings = try scene.client()
        var four: [UInt8] = []
        for _ in 0..<4 { four += HTTP2Frames.ping() }
        pings.trySend(Self.hello + four)
        #expect(HTTP2Frames.goAway(in: try pings.rest()) == 0xB)
        #expect(try Self.ended(scene, "ping-flood") == 1)

        let resets = try scene.client()
        var storm: [UInt8] = []
        for stream in stride(from: UInt32(1), to: 80, by: 2) {
          storm += HTTP2Frames.headers(stream, HTTP2Frames.get)
          storm += HTTP2Frames.reset(stream)
        }
        resets.trySend(Self.hello + storm)
        #expect(HTTP2Frames.goAway(in: try resets.rest()) == 0xB)
        #expect(try Self.ended(scene, "rapid-reset") == 1)
      }
    }
  }
}
