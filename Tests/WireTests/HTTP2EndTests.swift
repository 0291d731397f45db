import HTTPCodec
import Testing

extension WireTests {
  /// The ends of streams and sessions: resets, breaks, age, idleness, drain.
  struct HTTP2EndTests {
    @Test(arguments: Backend.allCases)
    func `a reset cancels the request upstream at once`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/hang" { try peer.hang() } else { try peer.respond(200, "ok") }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()
        let token = try client.request("GET", "/hang")
        try eventually("it runs") { scene.upstream.requests.count == 1 }

        try client.reset(token)

        try eventually("the upstream was told") { scene.upstream.cancellations == 1 }
        #expect(try client.exchange().text == "ok", "the session goes on")
        #expect(try scene.metric("spillway_h2_stream_resets_total{side=\"client\"}") == 1)
        #expect(try scene.metric("spillway_client_aborts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a stream that is reset for what its client sent counts as malformed, not as left`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, _ in try peer.hang() }
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        let lines = HTTP2Frames.post + [("content-length", "2")]
        try client.send(
          HTTP2Frames.hello + HTTP2Frames.headers(1, lines, flags: HTTP2Frames.endHeaders)
        )
        try eventually("it runs") { scene.upstream.requests.count == 1 }

        try client.send(HTTP2Frames.data(1, [1, 2, 3]))

        try eventually("the upstream was told") { scene.upstream.cancellations == 1 }
        let requests = "spillway_requests_total{route=\"all\",method=\"POST\",code=\""
        try eventually("it is counted") { try scene.metric(requests + "400\"}") == 1 }
        #expect(try scene.metric("spillway_h2_stream_resets_total{side=\"edge\"}") == 1)
        #expect(try scene.metric("spillway_h2_stream_resets_total{side=\"client\"}") == 0)
        #expect(try scene.metric("spillway_client_aborts_total") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection that ends cancels all its requests`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in try peer.hang() }
      try Scene.play(backend, upstream) { scene in
        for isReset in [false, true] {
          let client = try scene.http2()
          let before = scene.upstream.cancellations
          let requests = scene.upstream.requests.count
          for _ in 0..<10 { try client.request() }
          try eventually("they run") { scene.upstream.requests.count == requests + 10 }

          if isReset { client.socket.reset() } else { client.close() }

          try eventually("all were told") { scene.upstream.cancellations == before + 10 }
          try eventually("all are gone") { scene.upstream.openConnections == 0 }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that breaks off is reset, not ended`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        switch request.target {
        case "/length": try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
        case "/chunks":
          try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
        default: break
        }
        peer.close()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        for path in ["/length", "/chunks"] {
          let answer = try client.exchange("GET", path)
          #expect(answer.status == 200)
          #expect(!answer.isComplete && answer.closed?.code == .internalError)
        }
        #expect(try client.exchange("POST", "/nothing", body: []).status == 502)
      }
    }

    @Test(arguments: Backend.allCases)
    func `after so many requests the client is told to go, and nothing is lost`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(listener: "limits: {requestsPerConnection: 3}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.http2()

        for _ in 0..<3 { #expect(try client.exchange().status == 200) }
        try client.wait("GOAWAY") { $0.farewells.count == 1 }
        #expect(client.farewells[0].last == .max)

        try client.untilClosed()
        #expect(client.end == .finished)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an idle session is told to go, one without a request sooner`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {keepAliveIdle: 400ms, headTimeout: 200ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let silent = try scene.http2()
        try silent.flush()
        let idle = try scene.http2()
        #expect(try idle.exchange().status == 200)

        try silent.untilClosed()
        try idle.untilClosed()

        #expect(silent.farewells.map(\.code) == [.noError])
        #expect(idle.farewells.first?.last == .max, "nothing that is on its way is excluded")
        #expect(idle.farewells.allSatisfy { $0.code == .noError })
        #expect(try scene.metric("spillway_timeouts_total{kind=\"head\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total{kind=\"keep-alive-idle\"}") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a session grows old`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {maximumAge: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.http2()
        #expect(try client.exchange().status == 200)

        try client.wait("GOAWAY") { !$0.farewells.isEmpty }
        try client.untilClosed()

        #expect(client.end == .finished)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a drain says GOAWAY, finishes streams and waits for them`(backend: Backend) throws {
      let settings = EdgeSettings(root: ["drain: {grace: 300ms, deadline: 10s}"])
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/slow" { gate.wait() }
        try peer.respond(200, "done")
      }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()
        let slow = try client.request("GET", "/slow")
        try eventually("it runs") { scene.upstream.requests.count == 1 }
        let idle = try scene.http2()
        #expect(try idle.exchange().status == 200)

        scene.edge.drain()
        try client.wait("the first GOAWAY") { $0.farewells.count == 1 }
        #expect(client.farewells[0].last == .max)
        try client.wait("the second GOAWAY") { $0.farewells.count == 2 }
        #expect(client.farewells[1].last == 1)
        try idle.untilClosed()
        #expect(!scene.edge.hasDrained)

        gate.open()
        #expect(try client.answer(slow).text == "done")
        try client.untilClosed()
        client.close()
        idle.close()
        try eventually("it has drained", within: .seconds(10)) { scene.edge.hasDrained }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body that does not come is answered with 408 on its stream`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {bodyIdle: 300ms}")
      let upstream = try ScriptedUpstream { peer, request in try peer.respond(200, request.text) }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()

        let token = try client.request("POST", "/", body: [0x61], isLast: false)
        let answer = try client.answer(token)

        #expect(answer.status == 408)
        #expect(answer.closed?.code == .noError)
        #expect(try client.exchange().status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body below the minimum rate is answered with 408 on its stream`(
      backend: Backend
    ) throws {
      // A pace to be judged, and no other time that could end the exchange before it is.
      let settings = EdgeSettings(
        listener: "limits: {minimumRate: 100KiB, bodyIdle: 2s}",
        policies: "timeoutMs: 30000"
      )
      let upstream = try ScriptedUpstream { peer, request in try peer.respond(200, request.text) }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()
        let token = try client.request("POST", "/", body: [0x61], isLast: false)

        // A byte now and then is never idle and yet would hold the stream for ever.
        let slow = "spillway_timeouts_total{kind=\"slow-body\"}"
        try eventually("the edge has had enough", within: .seconds(60)) {
          try client.send([0x61], on: token)
          return try scene.metric(slow) == 1
        }

        let answer = try client.answer(token)
        #expect(answer.status == 408)
        #expect(answer.closed?.code == .noError)
        #expect(try client.exchange().status == 200, "the session goes on")
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a stream whose window stays shut is reset, the others go on`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {bodyIdle: 300ms}")
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, String(repeating: "x", count: request.target == "/" ? 1 : 200_000))
      }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()
        client.reads = false

        let token = try client.request("GET", "/large")
        let answer = try client.answer(token)

        #expect(!answer.isComplete && answer.body.count == 65_536)
        #expect(try scene.metric("spillway_timeouts_total{kind=\"slow-reader\"}") == 1)
        client.reads = true
        #expect(try client.exchange().status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that never reads its socket is cut off`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {bodyIdle: 300ms}")
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(200, String(repeating: "x", count: 8_000_000))
      }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client(receiveBuffer: 4096)
        let window = HTTP2Frames.frame(0x4, 0, 0, [0, 4] + HTTP2Frames.word(1 << 30))
        try client.send(
          HTTP2Frames.preface + window + HTTP2Frames.windowUpdate(0, 1 << 30)
            + HTTP2Frames.headers(1, HTTP2Frames.get)
        )

        try eventually("it runs") { scene.upstream.requests.count == 1 }
        try eventually("it is gone") { try scene.metric("spillway_h2_sessions") == 0 }
        let slow = try scene.metric("spillway_timeouts_total{kind=\"slow-reader\"}")
        #expect(slow == 1)
        try eventually("the upstream was let go") { scene.upstream.openConnections == 0 }
      }
    }
  }
}
