import CLinux
import Glibc
import Testing

extension WireTests {
  /// Peers that read slowly or not at all: memory stays bounded and every byte arrives.
  struct BackpressureTests {
    private static let part = [UInt8]((0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    private static let parts = 800

    /// Blocks of 16 KiB that one exchange may hold: the high watermark each way and the heads.
    private static let blockBound = 16.0

    private static func bytesAreWhole(_ bytes: [UInt8]) -> Bool {
      guard bytes.count == parts * part.count else { return false }
      return bytes.withUnsafeBytes { all in
        part.withUnsafeBytes { part in
          guard let base = all.baseAddress, let pattern = part.baseAddress else { return false }
          return (0..<parts).allSatisfy { memcmp(base + $0 * part.count, pattern, part.count) == 0 }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that does not read a 50 MiB response stops its upstream`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(Self.parts * Self.part.count)\r\n\r\n")
        for _ in 0..<Self.parts { try peer.send(Self.part) }
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client(receiveBuffer: 65_536)
        try client.request()
        var answer = try client.head()

        let sent = try settled("the upstream waits") { scene.upstream.sentBytes }
        #expect(sent < 30 << 20, "\(sent) bytes went somewhere")
        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks <= Self.blockBound)

        try client.readBody(of: &answer, within: .seconds(30))
        #expect(answer.isComplete)
        #expect(Self.bytesAreWhole(answer.body))
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upstream that does not read a 50 MiB request stops its client`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        gate.wait()
        let whole = try peer.readBody(of: request)
        try peer.respond(200, Self.bytesAreWhole(whole.body) ? "whole" : "broken")
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        let size = Self.parts * Self.part.count
        try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: \(size)\r\n\r\n")
        var sent = 0
        while sent < Self.parts {
          // A send that runs out of time may have sent half, so room is awaited first.
          guard try client.socket.wait(for: Int32(POLLOUT), by: Deadline(after: .milliseconds(500)))
          else { break }
          sent += 1
          client.sendInBackground(Self.part)
        }
        #expect(sent < Self.parts / 2, "\(sent) parts went somewhere")
        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks <= Self.blockBound)

        gate.open()
        try client.flush()
        for _ in sent..<Self.parts { try client.send(Self.part) }
        #expect(try client.response(within: .seconds(30)).text == "whole")
      }
    }

    @Test(arguments: Backend.allCases)
    func `many clients that do not read share a bounded pool`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(Self.parts * Self.part.count)\r\n\r\n")
        for _ in 0..<Self.parts { try peer.send(Self.part) }
      }
      try Scene.play(backend, upstream) { scene in
        for _ in 0..<20 {
          let client = try scene.client(receiveBuffer: 4096)
          try client.request()
          _ = try client.head()
        }
        _ = try settled("the upstream waits") { scene.upstream.sentBytes }
        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks <= 20 * Self.blockBound)

        scene.closeClients()
        try eventually("the upstream was let go") { scene.upstream.openConnections == 0 }
      }
    }

    /// Pipelines without reading until nobody takes more, and returns the most blocks seen.
    private func pipelineWithoutReading(_ scene: Scene, _ path: String) throws -> Double {
      let client = try scene.client(receiveBuffer: 4096)
      let request = "GET \(path) HTTP/1.1\r\nHost: edge.test\r\n\r\n"
      let batch = Array(String(repeating: request, count: 100).utf8)
      var most = 0.0
      for _ in 0..<500 {
        let limit = Deadline(after: .milliseconds(500))
        guard try client.socket.wait(for: Int32(POLLOUT), by: limit) else { return most }
        client.sendInBackground(batch)
        most = max(most, try scene.metric("spillway_buffer_blocks{state=\"used\"}"))
      }
      // The kernel's own socket buffers may take all of it; the blocks tell what the edge took.
      return most
    }

    @Test(arguments: Backend.allCases)
    func `a client that pipelines without reading is not served without bound`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(200, String(repeating: "x", count: 10_000))
      }
      var settings = EdgeSettings()
      settings.routes = [
        "name: local, match: {path: /local}, respond: {status: 200, body: x}, "
          + "policies: {auth: none}"
      ]
      try Scene.play(backend, upstream, settings: settings) { scene in
        for path in ["/proxied", "/local"] {
          let most = try pipelineWithoutReading(scene, path)
          #expect(most <= 2 * Self.blockBound, "\(path) held \(most) blocks")
          scene.closeClients()
        }
      }
    }
  }
}

extension RawClient {
  /// Sends what the kernel takes at once; the rest waits for `flush`.
  func sendInBackground(_ bytes: [UInt8]) {
    unsent.append(contentsOf: bytes)
    let taken = unsent.withUnsafeBytes { buffer in
      Glibc.send(socket.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
    }
    if taken > 0 { unsent.removeFirst(taken) }
  }

  /// Sends what `sendInBackground` had to leave.
  func flush() throws {
    try send(unsent, within: .seconds(30))
    unsent = []
  }
}
