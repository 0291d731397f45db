import Foundation
import Testing
import Units

extension WireTests {
  /// PROXY preludes towards services.
  struct ServicePreludeTests {
    /// A service in clear that takes a prelude and answers each request with the target.
    private final class Service: Sendable {
      let port: UInt16
      private let listener: Socket
      private let seen = Locked<[[UInt8]]>([])

      init() throws {
        let listener = try Socket.listening()
        self.listener = listener
        port = listener.localPort
        Thread.detachNewThread { [self] in
          while let peer = (try? listener.accepted(by: Deadline(after: .seconds(60)))) ?? nil {
            Thread.detachNewThread { self.serve(peer) }
          }
          listener.close()
        }
      }

      var preludes: [[UInt8]] { seen.withLock { $0 } }

      func stop() { listener.interrupt() }

      private func serve(_ peer: Socket) {
        defer { peer.close() }
        let prelude = SentPrelude.take(from: peer)
        seen.withLock { $0.append(prelude) }
        let stream = ByteStream(peer)
        while let head = (try? stream.head(by: Deadline(after: .seconds(30)))) ?? nil {
          let target = head.startLine.split(separator: " ")[1]
          let text = "HTTP/1.1 200 OK\r\nContent-Length: \(target.utf8.count)\r\n\r\n\(target)"
          guard (try? peer.send(Array(text.utf8), by: Deadline())) != nil else { return }
        }
      }
    }

    private static func port(_ client: RawClient) -> UInt16 { client.socket.localPort }

    private static func isBinary(_ bytes: [UInt8], from: UInt16, to: UInt16) -> Bool {
      let start: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12,
        127, 0, 0, 1, 127, 0, 0, 1,
      ]
      let ports = [from, to].flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] }
      return bytes == start + ports
    }

    @Test(arguments: Backend.allCases)
    func `each connection begins with the client's address, and serves that client only`(
      backend: Backend
    ) throws {
      let service = try Service()
      defer { service.stop() }
      let settings = EdgeSettings(
        endpoints: ["127.0.0.1:\(service.port)"],
        service: "proxyProtocol: v1"
      )
      try Scene.play(backend, try .echoingTarget(), settings: settings) { scene in
        let edge = try scene.edge.port("public")
        let clients = try [scene.client(), scene.client()]
        for client in clients {
          #expect(try client.exchange("GET", "/a").text == "/a")
          #expect(try client.exchange("GET", "/b").text == "/b")
        }
        let wanted = clients.flatMap { client in
          let line = "PROXY TCP4 127.0.0.1 127.0.0.1 \(Self.port(client)) \(edge)\r\n"
          return [line, line]
        }
        #expect(service.preludes.map { String(decoding: $0, as: UTF8.self) } == wanted)
        #expect(try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") == 0)

        try scene.reload { $0.service = "proxyProtocol: v2" }
        let client = try scene.client()
        try eventually("version 2 is in effect") {
          let answer = try client.exchange("GET", "/c")
          #expect(answer.text == "/c")
          return service.preludes.last?.first == 0x0D
        }
        let last = try #require(service.preludes.last)
        #expect(Self.isBinary(last, from: Self.port(client), to: edge))
      }
    }

    @Test(arguments: Backend.allCases)
    func `the prelude stands before TLS, and speaks of streams and TLS clients too`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream) { $0.takesPrelude = true }
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, more: "proxyProtocol: v2")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let edge = try scene.edge.port("public")
        let client = try scene.client()
        #expect(try client.exchange("GET", "/a").text == "/a")
        let first = try #require(front.preludes.first)
        #expect(Self.isBinary(first, from: Self.port(client), to: edge))

        #expect(try scene.http2().exchange("GET", "/b").text == "/b")
        #expect(front.preludes.count == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client without an address is said to be unknown`(backend: Backend) throws {
      let service = try Service()
      defer { service.stop() }
      let path = NSTemporaryDirectory() + "spillway-prelude-\(UUID().uuidString).sock"
      defer { unlink(path) }
      let settings = EdgeSettings(
        listeners: ["name: local, address: \"unix:\(path)\""],
        endpoints: ["127.0.0.1:\(service.port)"],
        service: "proxyProtocol: v1"
      )
      try Scene.play(backend, try .echoingTarget(), settings: settings) { scene in
        let client = scene.adopt(RawClient(try Socket.connected(toPath: path)))
        #expect(try client.exchange("GET", "/a").text == "/a")
        #expect(
          service.preludes.map { String(decoding: $0, as: UTF8.self) } == ["PROXY UNKNOWN\r\n"]
        )
      }
    }
  }
}
