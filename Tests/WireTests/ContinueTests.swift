import Testing

extension WireTests {
  /// `Expect: 100-continue` and other interim responses, RFC 9110 sections 10.1.1 and 15.2.
  struct ContinueTests {
    private static let head =
      "POST /upload HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n"
      + "Expect: 100-continue\r\n\r\n"

    @Test(arguments: Backend.allCases)
    func `RFC 9110 10.1.1: a client that waits is told to continue and gets its answer`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        try peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        let whole = try peer.readBody(of: request)
        try peer.respond(200, whole.text)
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for _ in 0..<2 {
          try client.send(Self.head)
          #expect(try client.head().status == 100)
          try client.send("hello")
          #expect(try client.response().text == "hello")
        }
        #expect(scene.upstream.acceptedConnections == 1)
        #expect(scene.upstream.requests.map { $0["expect"] } == ["100-continue", "100-continue"])
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that waits for a slow service is not blamed for its silence`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        guard request["expect"] != nil else { return try peer.hang() }
        gate.wait()
        try peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        try peer.respond(200, try peer.readBody(of: request).text)
      }
      let settings = EdgeSettings(listener: "limits: {bodyIdle: 2s}")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let waiting = try scene.client()
        try waiting.send(Self.head)
        try eventually("the service has it") { scene.upstream.requests.count == 1 }
        let silent = try scene.client()
        try silent.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nhe")
        #expect(try silent.response().status == 408, "this one could speak")

        gate.open()

        #expect(try waiting.head().status == 100)
        try waiting.send("hello")
        #expect(try waiting.response().text == "hello")
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream that refuses before the body is heard before the body is sent`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, _ in
        try peer.respond(417, "no", "Connection: close")
        peer.close()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()

        try client.send(Self.head)
        let answer = try client.response()

        #expect(answer.status == 417)
        #expect(answer.text == "no")
        #expect(answer.interim.isEmpty, "the client was told to send a body nobody wants")
        #expect(answer.saysClose, "whether a body follows is unknown, so the connection ends")
        #expect(client.isClosedSilently())
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream that ignores the expectation gets the body when the client sends it`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()

        try client.send(Self.head + "hello")
        let answer = try client.response()

        #expect(answer.text == "/upload")
        #expect(scene.upstream.requests.first?.text == "hello")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a local refusal is heard before the body is sent`(backend: Backend) throws {
      var settings = EdgeSettings(hasDefaultRoute: false)
      settings.routes = [
        "name: other, match: {path: /other}, upstream: {service: backend}, policies: {auth: none}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()

        try client.send(Self.head)
        let answer = try client.response()

        #expect(answer.status == 404)
        #expect(answer.interim.isEmpty)
        #expect(scene.upstream.transcript.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.2: early hints pass to an HTTP/1.1 client, several of them`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        try peer.send("HTTP/1.1 102 Processing\r\n\r\n")
        try peer.respond(200, "done")
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        for _ in 0..<3 {
          let answer = try client.exchange()
          #expect(answer.interim.map(\.status) == [103, 102])
          #expect(answer.interim.first?["link"] == "</a.css>")
          #expect(answer.text == "done")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.2: an HTTP/1.0 client never sees an interim response`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n")
        try peer.respond(200, "done")
      }
      try Scene.play(backend, upstream) { scene in
        let answer = try scene.answer(
          to: "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi"
        )

        #expect(answer.interim.isEmpty)
        #expect(answer.text == "done")
        #expect(scene.upstream.requests.first?["expect"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `interim responses without end do not keep an exchange alive`(backend: Backend) throws {
      let settings = EdgeSettings(policies: "timeoutMs: 500")
      try Scene.play(backend, Self.hinting(), settings: settings) { scene in
        let client = try scene.client()
        try client.request()

        let answer = try client.response()
        #expect([502, 504].contains(answer.status))
      }
    }

    @Test(arguments: Backend.allCases)
    func `interim responses that nobody reads do not fill the buffers`(backend: Backend) throws {
      let settings = EdgeSettings(policies: "timeoutMs: 20000")
      try Scene.play(backend, Self.hinting(), settings: settings) { scene in
        let client = try scene.client(receiveBuffer: 4096)
        try client.request()

        var most = 0.0
        try eventually("the upstream is stopped") {
          let before = scene.upstream.sentBytes
          most = max(most, try scene.metric("spillway_buffer_blocks{state=\"used\"}"))
          return try before > 0 && settledBriefly(scene) == before
        }
        #expect(most <= 64, "one exchange held \(most) blocks")
        client.reset()
      }
    }

    /// Bytes that the upstream has sent once it has been quiet for a while.
    private func settledBriefly(_ scene: Scene) throws -> Int {
      try settled("the upstream waits") { scene.upstream.sentBytes }
    }

    /// Never answers, but hints without end.
    private static func hinting() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in
        let hints = String(repeating: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", count: 100)
        while true { try peer.send(hints) }
      }
    }
  }
}
