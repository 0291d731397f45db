import Glibc
import Testing

extension WireTests {
  /// Clients that send their bodies as slowly as they may: what they take from others, and how long.
  @Suite(.serialized) struct AdmissionSlowBodyTests {
    private static let decisions = "spillway_admission_decisions_total"

    @Test(arguments: Backend.allCases)
    func `a hundred that dribble take neither permits nor places in the queue`(
      backend: Backend
    ) throws {
      let settings = AdmissionScene.settings(limit: 1, capacity: 2)
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let slow = try (0..<100).map { _ in try scene.client() }
        for client in slow {
          try client.send("POST /slow HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 50\r\n\r\n")
        }
        try eventually("their heads were seen") {
          try scene.metric("spillway_exchanges_active") == 100
        }
        let other = try scene.client()
        var served = 0.0
        for _ in 0..<5 {
          for client in slow { try client.send("a") }
          for _ in 0..<10 {
            #expect(try other.exchange("GET", "/on").status == 200)
            served += 1
          }
          #expect(try scene.metric("spillway_concurrency_inflight") == 0)
          #expect(try scene.metric("spillway_queue_depth") == 0)
        }

        // Nothing was decided about them, and nobody waited behind them.
        #expect(try scene.metric(Self.decisions) == served)
        #expect(try scene.metric("spillway_queue_wait_seconds_count") == 0)
        #expect(scene.upstream.requests.allSatisfy { $0.method == "GET" })
        for client in slow { client.close() }
        try AdmissionScene.expectNothingHeld(scene)
        #expect(try scene.metric(Self.decisions) == served)
      }
    }

    @Test(arguments: Backend.allCases)
    func `streams that hold back are given room for what is waited for`(backend: Backend) throws {
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let client = try scene.http2()
        // All of them together are more than the window of the connection.
        let tokens = try (0..<90).map { _ in
          let length = [("content-length", "13000")]
          let body = [UInt8](repeating: 97, count: 12_000)
          return try client.request("POST", "/slow", length, body: body, isLast: false)
        }
        try client.wait("all of it is sent") { client in
          tokens.allSatisfy { client.sent($0) == 12_000 }
        }
        #expect(try client.exchange("GET", "/on").status == 200)
        #expect(try scene.metric(Self.decisions) == 1)
        #expect(scene.upstream.requests.map(\.target) == ["/on"])

        let rest = [UInt8](repeating: 98, count: 1_000)
        for token in tokens.prefix(10) {
          try client.send(rest, on: token, isLast: true)
          let text = try client.answer(token).text
          #expect(text.hasSuffix("ab" + String(repeating: "b", count: 999)))
          #expect(text.utf8.count == "POST /slow ".utf8.count + 13_000)
        }
        for token in tokens.dropFirst(10) { try client.reset(token) }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service of HTTP/2 gets bodies that were waited for`(backend: Backend) throws {
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, h2c: .echo(), settings: settings) { scene in
        let client = try scene.client()
        try client.send("POST /a HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\n")
        try client.dribble("abcd")
        #expect(try client.response().text.hasSuffix("abcd"))
        try client.send("POST /b HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        try client.dribble("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")
        #expect(try client.response().text.hasSuffix("abcd"))

        let streams = try scene.http2()
        let token = try streams.request(
          "POST",
          "/c",
          [("content-length", "20000")],
          body: Array(repeating: 97, count: 10_000),
          isLast: false
        )
        try streams.send(Array(repeating: 98, count: 10_000), on: token, isLast: true)
        let text = try streams.answer(token).text
        #expect(text.utf8.suffix(20_000).first == 97)
        #expect(text.utf8.suffix(10_000).allSatisfy { $0 == 98 })
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the time of a request runs from its head, not from its permit`(
      backend: Backend
    ) throws {
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let client = try scene.client()
        try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nab")
        try eventually("its head was seen") {
          try scene.metric("spillway_exchanges_active") == 1
        }
        let seen = ContinuousClock.now
        while ContinuousClock.now - seen < .milliseconds(80) { usleep(5_000) }
        try client.send("cd")

        #expect(try client.response().text == "POST / abcd")
        let left = scene.upstream.requests.first?["x-envoy-expected-rq-timeout-ms"].flatMap {
          Int($0)
        }
        #expect((left ?? .max) <= 30_000 - 80)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body that does not come within the time of its request ends in 408`(
      backend: Backend
    ) throws {
      var settings = AdmissionScene.settings(limit: 1)
      settings.policies = "timeoutMs: 200"
      settings.listener = "limits: {bodyIdle: 60s}"
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let client = try scene.client()
        try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nab")

        let answer = try client.response(to: "POST")
        #expect(answer.status == 408)
        #expect(answer.problem?["reason"] as? String == "body-timeout")
        #expect(answer.saysClose)
        #expect(scene.upstream.requests.isEmpty)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body that is waited for owes the minimum rate`(backend: Backend) throws {
      var settings = AdmissionScene.settings(limit: 1)
      settings.listener = "limits: {bodyIdle: 4s, minimumRate: 100KiB}"
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let client = try scene.client()
        // Short enough that no permit is asked for before all of it is there.
        try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 16000\r\n\r\n")
        var left = 15_999
        try eventually("the edge has had enough", within: .seconds(40)) {
          left -= 1
          guard left > 0 else { throw WireFailure("it took all of it") }
          return !client.trySend("x")
        }

        #expect(try scene.metric("spillway_timeouts_total{kind=\"slow-body\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
        #expect(scene.upstream.requests.isEmpty)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }
  }
}
