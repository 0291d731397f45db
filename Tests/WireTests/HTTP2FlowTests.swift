import Glibc
import HTTPCodec
import Testing

extension WireTests {
  /// Bodies over HTTP/2: whole in both directions, and bounded where one side does not go on.
  struct HTTP2FlowTests {
    private static let part = [UInt8]((0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 31) })

    private static func parts(_ count: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(count * part.count)
      for _ in 0..<count { bytes.append(contentsOf: part) }
      return bytes
    }

    /// Blocks that one stream may hold: the watermark, what comes beyond it, windows and heads.
    private static let blockBound = 20.0

    private static func isWhole(_ bytes: [UInt8], _ parts: Int) -> Bool {
      guard bytes.count == parts * part.count else { return false }
      return bytes.withUnsafeBytes { all in
        part.withUnsafeBytes { part in
          guard let base = all.baseAddress, let pattern = part.baseAddress else { return false }
          return (0..<parts).allSatisfy { memcmp(base + $0 * part.count, pattern, part.count) == 0 }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `large bodies arrive whole in both directions`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        let length = request.body.count
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n")
        try peer.send(request.body)
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()
        let body = Self.parts(64)

        let known = try client.request(
          "POST",
          "/",
          [("content-length", "\(body.count)")],
          body: body
        )
        let unknown = try client.request("POST", "/", body: body)

        #expect(Self.isWhole(try client.answer(known, within: .seconds(60)).body, 64))
        #expect(Self.isWhole(try client.answer(unknown, within: .seconds(60)).body, 64))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a stream that is not read stops its upstream and no other stream`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard request.target == "/large" else { return try peer.respond(200, "small") }
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(400 * Self.part.count)\r\n\r\n")
        for _ in 0..<400 { try peer.send(Self.part) }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()
        client.reads = false
        let large = try client.request("GET", "/large")
        try client.wait("a full window") { ($0.answers[large]?.body.count ?? 0) >= 65_535 }

        let sent = try settled("the upstream waits") { scene.upstream.sentBytes }
        #expect(sent < 20 << 20, "\(sent) bytes went somewhere")
        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks <= Self.blockBound)
        #expect(try client.exchange("GET", "/small").text == "small")

        try client.readOn()
        let answer = try client.answer(large, within: .seconds(60))
        #expect(Self.isWhole(answer.body, 400))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that does not read stops one stream and no other`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        guard request.method == "POST" else { return try peer.respond(200, "small") }
        gate.wait()
        let whole = try peer.readBody(of: request)
        try peer.respond(200, Self.isWhole(whole.body, 400) ? "whole" : "broken")
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()
        let body = Self.parts(400)
        let large = try client.request("POST", "/", body: body)

        var sent = -1
        while sent != client.sent(large) {
          sent = client.sent(large)
          while try client.socket.wait(for: Int32(POLLIN), by: Deadline(after: .milliseconds(500)))
          { guard try client.turn() else { throw WireFailure("the edge ended the connection") } }
        }
        #expect(sent < body.count / 2, "\(sent) bytes went somewhere")
        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks <= Self.blockBound)
        #expect(try client.exchange("GET", "/").text == "small")

        gate.open()
        #expect(try client.answer(large, within: .seconds(60)).text == "whole")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that does not read its socket holds bounded memory`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(200, String(repeating: "x", count: 60_000))
      }
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2(receiveBuffer: 4096)
        for _ in 0..<100 { try client.request() }

        try eventually("all were asked") { scene.upstream.requests.count == 100 }
        let blocks = try settled("memory") {
          try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        }
        #expect(blocks <= 100 * 4)
        client.close()
        try eventually("the upstream was let go") { scene.upstream.openConnections <= 100 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that opens no window for any of its streams holds bounded memory`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(1 << 20)\r\n\r\n")
        for _ in 0..<16 { try peer.send(Self.part) }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        let window = HTTP2Frames.frame(0x4, 0, 0, [0, 4] + HTTP2Frames.word(0))
        var bytes = HTTP2Frames.preface + window
        for number in 0..<100 {
          bytes += HTTP2Frames.headers(UInt32(2 * number + 1), HTTP2Frames.get)
        }
        try client.send(bytes)

        try eventually("all are asked for") { scene.upstream.requests.count == 100 }
        _ = try settled("the upstream waits") { scene.upstream.sentBytes }
        // A request's head and a read or two for each, and what the session may queue: below 8 MiB.
        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks < 512, "\(blocks)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body of unknown length has the same bound as any`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {bodyBytes: 100000}")
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        if request.method == "GET" { return try peer.respond(200, "ok") }
        try peer.readBody(of: request)
      }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()

        let answer = try client.answer(client.request("POST", "/", body: Self.parts(4)))

        #expect(answer.status == 413)
        #expect(try client.exchange().text == "ok")
        #expect(!scene.upstream.requests[0].isComplete)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9113 8.1: a reply before the end of its request ends both`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, _ in
        try peer.respond(200, "early", "Connection: close")
        try peer.hang()
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.http2()

        let token = try client.request("POST", "/", body: [0x61], isLast: false)
        let answer = try client.answer(token)

        #expect(answer.text == "early")
        #expect(answer.isComplete && answer.closed?.code == .noError)
        #expect(answer.closed?.isSent == false)
        #expect(try client.answer(client.request()).status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `small answers that a client opens no window for share blocks`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, "answer of \(request.target)")
      }
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        let ids = (0..<100).map { UInt32($0 * 2 + 1) }
        var bytes = HTTP2Frames.preface
        bytes += HTTP2Frames.frame(0x4, 0, 0, [0, 4] + HTTP2Frames.word(0))
        bytes += HTTP2Frames.frame(0x4, HTTP2Frames.acknowledgement, 0)
        for id in ids { bytes += HTTP2Frames.headers(id, HTTP2Frames.get) }
        try client.send(bytes)
        var received: [UInt8] = []
        func count(_ kind: UInt8) -> Int {
          HTTP2Frames.parse(received).count { $0.kind == kind && $0.stream > 0 }
        }
        while count(0x1) < ids.count { received += try client.some() }
        #expect(count(0x0) == 0, "there is no window for bodies")

        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks <= 20, "\(blocks) blocks are held")

        try client.send(HTTP2Frames.frame(0x4, 0, 0, [0, 4] + HTTP2Frames.word(65_535)))
        while count(0x0) < ids.count { received += try client.some() }
        let bodies = HTTP2Frames.parse(received).filter { $0.kind == 0x0 }.map(\.payload)
        #expect(bodies.allSatisfy { $0 == Array("answer of /".utf8) })
      }
    }
  }
}
