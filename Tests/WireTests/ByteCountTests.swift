import Glibc
import HTTPCodec
import TLS
import Testing

extension WireTests {
  /// Bytes on connections that become something else meanwhile: each is counted once.
  struct ByteCountTests {
    private static func bytes(
      _ scene: Scene,
      _ side: String,
      _ direction: String
    ) throws -> Double {
      try scene.metric("spillway_bytes_total{side=\"\(side)\",direction=\"\(direction)\"}")
    }

    @Test(arguments: Backend.allCases)
    func `a connection that turns out to speak HTTP/2 is counted once`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        // At once, and so that the preface comes in two.
        for split in [0, 10] {
          let before = (
            try Self.bytes(scene, "downstream", "in"), try Self.bytes(scene, "downstream", "out")
          )
          let client = try scene.client()
          let bytes =
            HTTP2Frames.hello + HTTP2Frames.frame(0x4, HTTP2Frames.acknowledgement, 0)
            + HTTP2Frames.headers(1, HTTP2Frames.get)
          try client.dribble(String(decoding: bytes[..<split], as: UTF8.self))
          try client.send(Array(bytes[split...]))
          var received: [UInt8] = []
          func isAnswered() -> Bool {
            HTTP2Frames.parse(received).contains { $0.stream == 1 && $0.flags & 1 == 1 }
          }
          while !isAnswered() { received += try client.some() }

          try eventually("they are counted") {
            try Self.bytes(scene, "downstream", "in") - before.0 == Double(bytes.count)
              && Self.bytes(scene, "downstream", "out") - before.1 == Double(received.count)
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `what lies behind a prelude is counted once, in clear and within TLS`(
      backend: Backend
    ) throws {
      let request = "GET /p HTTP/1.1\r\nHost: edge.test\r\n\r\n"
      let prelude = Prelude.line("192.0.2.7")
      let expected = Double(prelude.count + request.utf8.count)
      let listener = "proxyProtocol: required, trustedProxies: [127.0.0.1/32]"
      try Scene.play(backend, .echoingTarget(), settings: EdgeSettings(listener: listener)) {
        scene in
        let client = try scene.client()
        try client.send(prelude + Array(request.utf8))
        #expect(try client.response().status == 200)
        #expect(try Self.bytes(scene, "downstream", "in") == expected)
        // One that is refused has sent its bytes all the same.
        let refused = try scene.client()
        refused.trySend("nonsense\r\n")
        _ = refused.isClosedSilently()
        #expect(try Self.bytes(scene, "downstream", "in") == expected + 10)
      }
      try Scene.play(backend, .echoingTarget(), settings: .secure(listener: listener)) { scene in
        let (client, _) = try scene.secureClient(prelude: prelude)
        try client.send(request)
        #expect(try client.response().status == 200)
        #expect(try Self.bytes(scene, "downstream", "in") == expected)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request that waited for the service's choice is counted once`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echo()
      let front = try TLSFront(http1: upstream)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, speaks: "auto")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        try client.post("/one", "body")
        #expect(try client.response().text == "POST /one body")

        try eventually("they are counted") {
          let sent = scene.upstream.transcript.utf8.count
          return try Self.bytes(scene, "upstream", "out") == Double(sent)
            && Self.bytes(scene, "upstream", "in") == Double(scene.upstream.sentBytes)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies over HTTP/2 to a service are counted with their frames`(backend: Backend) throws {
      let mebibyte = [UInt8](repeating: 0x78, count: 1 << 20)
      let service = try HTTP2Upstream { peer, request, moment in
        if moment == .end { try peer.respond(request, 200, body: request.body) }
      }
      try Scene.play(backend, h2c: service) { scene in
        let client = try scene.http2()
        let answer = try client.answer(
          client.request("POST", "/", body: mebibyte),
          within: .seconds(60)
        )
        #expect(answer.body.count == mebibyte.count)

        for direction in ["in", "out"] {
          let count = try Self.bytes(scene, "upstream", direction)
          #expect(count > Double(mebibyte.count) && count < 1.1 * Double(mebibyte.count))
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `of a client at fault little is read behind the frame that ended it`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        let ping = HTTP2Frames.ping()
        var flood = HTTP2Frames.hello + HTTP2Frames.frame(0x6, 0, 0, [1])
        for _ in 0..<400_000 { flood += ping }
        _ = client.trySend(flood)

        let code = HTTP2Frames.goAway(in: try client.rest())
        // What breaks a rule may overdo it, too, before the answer to it is written.
        if client.end == .finished {
          #expect(code == 6 || code == 0xB, "\(String(describing: code))")
        }
        try eventually("it is gone") { try scene.metric("spillway_h2_sessions") == 0 }
        let count = try Self.bytes(scene, "downstream", "in")
        #expect(count < 1_000_000, "\(count) of \(flood.count) bytes were read")
      }
    }
  }
}
