import Testing

extension WireTests {
  /// Requests that wait, and what they hold of a worker's buffers.
  @Suite(.serialized) struct OverloadBufferTests {
    private static let used = "spillway_buffer_blocks{state=\"used\"}"
    private static let call = [("content-type", "application/grpc"), ("te", "trailers")]

    @Test(arguments: Backend.allCases)
    func `calls that wait hold a block each, and their bodies next to nothing`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let clients = try (0..<4).map { _ in try scene.http2() }
        var tokens = try clients.map { try $0.request("GET", "/critical") }
        try eventually("one is at the service") { upstream.requests.count == 1 }
        let before = try scene.metric(Self.used)

        let body = [UInt8](repeating: 0, count: 69)
        for _ in 0..<10 {
          tokens += try clients.map { try $0.request("POST", "/critical", Self.call, body: body) }
        }
        try eventually("all others wait") {
          try scene.metrics().sum("spillway_queue_depth") == 43
        }
        let held = try scene.metric(Self.used) - before
        #expect(held <= 40 + 4, "\(held) blocks for 40 calls of 4 clients")

        gate.open()
        for (place, token) in tokens.enumerated() {
          #expect(try clients[place % 4].answer(token).status == 200)
        }
        try eventually("nothing is held") { try scene.metric(Self.used) == 0 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a worker that runs out of buffers sheds the lowest class first, the highest never`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      // Far more may be in flight than there are buffers for.
      let settings = OverloadScene.settings(inFlight: 20_000)
      try Scene.play(backend, upstream, settings: settings, blocks: 128) { scene in
        defer { gate.open() }
        let client = try scene.client()
        func status(_ name: String) throws -> Int { try OverloadScene.status(client, name) }
        // Each has fewer than the streams that are left to a client once they are narrowed.
        let holders = try (0..<8).map { _ in try scene.http2() }
        var held: [(HTTP2Client, Int32)] = []
        func hold(until pressure: Double) throws {
          while try OverloadScene.pressure(scene, "buffers") <= pressure {
            let count = held.count + 2
            let holder = holders[held.count / 20]
            for _ in 0..<2 { held.append((holder, try holder.request("GET", OverloadScene.held))) }
            try eventually("they hang") {
              upstream.requests.count { $0.target == OverloadScene.held } == count
            }
            // Pressure is looked at where something happens.
            #expect(try status("critical") == 200)
          }
        }

        #expect(try status("best-effort") == 200)
        try hold(until: 0.8)
        #expect(try status("best-effort") == 503)
        #expect(try status("normal") == 200)
        try hold(until: 0.89)
        #expect(try status("normal") == 503)
        #expect(try status("important") == 200)
        try hold(until: 0.98)
        #expect(try status("important") == 503)
        #expect(try status("critical") == 200)
        #expect(try OverloadScene.sheds(scene, "buffers") == 3)
        #expect(try scene.metric("spillway_buffer_exhaustions_total{kind=\"blocks\"}") == 0)
        let told = try OverloadScene.explanation(scene)
        #expect(((told["pressure"] as? [String: Double])?["buffers"] ?? 0) > 0.98)
        try OverloadScene.expectAdmin(scene)

        gate.open()
        for (holder, token) in held { #expect(try holder.answer(token).status == 200) }
        try eventually("all are served again") { try status("best-effort") == 200 }
        try eventually("nothing presses") {
          _ = try status("critical")
          return try OverloadScene.pressure(scene, "buffers") < 0.2
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a burst that comes in one piece leaves buffers for who matters`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = OverloadScene.settings(inFlight: 20_000)
      try Scene.play(backend, upstream, settings: settings, blocks: 192) { scene in
        defer { gate.open() }
        let bursts = try (0..<2).map { _ in
          let client = try scene.http2()
          let paths = Array(repeating: "/best-effort", count: 90)
          return (client, try AdmissionScene.burst(client, paths))
        }
        try eventually("the last are refused") {
          for (client, _) in bursts { _ = try client.turn() }
          return try OverloadScene.sheds(scene, "buffers") > 0
        }
        let high = try scene.http2()
        let asked = try (0..<8).map { _ in try high.request("GET", "/critical") }
        gate.open()
        for token in asked { #expect(try high.answer(token).status == 200) }
        for (client, tokens) in bursts {
          for token in tokens {
            let answer = try client.answer(token)
            #expect(answer.status == 200 || answer.reason == "shed-edge-overload")
          }
        }
        #expect(try scene.metric("spillway_buffer_exhaustions_total{kind=\"blocks\"}") == 0)
      }
    }
  }
}
