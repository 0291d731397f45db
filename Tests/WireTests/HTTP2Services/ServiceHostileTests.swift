import HTTPCodec
import Testing
import Units

extension WireTests {
  /// Services that break the rules of HTTP/2: the stream or the session ends, and nothing else.
  struct ServiceHostileTests {
    /// What a hostile service sends in answer to the first stream of a connection.
    enum Attack: CaseIterable, Sendable {
      case garbage, push, unknownSettings, settingsFlood, pingFlood, zeroIncrement, windowOverflow
      case noStatus, badStatus, switching, capitalName, connectionField, latePseudo, repeatedLength
      case lineBreak, bodyFirst, trailersFirst, longerBody, shorterBody, emptyFrames, hugeHead
      case hpackBomb, badHuffman, wrongStream, resets, goAway, nothing

      func bytes(_ stream: UInt32) -> [UInt8] {
        typealias Frames = HTTP2Frames
        let end = Frames.endHeaders
        let ok = Frames.headers(stream, [(":status", "200")], flags: end)
        func head(_ lines: [(String, String)]) -> [UInt8] { Frames.headers(stream, lines) }
        switch self {
        case .garbage: return Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)
        case .push: return Frames.frame(0x5, end, stream, Frames.word(2))
        case .unknownSettings: return Frames.frame(0x4, 0, 0, [0, 4, 255, 255, 255, 255])
        case .settingsFlood: return (0..<2_000).flatMap { _ in Frames.frame(0x4, 0, 0) }
        case .pingFlood: return (0..<5_000).flatMap { _ in Frames.ping() }
        case .zeroIncrement: return Frames.windowUpdate(stream, 0)
        case .windowOverflow: return Frames.windowUpdate(stream, 0x7FFF_FFFF)
        case .noStatus: return head([("x-a", "1")])
        case .badStatus: return head([(":status", "2000")])
        case .switching: return head([(":status", "101")])
        case .capitalName: return head([(":status", "200"), ("X-A", "1")])
        case .connectionField: return head([(":status", "200"), ("connection", "close")])
        case .latePseudo: return head([("x-a", "1"), (":status", "200")])
        case .repeatedLength:
          return head([(":status", "200"), ("content-length", "0"), ("content-length", "0")])
        case .lineBreak: return head([(":status", "200"), ("x-a", "1\r\nx-b: 2")])
        case .bodyFirst: return Frames.data(stream, [1, 2, 3])
        case .trailersFirst: return head([("grpc-status", "0")])
        case .longerBody:
          return Frames.headers(stream, [(":status", "200"), ("content-length", "2")], flags: end)
            + Frames.data(stream, [1, 2, 3], flags: Frames.endStream)
        case .shorterBody:
          return Frames.headers(stream, [(":status", "200"), ("content-length", "2")], flags: end)
            + Frames.data(stream, [1], flags: Frames.endStream)
        case .emptyFrames: return ok + (0..<2_000).flatMap { _ in Frames.data(stream, []) }
        case .hugeHead:
          let line = ("x-long", String(repeating: "a", count: 120))
          let lines = Array(repeating: line, count: 100)
          return Frames.headers(stream, [(":status", "200")], flags: 0)
            + (0..<4).flatMap { _ in Frames.continuation(stream, lines) }
        case .hpackBomb:
          // One long line in the table, then a reference to it, one byte each.
          let value = [UInt8](repeating: 97, count: 3_900)
          let entry: [UInt8] = [0x40, 1, 98, 0x7F] + [0xBD, 0x1D] + value
          return Frames.frame(
            0x1,
            end,
            stream,
            [0x88] + entry + [UInt8](repeating: 0xBE, count: 9_000)
          )
        case .badHuffman: return Frames.frame(0x1, end, stream, [0x48, 0x83, 0xFF, 0xFF, 0xFF])
        case .wrongStream: return Frames.headers(stream + 200, [(":status", "200")])
        case .resets: return Frames.reset(stream)
        case .goAway: return Frames.goAway(last: stream, code: 11)
        case .nothing: return []
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `no attack reaches the client or the next request`(backend: Backend) throws {
      let attack = Locked(Attack.nothing)
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        guard request.target == "/attack" else {
          return try peer.respond(request, 200, body: [120])
        }
        peer.isSilent = true
        try peer.raw(attack.withLock { $0 }.bytes(UInt32(request.number)))
        peer.close()
      }
      try Scene.play(backend, h2c: service) { scene in
        for next in Attack.allCases {
          attack.withLock { $0 = next }
          let old = try scene.client()
          let new = try scene.http2()

          try old.send(
            "POST /attack HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
          )
          let rest = String(decoding: try old.rest(), as: UTF8.self)
          let answer = try new.exchange("POST", "/attack", body: [])

          #expect(
            rest.hasPrefix("HTTP/1.1 502 ") || !rest.hasSuffix("0\r\n\r\n"),
            "\(next): \(rest)"
          )
          #expect(!rest.contains("x-b: 2"), "\(next)")
          #expect(answer.status == 502 || !answer.isComplete, "\(next)")
          #expect(try new.exchange("GET", "/after").text == "x", "\(next)")
          old.close()
        }
      }
    }
  }
}
