import Foundation
import TLS
import Testing

extension WireTests {
  /// Requests over TLS: the same exchanges as in clear.
  struct SecureExchangeTests {
    /// For bodies that may take longer than a request has by default, on a slow machine.
    private static var patient: EdgeSettings {
      var settings = EdgeSettings.secure()
      settings.policies = "timeoutMs: 30000"
      return settings
    }

    @Test(arguments: Backend.allCases)
    func `requests over TLS are served, and the service hears of https`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let (client, tunnel) = try scene.secureClient()

        #expect(try client.exchange("GET", "/one").text == "/one")
        try client.post("/two", String(repeating: "x", count: 40_000))
        #expect(try client.response().text == "/two")
        #expect(tunnel.isOpen)
        let request = try #require(scene.upstream.requests.first)
        #expect(request["x-forwarded-proto"] == "https")
        #expect(request["forwarded"]?.hasSuffix("proto=https") == true)
        let kind = "{kind=\"full\",version=\"TLSv1.3\"}"
        #expect(try scene.metric("spillway_tls_handshakes_total\(kind)") == 1)
        let expiry = "spillway_tls_certificate_expiry_timestamp_seconds{listener=\"public\"}"
        #expect(try scene.metric(expiry) > Date().timeIntervalSince1970)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a large response waits for a slow reader and arrives whole`(backend: Backend) throws {
      let size = 8_000_000
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
        try peer.send((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
      }
      try Scene.play(backend, upstream, settings: Self.patient) { scene in
        let (client, _) = try scene.secureClient(receiveBuffer: 8_192)
        try client.request()
        _ = try settled("the service waits") { scene.upstream.sentBytes }
        #expect(scene.upstream.sentBytes < size, "the edge takes what it cannot pass on")
        let blocks = try scene.metric("spillway_buffer_blocks{state=\"used\"}")
        #expect(blocks < 40, "it holds \(blocks) blocks")

        let response = try client.response(within: .seconds(20))
        #expect(response.isComplete)
        let isWhole = response.body.enumerated().allSatisfy { index, byte in
          byte == UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8)
        }
        #expect(response.body.count == size && isWhole)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a large upload waits for a slow service and arrives whole`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        gate.wait()
        let whole = try peer.readBody(of: request)
        try peer.respond(200, "\(whole.body.count) \(whole.body.reduce(0) { $0 &+ Int($1) })")
      }
      try Scene.play(backend, upstream, settings: Self.patient) { scene in
        let body = (0..<12_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let (client, _) = try scene.secureClient()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
        try concurrently(1) { _ in
          usleep(300_000)
          gate.open()
        } while: {
          try client.send(body, within: .seconds(20))
        }

        let sum = body.reduce(0) { $0 &+ Int($1) }
        #expect(try client.response(within: .seconds(20)).text == "\(body.count) \(sum)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `the end of a response that has no length is told by close_notify`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let (client, tunnel) = try scene.secureClient()
        let answer = try client.exchange("GET", "/bye", "Connection: close")

        #expect(answer.text == "/bye")
        #expect(try client.rest().isEmpty)
        #expect(tunnel.sawClose, "the client must take it for truncated")
      }
    }

    @Test(arguments: Backend.allCases)
    func `an idle client over TLS holds no buffer, and may close when it likes`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let pairs = try (0..<20).map { _ in try scene.secureClient() }
        for (client, _) in pairs { #expect(try client.exchange().status == 200) }
        try eventually("no block is held") {
          // Gauges are set after a turn; one without any event would wait for ever.
          try RawClient(port: scene.edge.port("public")).close()
          return try scene.metric("spillway_buffer_blocks{state=\"used\"}") == 0
        }
        for (index, pair) in pairs.enumerated() where index % 2 == 0 { pair.tunnel.cut() }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 8446 6.1: an upload that ends without close_notify is broken off`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        try peer.readBody(of: request)
      }
      try Scene.play(backend, upstream, settings: EdgeSettings.secure().withoutAdmission) { scene in
        let (client, tunnel) = try scene.secureClient()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf of it")
        try eventually("it began") { scene.upstream.requests.count == 1 }
        tunnel.cut()

        try eventually("the service was told") { scene.upstream.cancellations == 1 }
        try eventually("it is counted") {
          try scene.metric("spillway_tls_faults_total{reason=\"truncated\"}") == 1
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `draining tells a client over TLS to close`(backend: Backend) throws {
      var settings = EdgeSettings.secure()
      settings.root = ["drain: {grace: 200ms, deadline: 30s}"]
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/held")
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let (kept, tunnel) = try scene.secureClient()
        let (idle, _) = try scene.secureClient()
        #expect(try kept.exchange().status == 200)
        #expect(try idle.exchange().status == 200)
        try kept.request("GET", "/held")
        try eventually("it runs") { upstream.requests.contains { $0.target == "/held" } }
        scene.edge.drain()
        try eventually("readiness fails") { try scene.admin("/readyz").status == 503 }

        gate.open()
        let told = try kept.response()
        #expect(told.status == 200 && told.saysClose)
        #expect(kept.isClosedSilently())
        #expect(tunnel.sawClose)
        #expect(idle.isClosedSilently())
        try eventually("it has drained", within: .seconds(40)) { scene.edge.hasDrained }
      }
    }
  }
}
