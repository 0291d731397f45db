import HTTPCodec
import Testing
import Units

/// Conversations with bytes changed at random, from a fixed seed.
///
/// Nothing may trap, no stream may be lost, and what is delivered must be what the parser of
/// HTTP/1.1 makes of the head: nothing can be smuggled through the translation.
struct H2MutationTests {
  @Test func `a server withstands changed bytes`() {
    var random = SplitMix64(seed: 0x5EED_0001)
    let original = Self.clientBytes()
    var delivered = 0
    for _ in 0..<3_000 {
      let server = H2Peer(isServer: true, H2Settings(allowsConnect: true), streams: 200)
      server.pieces = Int.random(in: 1...400, using: &random)
      server.receive(Self.mutated(original, &random))
      for (_, request) in server.requests {
        Self.check(request)
        delivered += 1
      }
      answer(server, &random)
      #expect(server.workspace.streamCount <= 100)
    }
    #expect(delivered > 3_000, "the changes leave enough to look at")
  }

  @Test func `a client withstands changed bytes`() {
    var random = SplitMix64(seed: 0x5EED_0002)
    let original = Self.serverBytes()
    for _ in 0..<3_000 {
      let client = H2Peer(isServer: false, streams: 200)
      for index in 0..<8 { _ = client.request(index == 7 ? "HEAD" : "GET") }
      _ = client.send()
      client.pieces = Int.random(in: 1...400, using: &random)
      client.receive(Self.mutated(original, &random))
      _ = client.send()
      #expect(client.workspace.streamCount <= 8)
    }
  }

  private func answer(_ server: H2Peer, _ random: inout SplitMix64) {
    for id in server.indices.keys.sorted() {
      switch Int.random(in: 0..<3, using: &random) {
      case 0: server.respond(id, 200)
      case 1:
        server.respond(id, 200, [], ends: false)
        offer(server, id, "body", .last)
      default: server.session.reset(stream(server, id), .cancel)
      }
    }
    _ = server.send()
  }

  /// Holds a delivered head against `RequestParser`.
  private static func check(_ request: H2RequestCopy) {
    let parsed = ParsedRequest(request.bytes, limits: HeadLimits(maximumFields: 200))
    #expect(parsed.outcome == .complete)
    #expect(parsed.pairs == request.lines)
    #expect(parsed.path == request.path)
    #expect(parsed.authority == request.authority)
    #expect(parsed.head.method == request.head.method)
    #expect(parsed.head.contentLength == request.head.contentLength)
    #expect(parsed.head.headLength == request.head.headLength)
    #expect(parsed.head.fieldsStart == request.head.fieldsStart)
    #expect(!parsed.head.isChunked && !parsed.head.wantsUpgrade)
  }

  private static func mutated(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      // The preface is left alone, as changes to it end the matter at once.
      let at = Int.random(in: 24..<bytes.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.remove(at: at)
      default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
      }
    }
    return bytes
  }

  private static func clientBytes() -> [UInt8] {
    let client = H2Peer(isServer: false)
    for index in 0..<6 {
      let lines = [("cookie", "a=\(index)"), ("accept", "*/*"), ("cookie", "b=c")]
      let id = client.request(
        index.isMultiple(of: 2) ? "GET" : "POST",
        "/a?\(index)",
        lines,
        ends: false
      )
      offer(client, id, "some bytes of a body", .last)
    }
    let raw = H2Frames.headers(
      101,
      H2Frames.post + [("content-length", "3"), ("te", "trailers"), ("host", "a")],
      flags: H2Frames.endHeaders
    )
    return client.send() + raw + H2Frames.data(101, [1, 2, 3])
      + H2Frames.headers(101, [("x-a", "b")]) + H2Frames.ping() + H2Frames.windowUpdate(0, 100)
      + H2Frames.frame(0x10, 0, 0, H2Frames.word(1) + Array("u=1".utf8))
  }

  private static func serverBytes() -> [UInt8] {
    let client = H2Peer(isServer: false)
    let server = H2Peer(isServer: true)
    for index in 0..<8 { _ = client.request(index == 7 ? "HEAD" : "GET") }
    server.receive(client.send())
    for id in server.indices.keys.sorted() {
      inform(server, id, 103)
      server.respond(id, 200, [("server", "x"), ("x-a", "\(id)")], ends: false)
      if id != 15 { offer(server, id, "some bytes of a body", .last) }
    }
    return server.send() + H2Frames.frame(0x7, 0, 0, H2Frames.word(9) + H2Frames.word(0))
  }
}
