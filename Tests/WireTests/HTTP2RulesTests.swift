import Testing

extension WireTests {
  /// The rules of RFC 9113 and RFC 7541, broken one by one: the code that answers, and how far it
  /// reaches.
  ///
  /// The list follows h2spec's groups generic, http2 and hpack, and adds what RFC 9113 made
  /// stricter.
  struct HTTP2RulesTests {
    @Test(arguments: Backend.allCases)
    func `an error of the connection ends it with the code that the RFC demands`(
      backend: Backend
    ) throws {
      try play(backend, HTTP2Rule.ofConnection)
    }

    @Test(arguments: Backend.allCases)
    func `an error of a stream resets it, or ends the connection with the same code`(
      backend: Backend
    ) throws {
      try play(backend, HTTP2Rule.ofStreams)
    }

    @Test(arguments: Backend.allCases)
    func `a malformed request is reset and never passed on`(backend: Backend) throws {
      try play(backend, HTTP2Rule.ofMessages)
    }

    @Test(arguments: Backend.allCases)
    func `a field section that cannot be decoded ends the connection`(backend: Backend) throws {
      try play(backend, HTTP2Rule.ofCompression)
    }

    @Test(arguments: Backend.allCases)
    func `what is allowed, or to be passed over, harms nothing`(backend: Backend) throws {
      try play(backend, HTTP2Rule.allowed)
    }

    private func play(_ backend: Backend, _ rules: [HTTP2Rule]) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard request.target == "/" else { return try peer.respond(200, "forbidden") }
        try peer.respond(200, "ok")
      }
      try Scene.play(backend, upstream) { scene in
        for rule in rules { try play(rule, scene) }
        #expect(!scene.upstream.transcript.contains("forbidden"), "nothing malformed is passed on")
        let other = try scene.http2()
        #expect(try other.exchange("GET", "/").text == "ok")
      }
    }

    private func play(_ rule: HTTP2Rule, _ scene: Scene) throws {
      let client = try scene.client()
      defer { client.close() }
      client.trySend((rule.hasHello ? HTTP2Rule.hello : []) + rule.bytes)
      switch rule.answer {
      case .connection(let code), .either(_, let code):
        let bytes = (try? client.rest()) ?? []
        #expect(HTTP2Frames.goAway(in: bytes) == code, "\(rule)")
        // Section 3.4: whatever ended it, SETTINGS come first.
        #expect(HTTP2Frames.parse(bytes).first?.kind == 0x4, "\(rule)")
      case .closed:
        #expect(throws: Never.self, "\(rule)") { try client.rest() }
      case .stream(let stream, let code):
        let bytes = try untilPong(client)
        #expect(HTTP2Frames.reset(of: stream, in: bytes) == code, "\(rule)")
        #expect(HTTP2Frames.goAway(in: bytes) == nil, "\(rule)")
      case .none:
        let bytes = try untilPong(client)
        #expect(!HTTP2Frames.parse(bytes).contains { $0.kind == 0x3 || $0.kind == 0x7 }, "\(rule)")
      }
    }

    /// What came until a request behind all that was answered, or the end.
    private func untilPong(_ client: RawClient) throws -> [UInt8] {
      client.trySend(HTTP2Frames.headers(HTTP2Rule.last, HTTP2Frames.get))
      var bytes: [UInt8] = []
      while !HTTP2Frames.parse(bytes).contains(where: {
        $0.stream == HTTP2Rule.last && $0.flags & 1 == 1
      }) {
        let more = try client.some()
        guard !more.isEmpty else { break }
        bytes += more
      }
      return bytes
    }
  }
}
