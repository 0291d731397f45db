import Testing

extension WireTests {
  /// Bodies over HTTP/2 that come in small pieces: what they hold, and that nothing of them is lost.
  @Suite(.serialized) struct HTTP2PieceTests {
    @Test(arguments: Backend.allCases)
    func `a body of single bytes needs no place for each of them`(backend: Backend) throws {
      let length = 1_500
      let body = (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
      // Of places in queues there are four for each block.
      try Scene.play(backend, .echo(), settings: EdgeSettings().withoutAdmission, blocks: 128) {
        scene in
        let client = try scene.client()
        try client.send(
          HTTP2Frames.hello + HTTP2Frames.frame(0x4, HTTP2Frames.acknowledgement, 0)
            + HTTP2Frames.headers(
              1,
              HTTP2Frames.post + [("content-length", "\(length)")],
              flags: HTTP2Frames.endHeaders
            )
        )
        try eventually("the service has the head") { scene.upstream.requests.count == 1 }
        var frames: [UInt8] = []
        for (place, byte) in body.enumerated() {
          let isLast = place == length - 1
          frames += HTTP2Frames.data(1, [byte], flags: isLast ? HTTP2Frames.endStream : 0)
        }
        try client.send(frames)

        try eventually("it has all of it") { scene.upstream.requests[0].isComplete }
        #expect(scene.upstream.requests[0].body == body)
        let lacking = try scene.metric("spillway_buffer_exhaustions_total{kind=\"segments\"}")
        #expect(lacking == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies that wait for their service in shared blocks come out as they went in`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        gate.wait()
        try peer.respond(200, request.text)
      }
      try Scene.play(backend, upstream, settings: AdmissionScene.settings(limit: 1)) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        var tokens = [try client.request("GET", "/critical")]
        try eventually("one is at the service") { upstream.requests.count == 1 }
        // More than a block of them: it is left for another one while bodies lie in it.
        var bodies: [[UInt8]] = [[]]
        for number in 0..<12 {
          bodies.append((0..<4_000).map { UInt8(ascii: "a") + UInt8(($0 / 7 + number) % 26) })
          tokens.append(try client.request("POST", "/critical", body: bodies[number + 1]))
        }
        try eventually("all others wait") {
          try scene.metrics().sum("spillway_queue_depth") == 12
        }

        gate.open()

        for (token, body) in zip(tokens, bodies) {
          let answer = try client.answer(token)
          #expect(answer.status == 200)
          #expect(answer.body == body)
        }
        try eventually("nothing is held") {
          try scene.metric("spillway_buffer_blocks{state=\"used\"}") == 0
        }
      }
    }
  }
}
