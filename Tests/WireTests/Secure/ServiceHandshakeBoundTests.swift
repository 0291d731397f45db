import Edge
import Testing

extension WireTests {
  /// Handshakes with services beyond a worker's bound.
  struct ServiceHandshakeBoundTests {
    /// A service behind TLS with two ways to it, of which one holds what comes.
    private struct Stage {
      let front: TLSFront
      let held: HeldFront
      private let upstream: ScriptedUpstream
      private let service: HTTP2Upstream

      init(_ spoken: String) throws {
        upstream = try .echo()
        service = try .echo()
        front = try spoken == "h2" ? TLSFront(h2: service) : TLSFront(http1: upstream)
        held = try HeldFront(before: front.port)
      }

      func stop() {
        held.stop()
        front.stop()
        upstream.stop()
        service.stop()
      }
    }

    private static func play(
      _ backend: Backend,
      _ settings: EdgeSettings,
      bound: Int = 1,
      _ body: (EdgeUnderTest, (String) throws -> Double) throws -> Void
    ) throws {
      var bounds = HandshakeBounds()
      bounds.upstream = bound
      let edge = try EdgeUnderTest(
        configuration: settings.yaml(endpoints: []),
        backend: backend,
        handshakes: bounds
      )
      defer { edge.stop() }
      try body(edge) { name in
        let client = try RawClient(port: edge.adminPort)
        defer { client.close() }
        try client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return try Exposition(try client.response().text).sum(name) ?? 0
      }
    }

    private static let active = "spillway_upstream_tls_handshakes_active"
    private static let waiting = "spillway_upstream_tls_handshakes_waiting"

    @Test(arguments: Backend.allCases, ["https", "h2", "auto"])
    func `further connections wait for the one under way, in order`(
      backend: Backend,
      spoken: String
    ) throws {
      let stage = try Stage(spoken)
      defer { stage.stop() }
      let (front, held) = (stage.front, stage.held)
      let more = "connections: {connectTimeout: 30s}"
      var settings = EdgeSettings.secureService(speaks: spoken, more: more)
      settings.endpoints = [held.endpoint]
      settings.policies = "timeoutMs: 30000"
      let other = EdgeSettings.secureService(front, speaks: spoken, more: more).service
      settings.services = ["name: other, endpoints: [\"\(front.endpoint)\"], \(other)"]
      settings.routes = [
        "name: other, match: {pathPrefix: /other}, upstream: {service: other}, "
          + "policies: {auth: none, timeoutMs: 30000}"
      ]
      try Self.play(backend, settings) { edge, metric in
        let port = try edge.port("public")
        let holder = try RawClient(port: port)
        try holder.request("GET", "/held")
        try eventually("it began") { try metric(Self.active) == 1 }
        let waiters = try (0..<3).map { _ in try RawClient(port: port) }
        for waiter in waiters { try waiter.request("GET", "/other") }
        let connections = spoken == "https" ? 3.0 : 1.0
        try eventually("they wait") { try metric(Self.waiting) == connections }
        let gone = try RawClient(port: port)
        try gone.request("GET", "/other")
        gone.reset()
        #expect(try metric(Self.active) == 1)
        #expect(front.tunnels.allSatisfy { !$0.isOpen }, "the bound does not hold")
        held.open()

        #expect(try holder.response().text == "GET /held ")
        for waiter in waiters { #expect(try waiter.response().text == "GET /other ") }
        #expect(try metric("spillway_upstream_tls_handshakes_waited_total") >= connections)
        try eventually("none is left") {
          try RawClient(port: port).close()
          return try metric(Self.active) == 0 && metric(Self.waiting) == 0
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service whose handshakes hang leaves room for those of others`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, request.target, "Connection: close")
        peer.close()
      }
      let front = try TLSFront(http1: upstream)
      let held = try HeldFront(before: front.port)
      defer {
        held.stop()
        front.stop()
        upstream.stop()
      }
      let more = "connections: {connectTimeout: 30s}"
      var settings = EdgeSettings.secureService(more: more)
      settings.endpoints = [held.endpoint]
      settings.policies = "timeoutMs: 30000"
      let other = EdgeSettings.secureService(front, more: more).service
      settings.services = ["name: other, endpoints: [\"\(front.endpoint)\"], \(other)"]
      settings.routes = [
        "name: other, match: {pathPrefix: /other}, upstream: {service: other}, "
          + "policies: {auth: none, timeoutMs: 30000}"
      ]
      try Self.play(backend, settings, bound: 2) { edge, metric in
        let port = try edge.port("public")
        let holders = try (0..<4).map { _ in try RawClient(port: port) }
        for holder in holders { try holder.request("GET", "/held") }
        try eventually("one has begun, the others wait") {
          try metric(Self.active) == 1 && metric(Self.waiting) == 3
        }
        // Each has a connection, and a handshake, of its own.
        let client = try RawClient(port: port)
        for _ in 0..<5 { #expect(try client.exchange("GET", "/other").text == "/other") }
        #expect(try metric(Self.active) == 1)
        #expect(try metric(Self.waiting) == 3)
        held.open()
        for holder in holders { #expect(try holder.response().text == "/held") }
        try eventually("none is left") {
          try RawClient(port: port).close()
          return try metric(Self.active) == 0 && metric(Self.waiting) == 0
        }
      }
    }

    @Test(arguments: Backend.allCases, ["https", "h2", "auto"])
    func `who waits too long is told so, and the endpoint is not blamed`(
      backend: Backend,
      spoken: String
    ) throws {
      let stage = try Stage(spoken)
      defer { stage.stop() }
      let (front, held) = (stage.front, stage.held)
      var settings = EdgeSettings.secureService(
        speaks: spoken,
        more: "connections: {connectTimeout: 30s}"
      )
      settings.endpoints = [held.endpoint]
      settings.policies = "timeoutMs: 30000"
      let other = EdgeSettings.secureService(
        front,
        speaks: spoken,
        more: "connections: {connectTimeout: 100ms}"
      )
      settings.services = ["name: other, endpoints: [\"\(front.endpoint)\"], \(other.service)"]
      settings.routes = [
        "name: other, match: {pathPrefix: /other}, upstream: {service: other}, "
          + "policies: {auth: none}"
      ]
      try Self.play(backend, settings) { edge, metric in
        let port = try edge.port("public")
        let holder = try RawClient(port: port)
        try holder.request("GET", "/held")
        try eventually("it began") { try metric(Self.active) == 1 }
        let waiter = try RawClient(port: port)
        for _ in 0..<3 {
          let answer = try waiter.exchange("GET", "/other")
          #expect(answer.status == 504)
          #expect(answer.problem?["reason"] as? String == "connect-timeout")
        }
        let timeouts = "spillway_upstream_tls_handshake_failures_total{service=\"other\""
        #expect(try metric("\(timeouts),reason=\"timeout\"}") == 3)
        #expect(try metric(Self.waiting) == 0)
        held.open()
        #expect(try holder.response().text == "GET /held ")
        // Its time for a connect is short, for a slow machine as well.
        try eventually("it is served") {
          try waiter.exchange("GET", "/other").text == "GET /other "
        }
      }
    }
  }
}
