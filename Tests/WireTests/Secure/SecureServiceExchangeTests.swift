import Foundation
import TLS
import Testing

extension WireTests {
  /// TLS towards services: the same exchanges as in clear, and the ends that only TLS tells apart.
  struct SecureServiceExchangeTests {
    private static func pattern(_ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    /// For bodies that may take longer than a request has by default, on a slow machine.
    private static func patient(_ front: TLSFront) -> EdgeSettings {
      var settings = EdgeSettings.secureService(front)
      settings.policies = "timeoutMs: 30000"
      return settings
    }

    @Test(arguments: Backend.allCases)
    func `RFC 8446 6.1: a response without length is whole only behind close_notify`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\n\r\nall there is")
        peer.close()
      }
      let clean = try TLSFront(before: upstream)
      let cut = try TLSFront(before: upstream) { $0.cutsAtEnd = true }
      defer {
        clean.stop()
        cut.stop()
      }
      try Scene.play(backend, upstream, settings: .secureService(clean)) { scene in
        let whole = try scene.client().exchange()
        #expect(whole.text == "all there is" && whole.isComplete)
        #expect(try scene.metric("spillway_truncated_responses_total") == 0)

        try scene.reload { $0 = .secureService(cut) }
        try eventually("it is in effect") {
          let client = try scene.client()
          try client.request()
          _ = try? client.response()
          return !cut.tunnels.isEmpty
        }
        let client = try scene.client()
        try client.request()
        let broken = try client.response()
        #expect(!broken.isComplete, "the client takes a part for the whole")
        #expect(try scene.metric("spillway_truncated_responses_total") >= 1)
        #expect(
          try scene.metric("spillway_upstream_tls_faults_total{reason=\"truncated\"}") >= 1
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `a kept connection that the service closed is replaced by a fresh one`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, request.target)
        if request.target == "/last" { peer.close() }
      }
      for cuts in [false, true] {
        let front = try TLSFront(before: upstream) { $0.cutsAtEnd = cuts }
        defer { front.stop() }
        try Scene.play(backend, upstream, settings: .secureService(front)) { scene in
          let client = try scene.client()
          for _ in 0..<10 {
            #expect(try client.exchange("GET", "/last").text == "/last")
            #expect(try client.exchange("GET", "/more").text == "/more")
          }
        }
        try upstream.comeBack()
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that speaks unasked on a kept connection loses it`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, request.target)
        guard request.target == "/first" else { return }
        gate.wait()
        try peer.respond(200, "for nobody")
      }
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: .secureService(front)) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/first").text == "/first")
        gate.open()
        try eventually("it is closed") {
          try scene.metric("spillway_upstream_unasked_bytes_total") == 1
        }
        #expect(try client.exchange("GET", "/second").text == "/second")
        #expect(front.tunnels.count == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a large response waits for a slow reader and arrives whole`(backend: Backend) throws {
      let body = Self.pattern(8_000_000)
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n")
        try peer.send(body)
      }
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: Self.patient(front)) { scene in
        let client = try scene.client(receiveBuffer: 8_192)
        try client.request()
        _ = try settled("the service waits") { scene.upstream.sentBytes }
        // The kernel takes most of it on the way; what counts is how much the edge does, and that it
        // does not grow each time that the reader takes a part.
        _ = try client.head()
        var received: [UInt8] = []
        var most = 0.0
        while received.count < body.count {
          let part = try client.some(atMost: 8_192)
          guard !part.isEmpty else { break }
          received += part
          if received.count / 65_536 != (received.count - part.count) / 65_536 {
            most = max(most, try scene.metric("spillway_buffer_blocks{state=\"used\"}"))
          }
        }
        #expect(received == body)
        #expect(most < 40, "it held \(most) blocks")
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
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: Self.patient(front)) { scene in
        let body = Self.pattern(8_000_000)
        let client = try scene.client()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
        try concurrently(1) { _ in
          usleep(300_000)
          gate.open()
        } while: {
          try client.send(body, within: .seconds(30))
        }
        let sum = body.reduce(0) { $0 &+ Int($1) }
        #expect(try client.response(within: .seconds(30)).text == "\(body.count) \(sum)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a tunnel through TLS carries both directions, and each end`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        try peer.echo(farewell: "bye")
      }
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: .secureService(front)) { scene in
        let client = try scene.client()
        try client.request("GET", "/chat", "Connection: Upgrade", "Upgrade: websocket")
        #expect(try client.response().status == 101)
        for word in ["hello", "\0\u{1}", String(repeating: "x", count: 300_000)] {
          let socket = client.socket
          try concurrently(1) { _ in
            try? socket.send(Array(word.utf8), by: Deadline())
          } while: {
            let back = try client.text(word.utf8.count)
            #expect(back == word)
          }
        }
        client.finish()
        #expect(String(decoding: try client.rest(), as: UTF8.self) == "bye")
        #expect(client.end == .finished)
      }
    }

    @Test(arguments: Backend.allCases)
    func `TLS on both sides, and an idle connection to a service holds no buffer`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      var settings = EdgeSettings.secure()
      let service = EdgeSettings.secureService(front)
      settings.endpoints = service.endpoints
      settings.service = service.service
      try Scene.play(backend, upstream, settings: settings) { scene in
        let pairs = try (0..<10).map { _ in try scene.secureClient() }
        for (client, _) in pairs { #expect(try client.exchange("GET", "/x").text == "/x") }
        try eventually("no block is held") {
          // Gauges are set after a turn; one without any event would wait for ever.
          try RawClient(port: scene.edge.port("public")).close()
          return try scene.metric("spillway_buffer_blocks{state=\"used\"}") == 0
        }
        #expect(try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") >= 1)
      }
    }
  }
}
