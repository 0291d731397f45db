import Foundation
import HTTPCodec
import Synchronization
import Testing
import Units

extension WireTests {
  /// Health checks in all that services speak: HTTP/2, gRPC's health protocol, TLS, preludes.
  struct CheckProtocolTests {
    private static func settings(_ health: String) -> EdgeSettings {
      EdgeSettings(service: "health: {interval: 10ms, timeout: 10s, \(health)}").withoutAdmission
    }

    /// What a service of gRPC says of its health.
    private static func calls(
      _ message: [UInt8],
      status: String = "0"
    ) throws -> HTTP2Upstream {
      try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.respond(
          request,
          200,
          [("content-type", "application/grpc")],
          body: message,
          trailers: [("grpc-status", status)]
        )
      }
    }

    private static func expect(
      _ result: String,
      _ backend: Backend,
      _ service: HTTP2Upstream,
      _ health: String = "kind: grpc"
    ) throws {
      try Scene.play(backend, h2c: service, settings: settings(health)) { (scene: Scene) throws in
        try eventually(result) { try scene.checks(result) >= 3 }
        #expect(try scene.isDown(scene.service.endpoint))
        #expect(try scene.checks("success") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service of HTTP/2 is asked over HTTP/2`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.respond(request, request.target == "/healthz" ? 204 : 500)
      }
      try Scene.play(backend, h2c: service, settings: Self.settings("path: /healthz, host: a.b")) {
        (scene: Scene) throws in
        try eventually("it is up") { try scene.checks("success") >= 3 }
        let check = try #require(service.requests.first)
        #expect(check.method == "GET")
        #expect(check.target == "/healthz")
        #expect(check["user-agent"] == "spillway-health")
        #expect(check["host"] == "a.b")
      }
    }

    @Test(arguments: Backend.allCases)
    func `gRPC's health protocol is asked for the service that is named`(backend: Backend) throws {
      let service = try Self.calls([0, 0, 0, 0, 2, 0x08, 1])
      try Scene.play(backend, h2c: service, settings: Self.settings("kind: grpc, service: shop")) {
        (scene: Scene) throws in
        try eventually("it is up") { try scene.checks("success") >= 3 }
        let check = try #require(service.requests.first { $0.isComplete })
        #expect(check.method == "POST")
        #expect(check.target == "/grpc.health.v1.Health/Check")
        #expect(check["content-type"] == "application/grpc")
        #expect(check["te"] == "trailers")
        #expect(check["grpc-timeout"] == "10000m")
        #expect(check.body == [0, 0, 0, 0, 6, 0x0A, 4] + Array("shop".utf8))
      }
    }

    @Test(arguments: Backend.allCases)
    func `only SERVING with status 0 is health`(backend: Backend) throws {
      let serving: [UInt8] = [0, 0, 0, 0, 2, 0x08, 1]
      try Self.expect("unexpected-answer", backend, Self.calls([0, 0, 0, 0, 2, 0x08, 2]))
      try Self.expect("unexpected-answer", backend, Self.calls(serving, status: "12"))
      try Self.expect("unexpected-answer", backend, Self.calls(serving + [0]))
      try Self.expect("broken", backend, Self.calls([UInt8](repeating: 0, count: 2_000)))
      // Trailers-only, as of a service that has no such method.
      let unknown = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.respond(
          request,
          200,
          [("content-type", "application/grpc"), ("grpc-status", "12")]
        )
      }
      try Self.expect("unexpected-answer", backend, unknown)
      let refusing = try HTTP2Upstream { peer, request, moment in
        if moment == .end { try peer.respond(request, 503, body: []) }
      }
      try Self.expect("unexpected-answer", backend, refusing)
    }

    @Test(arguments: Backend.allCases)
    func `streams that are reset, goodbyes and bytes that are no HTTP/2 are failures`(
      backend: Backend
    ) throws {
      let resetting = try HTTP2Upstream { peer, request, moment in
        if moment == .end { try peer.reset(request, .internalError) }
      }
      try Self.expect("broken", backend, resetting, "path: /healthz")
      let leaving = try HTTP2Upstream(greeting: { try $0.goAway() }, { _, _, _ in })
      try Self.expect("broken", backend, leaving, "path: /healthz")
      let clear = Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".utf8)
      let other = try HTTP2Upstream(greeting: { try $0.raw(clear) }, { _, _, _ in })
      try Self.expect("broken", backend, other, "path: /healthz")
      // Frames without end that say nothing.
      let ping: [UInt8] = [0, 0, 8, 6, 1, 0, 0, 0, 0] + [UInt8](repeating: 7, count: 8)
      let pings = (0..<8_000).flatMap { _ in ping }
      let chatting = try HTTP2Upstream(greeting: { try $0.raw(pings) }, { _, _, _ in })
      try Self.expect("broken", backend, chatting, "path: /healthz")
    }

    @Test(arguments: Backend.allCases)
    func `over TLS the certificate is judged by the service's rules`(backend: Backend) throws {
      let upstream = try CheckScene.upstream(BreakerTests.Mood(200))
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      let health = "health: {path: /healthz, interval: 10ms, timeout: 10s}"
      var settings = EdgeSettings.secureService(front, more: health).withoutAdmission
      try Scene.play(backend, upstream, settings: settings) { (scene: Scene) throws in
        try eventually("it is up") { try scene.checks("success") >= 3 }
        #expect(scene.upstream.checks.first?["host"] == "127.0.0.1:\(front.port)")
      }

      try upstream.comeBack()
      settings = .secureService(
        front,
        tls: "authorities: \(WireAuthority.shared.bundle), serverName: other.test",
        more: health
      )
      try Scene.play(backend, upstream, settings: settings.withoutAdmission) {
        (scene: Scene) throws in
        try eventually("it is down") { try scene.checks("tls-failure") >= 3 }
        #expect(try scene.checks("success") == 0)
        try scene.awaitTold("nobody is left")
      }
    }

    @Test(arguments: Backend.allCases)
    func `HTTP/2 over TLS is asked over HTTP/2, and kind tcp for its handshake`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        if moment == .end { try peer.respond(request, 200, body: Array("x".utf8)) }
      }
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(
        front,
        speaks: "h2",
        more: "health: {path: /healthz, interval: 10ms, timeout: 10s}"
      ).withoutAdmission
      try Scene.play(backend, nil, behind: service, settings: settings) { (scene: Scene) throws in
        try eventually("it is up") { try scene.checks("success") >= 3 }
        #expect(service.requests.allSatisfy { $0.target == "/healthz" })
        try scene.reload { settings in
          settings.service = settings.service.replacing("path: /healthz", with: "kind: tcp")
        }
        try eventually("checks succeed and ask nothing") {
          let (asked, before) = (service.requests.count, try scene.checks("success"))
          try eventually("time goes by") { try scene.checks("success") >= before + 10 }
          return service.requests.count == asked
        }
        #expect(try !scene.isDown(front.endpoint))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that wants a prelude is told that nobody's connection it is`(
      backend: Backend
    ) throws {
      let listener = try Socket.listening()
      let seen = Locked<[[UInt8]]>([])
      Thread.detachNewThread {
        while let peer = (try? listener.accepted(by: Deadline(after: .seconds(60)))) ?? nil {
          let prelude = SentPrelude.take(from: peer)
          seen.withLock { $0.append(prelude) }
          let stream = ByteStream(peer)
          if (try? stream.head(by: Deadline())) ?? nil != nil {
            try? peer.send(
              Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8),
              by: Deadline()
            )
          }
          peer.close()
        }
        listener.close()
      }
      defer { listener.interrupt() }
      var settings = Self.settings("path: /healthz")
      settings.endpoints = ["127.0.0.1:\(listener.localPort)"]
      settings.service += ", proxyProtocol: v1"
      try Scene.play(backend, .echoingTarget(), settings: settings) { (scene: Scene) throws in
        try eventually("it is up") { try scene.checks("success") >= 1 }
        #expect(seen.withLock { $0.first } == Array("PROXY UNKNOWN\r\n".utf8))
        try scene.reload { settings in
          settings.service = settings.service.replacing("v1", with: "v2")
        }
        try eventually("version 2 is in effect") {
          seen.withLock { $0.last }?.first == 0x0D
        }
        let last = seen.withLock { $0.last } ?? []
        #expect(last.count == 16)
        #expect(last.suffix(4) == [0x20, 0, 0, 0])
        let before = try scene.checks("success")
        try eventually("it is up with that") { try scene.checks("success") > before + 1 }
      }
    }
  }
}
