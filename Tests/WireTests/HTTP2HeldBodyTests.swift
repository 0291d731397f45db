import Foundation
import Testing

extension WireTests {
  /// Clients that ask for bodies and open no window for them: what each may hold, and who pays when
  /// there are many (CVE-2019-9517).
  struct HTTP2HeldBodyTests {
    private static let large = [UInt8](repeating: 0x78, count: 1 << 20)

    /// SETTINGS_INITIAL_WINDOW_SIZE of 0, and requests for `/large`.
    private static func asking(_ count: Int, named name: String = "/large") -> [UInt8] {
      var bytes = HTTP2Frames.preface + HTTP2Frames.frame(0x4, 0, 0, [0, 4] + HTTP2Frames.word(0))
      bytes += HTTP2Frames.frame(0x4, HTTP2Frames.acknowledgement, 0)
      let fields = HTTP2Frames.get.dropLast() + [(":path", name)]
      for number in 0..<count {
        bytes += HTTP2Frames.headers(UInt32(2 * number + 1), Array(fields))
      }
      return bytes
    }

    private static func service() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in
        guard request.target.hasPrefix("/large") else { return try peer.respond(200, "small") }
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(large.count)\r\n\r\n")
        try peer.send(large)
      }
    }

    /// What a session queues before each stream waits for its own, a read for each of its streams, and
    /// some that are on their way or shared: 2.5 MiB.
    private static let mostBlocks = 160.0

    @Test(arguments: Backend.allCases)
    func `a connection with a hundred shut windows holds no more than its bodies`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, Self.service(), settings: settings) { scene in
        let client = try scene.client()
        try client.send(Self.asking(100))

        try eventually("all are asked for") { scene.upstream.requests.count == 100 }
        let used = "spillway_buffer_blocks{state=\"used\"}"
        _ = try settled("the upstream waits") { scene.upstream.sentBytes }
        let blocks = try scene.metric(used)
        #expect(blocks <= Self.mostBlocks, "\(blocks)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request whose body waits is logged with its names`(backend: Backend) throws {
      let path = NSTemporaryDirectory() + "spillway-held-\(UUID().uuidString).log"
      defer { try? FileManager.default.removeItem(atPath: path) }
      let settings = EdgeSettings(accessLog: "\"file:\(path)\"")
      try Scene.play(backend, Self.service(), settings: settings) { scene in
        let client = try scene.http2()
        client.reads = false
        let token = try client.request("GET", "/large/one?x=1")
        try client.wait("a full window") { ($0.answers[token]?.body.count ?? 0) >= 65_535 }
        _ = try settled("the upstream waits") { scene.upstream.sentBytes }
        try client.readOn()
        #expect(try client.answer(token).body.count == Self.large.count)

        let seen = try #require(scene.upstream.requests.last?["x-request-id"])
        var line = ""
        try eventually("it is logged") {
          line = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return line.hasSuffix("\n")
        }
        #expect(line.contains("\"method\":\"GET\""), "\(line)")
        #expect(line.contains("\"path\":\"/large/one\""), "\(line)")
        #expect(line.contains("\"requestId\":\"\(seen)\""), "\(line)")
        #expect(line.contains("\"status\":200"), "\(line)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `where many hold bodies those who hold most are ended, and others are served`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.service(), blocks: 1_024) { scene in
        let polite = try scene.client()
        let reading = try scene.http2()
        let ended = "spillway_h2_connection_errors_total{reason=\"held-bodies\"}"
        var asked = 0
        func ask(_ count: Int) throws -> RawClient {
          let client = try scene.client()
          try client.send(Self.asking(count))
          asked += count
          try eventually("all are asked for") {
            scene.upstream.requests.count { $0.target == "/large" } == asked
          }
          for _ in 0..<3 {
            let answer = try polite.exchange("GET", "/small")
            #expect(answer.status == 200, "\(answer)")
          }
          #expect(try reading.exchange("GET", "/small").text == "small")
          return client
        }
        // The first holds most, some 80 blocks; each of the others 30 to 40, so that without an end to
        // it they would take all.
        let first = try ask(60)
        for _ in 0..<40 { _ = try ask(8) }

        try eventually("some are ended") { try scene.metric(ended) > 0 }
        #expect(HTTP2Frames.goAway(in: try first.rest()) == 0xB, "who holds most goes first")
        #expect(try scene.metric("spillway_buffer_blocks{state=\"free\"}") > 0)
        #expect(try reading.exchange("GET", "/small").text == "small")
      }
    }
  }
}
