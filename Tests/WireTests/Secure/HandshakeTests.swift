import Edge
import Foundation
import Synchronization
import TLS
import Testing
import Units

extension WireTests {
  /// Handshakes: what is agreed on, who is let in, and what those cost that go nowhere.
  struct HandshakeTests {
    private static func failures(_ scene: Scene, _ reason: String) throws -> Double {
      try scene.metric("spillway_tls_handshake_failures_total{reason=\"\(reason)\"}")
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9113 3.2: ALPN chooses HTTP/2`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let context = try WireAuthority.shared.client([.http2, .http1])
        let (client, tunnel) = try scene.secureClient(context)
        let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
        // GET, /, https, authority "a"; the end of the headers and of the stream.
        let request: [UInt8] = [0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x87, 0x41, 1, 0x61]
        try client.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + settings + request)

        var bytes: [UInt8] = []
        let deadline = Deadline()
        func answer() -> (head: [UInt8], data: [UInt8])? {
          var frames: [UInt8: [UInt8]] = [:]
          var at = 0
          while at + 9 <= bytes.count {
            let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
            guard at + 9 + length <= bytes.count else { break }
            frames[bytes[at + 3], default: []] += bytes[(at + 9)..<(at + 9 + length)]
            at += 9 + length
          }
          guard let head = frames[1], let data = frames[0] else { return nil }
          return (head, data)
        }
        while answer() == nil, !deadline.hasPassed { bytes += try client.some() }

        let found = try #require(answer())
        #expect(found.head.first == 0x88, "no status 200")
        #expect(String(decoding: found.data, as: UTF8.self) == "/")
        #expect(tunnel.chosen == .http2)
        #expect(scene.upstream.requests.first?["x-forwarded-proto"] == "https")
      }
    }

    @Test(arguments: Backend.allCases)
    func `HTTP/2 without ALPN is no request`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let (client, _) = try scene.secureClient()
        try client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

        #expect(try client.response().status >= 400)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the name that is asked for chooses the certificate`(backend: Backend) throws {
      let other = WireAuthority.shared.issue("other.test")
      let settings = EdgeSettings.secure(WireAuthority.shared.server, other)
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        for host in ["edge.test", "other.test"] {
          let (client, _) = try scene.secureClient(host: host)
          #expect(try client.exchange().status == 200)
        }
        let (stranger, tunnel) = try scene.secureClient(host: "third.test")
        stranger.trySend("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(stranger.isClosedSilently())
        #expect(tunnel.fault == .nameMismatch, "the default's name is another")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client certificate can be required`(backend: Backend) throws {
      let own = WireAuthority.shared.issue("partner")
      let settings = EdgeSettings.secure(
        tls: "clientCertificates: {mode: required, authorities: \(WireAuthority.shared.bundle)}"
      )
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let partner = try WireAuthority.shared.client(certificate: own)
        #expect(try scene.secureClient(partner).client.exchange().status == 200)

        let (anybody, tunnel) = try scene.secureClient()
        anybody.trySend("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(anybody.isClosedSilently())
        #expect(tunnel.fault != nil)
        #expect(try Self.failures(scene, "no-client-certificate") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a session is resumed with any worker`(backend: Backend) throws {
      var settings = EdgeSettings.secure()
      settings.workers = 2
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let context = try WireAuthority.shared.client()
        let resumed = try (0..<12).map { _ in
          let sessions = ClientSessionCache()
          let (first, _) = try scene.secureClient(context, sessions: sessions)
          #expect(try first.exchange().status == 200)
          let (second, tunnel) = try scene.secureClient(context, sessions: sessions)
          #expect(try second.exchange().status == 200)
          return tunnel.isResumed
        }

        #expect(resumed.allSatisfy { $0 })
        #expect(try scene.metric("spillway_tls_handshakes_total{kind=\"resumed\"}") == 12)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a handshake that does not go on ends after the head's time`(backend: Backend) throws {
      let settings = EdgeSettings.secure(listener: "limits: {headTimeout: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let silent = try scene.client()
        let half = try scene.client()
        try half.send([22, 3, 1, 1, 0, 1, 0])

        #expect(half.isClosedSilently())
        #expect(silent.isClosedSilently())
        #expect(try Self.failures(scene, "timeout") == 1, "who says nothing began nothing")
        #expect(try scene.metric("spillway_tls_handshakes_active") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request in clear is answered in clear`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let client = try scene.client()
        let answer = try client.exchange()

        #expect(answer.status == 400)
        #expect(answer.problem?["reason"] as? String == "tls-required")
        #expect(answer.saysClose)
        #expect(try Self.failures(scene, "plain-http") == 1)
        #expect(scene.upstream.requests.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `bytes that are no TLS get an alert`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let client = try scene.client()
        try client.send([0x16, 3, 1, 0, 4, 2, 0, 0, 0])

        _ = try client.rest()
        #expect(try Self.failures(scene, "not-tls") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that speaks less than the least version is refused`(backend: Backend) throws {
      let settings = EdgeSettings.secure(tls: "minimumVersion: \"1.3\"")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let old = try WireAuthority.shared.client { $0.maximumVersion = .tls12 }
        let (client, tunnel) = try scene.secureClient(old)
        client.trySend("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(client.isClosedSilently())
        #expect(tunnel.fault == .peerRefusesVersion)
        #expect(try Self.failures(scene, "unsupported-version") == 1)
        #expect(try scene.secureClient().client.exchange().status == 200)

        // Without a word it is 1.2.
        try scene.reload { $0 = .secure() }
        try eventually("TLS 1.2 is served") {
          let (client, tunnel) = try scene.secureClient(old)
          client.trySend("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
          _ = try client.rest()
          return tunnel.version == .tls12
        }
      }
    }

    /// What a client says first.
    static func hello() throws -> [UInt8] {
      let session = try #require(
        TLSSession(client: try WireAuthority.shared.client(), host: "edge.test")
      )
      var room = [UInt8](repeating: 0, count: 4_096)
      return room.withUnsafeMutableBufferPointer { room in
        var window = CiphertextWindow(
          input: nil,
          inputCount: 0,
          output: room.baseAddress,
          outputRoom: room.count
        )
        _ = session.handshake(&window)
        return Array(room.prefix(window.produced))
      }
    }

    @Test(arguments: Backend.allCases)
    func `handshakes beyond the bound wait in order, and beyond that are refused`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      defer { upstream.stop() }
      var bounds = HandshakeBounds()
      bounds.running = 1
      bounds.waiting = 1
      bounds.patience = .seconds(3_600)
      bounds.leastPatience = .seconds(3_600)
      let edge = try EdgeUnderTest(
        configuration: EdgeSettings.secure().yaml(endpoints: [upstream.endpoint]),
        backend: backend,
        handshakes: bounds
      )
      defer { edge.stop() }
      func metric(_ name: String) throws -> Double {
        let client = try RawClient(port: edge.adminPort)
        defer { client.close() }
        try client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return try Exposition(try client.response().text).sum(name) ?? 0
      }
      let port = try edge.port("public")
      let hello = try Self.hello()
      let holder = try RawClient(port: port)
      try holder.send(hello)
      try eventually("it began") { try metric("spillway_tls_handshakes_active") == 1 }
      let tunnel = try TLSTunnel(port: port, context: try WireAuthority.shared.client())
      let waiter = RawClient(tunnel.plain)
      defer { waiter.close() }
      try waiter.request()
      try eventually("it waits") { try metric("spillway_tls_handshakes_waiting") == 1 }
      let refused = try RawClient(port: port)
      refused.trySend(hello)

      #expect(refused.isClosedSilently())
      #expect(try metric("spillway_tls_handshake_failures_total{reason=\"refused\"}") == 1)
      #expect(try metric("spillway_tls_handshakes_waited_total") == 1)
      holder.close()
      #expect(try waiter.response().status == 200)
      try eventually("it is over") { try metric("spillway_tls_handshakes_active") == 0 }
    }
  }
}
