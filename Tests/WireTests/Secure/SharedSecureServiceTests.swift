import HTTPCodec
import TLS
import Testing
import Units

extension WireTests {
  /// HTTP/2 over TLS towards services (`protocol: h2`).
  struct SharedSecureServiceTests {
    private static let call = [("content-type", "application/grpc"), ("te", "trailers")]

    @Test(arguments: Backend.allCases)
    func `one connection carries what clients of every protocol ask for`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream.echo()
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      var settings = EdgeSettings.secure()
      let backing = EdgeSettings.secureService(front, speaks: "h2")
      settings.endpoints = backing.endpoints
      settings.service = backing.service
      settings.listeners = ["name: plain, address: \"127.0.0.1:0\""]
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let old = try scene.client("plain")
        let new = try scene.http2("plain")
        let secure = try scene.secureHTTP2()
        let (mixed, _) = try scene.secureClient()

        for number in 0..<3 {
          #expect(try old.exchange("GET", "/\(number)").text == "GET /\(number) ")
          try mixed.post("/\(number)", "body")
          #expect(try mixed.response().text == "POST /\(number) body")
          let body = Array("known".utf8)
          #expect(try new.exchange("POST", "/", [], body: body).text == "POST / known")
          #expect(try secure.exchange("GET", "/s").text == "GET /s ")
        }

        #expect(front.tunnels.count == 1)
        #expect(front.tunnels.first?.chosen == .http2)
        #expect(front.tunnels.first?.serverName == "edge.test")
        let requests = service.requests
        #expect(requests.count == 12)
        #expect(requests.allSatisfy { $0[":scheme"] == "https" })
        #expect(try scene.metric("spillway_upstream_h2_sessions") == 1)
        let made = "spillway_upstream_connections_made_total{service=\"backend\""
        #expect(try scene.metric("\(made),protocol=\"h2\"}") == 1)
        #expect(try scene.metric("\(made),protocol=\"http/1.1\"}") == 0)
        let active = "spillway_upstream_connections_active{service=\"backend\",protocol=\"h2\"}"
        #expect(try scene.metric(active) == 1)
        service.closeConnections()
        try eventually("it is counted as gone") { try scene.metric(active) == 0 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `calls of gRPC pass with their trailers, streams both ways`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        switch moment {
        case .head where request.target != "/fail":
          try peer.respond(request, 200, [("content-type", "application/grpc")], isLast: false)
        case .head:
          let status = [("content-type", "application/grpc"), ("grpc-status", "5")]
          try peer.respond(request, 200, status)
        case .body where request.target != "/fail":
          try peer.send(request, Array(request.body.suffix(6)))
        case .end where request.target != "/fail":
          try peer.send(request, [], isLast: true, trailers: [("grpc-status", "0")])
        default: break
        }
      }
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, speaks: "h2")
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let client = try scene.http2()
        let token = try client.request("POST", "/chat", Self.call, body: [], isLast: false)
        for number in UInt8(0)..<5 {
          let message: [UInt8] = [0, 0, 0, 0, 1, number]
          try client.send(message, on: token)
          try client.wait("an echo") { ($0.answers[token]?.body.count ?? 0) == 6 * Int(number + 1) }
        }
        try client.send([], on: token, isLast: true)
        let answer = try client.answer(token)
        #expect(answer.status == 200 && answer.isComplete)
        #expect(answer.trailers.map(\.value) == ["0"])

        let failed = try client.exchange("POST", "/fail", Self.call, body: [0, 0, 0, 0, 0])
        #expect(failed["grpc-status"] == "5" && failed.body.isEmpty && failed.isComplete)
        #expect(front.tunnels.count == 1)
      }
    }

    @Test(arguments: Backend.allCases, [true, false])
    func `RFC 9113 3.2: without ALPN h2 it is a failed connect with a reason of its own`(
      backend: Backend,
      refuses: Bool
    ) throws {
      let upstream = try ScriptedUpstream.echo()
      // One ends the handshake with no_application_protocol, one knows nothing of ALPN.
      let front = try TLSFront(before: upstream) {
        $0.tls = { $0.applicationProtocols = refuses ? [.http1] : [] }
      }
      let service = try HTTP2Upstream.echo()
      let good = try TLSFront(h2: service)
      defer {
        front.stop()
        good.stop()
      }
      let settings = EdgeSettings.secureService(front, speaks: "h2")
      try Scene.play(backend, upstream, behind: service, settings: settings) { scene in
        let client = try scene.client()
        try client.post("/", "body")
        let answer = try client.response()
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-no-http2")
        #expect(answer["proxy-status"]?.contains("tls_protocol_error") == true)
        #expect(try ServiceIdentityTests.failures(scene, "no-http2") == 1)
        let failures = "spillway_upstream_connect_failures_total{service=\"backend\"}"
        #expect(try scene.metric(failures) == 1)
        #expect(upstream.requests.isEmpty, "HTTP/1.1 was spoken all the same")

        try scene.reload { $0 = .secureService(front, good, speaks: "h2") }
        try eventually("it goes elsewhere") {
          try client.post("/", "body")
          return try client.response().text == "POST / body"
        }
        for _ in 0..<5 {
          try client.post("/", "body")
          #expect(try client.response().text == "POST / body")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `GOAWAY and REFUSED_STREAM: what was not processed goes on a fresh connection`(
      backend: Backend
    ) throws {
      let held = Locked<HTTP2Upstream.Request?>(nil)
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if request.connection > 0 { return try peer.respond(request, 200, body: request.body) }
        guard let first = held.withLock({ $0 }) else { return held.withLock { $0 = request } }
        try peer.raw(HTTP2Frames.goAway(last: UInt32(first.number)))
        try peer.respond(first, 200, body: Array("first".utf8))
      }
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, speaks: "h2")
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let first = try scene.client()
        try first.post("/", "a")
        try eventually("the first is there") { held.withLock { $0 } != nil }
        let second = try scene.client()
        try second.post("/", "second")

        #expect(try first.response().text == "first")
        #expect(try second.response().text == "second")
        #expect(service.requests.map(\.connection) == [0, 0, 1])
        #expect(try scene.metric("spillway_upstream_h2_goaways_total") == 1)
        try eventually("the first session is gone") { service.openConnections == 1 }
        #expect(front.tunnels.first?.sawClose == true)
      }
    }

    @Test(arguments: Backend.allCases)
    func `many requests during the first handshake share its connection`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream.echo()
      let front = try TLSFront(h2: service)
      let held = try HeldFront(before: front.port)
      defer {
        held.stop()
        front.stop()
      }
      var settings = EdgeSettings.secureService(
        speaks: "h2",
        more: "connections: {connectTimeout: 30s}"
      ).withoutAdmission
      settings.policies = "timeoutMs: 30000"
      settings.endpoints = [held.endpoint]
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let clients = try (0..<40).map { _ in try scene.client() }
        for (number, client) in clients.enumerated() { try client.post("/\(number)", "body") }
        let new = try scene.http2()
        let tokens = try (0..<40).map { try new.request("POST", "/", body: Array("\($0)".utf8)) }
        try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 80 }
        #expect(try scene.metric("spillway_upstream_tls_handshakes_active") == 1)
        // Some do not wait for it.
        clients[0].reset()
        try new.reset(tokens[0])
        try eventually("they are gone") { try scene.metric("spillway_exchanges_active") == 78 }
        held.open()

        for (number, client) in clients.enumerated().dropFirst() {
          #expect(try client.response().text == "POST /\(number) body")
        }
        for (number, token) in tokens.enumerated().dropFirst() {
          #expect(try new.answer(token).text == "POST / \(number)")
        }
        #expect(front.tunnels.count == 1 && held.connections == 1)
        #expect(service.requests.count == 78)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a handshake that hangs ends all that wait for it in the time of a connect`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream.echo()
      let front = try TLSFront(h2: service)
      let held = try HeldFront(before: front.port)
      defer {
        held.stop()
        front.stop()
      }
      var settings = EdgeSettings.secureService(
        speaks: "h2",
        more: "connections: {connectTimeout: 300ms}"
      )
      settings.endpoints = [held.endpoint]
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        try old.post("/", "body")
        let tokens = try (0..<10).map { _ in try new.request("GET", "/") }

        let answer = try old.response()
        #expect(answer.status == 504)
        #expect(answer.problem?["reason"] as? String == "connect-timeout")
        for token in tokens { #expect(try new.answer(token).status == 504) }
        #expect(try ServiceIdentityTests.failures(scene, "timeout") >= 1)
        #expect(try scene.metric("spillway_upstream_tls_handshakes_active") == 0)
        #expect(try scene.metric("spillway_upstream_h2_sessions") == 0)
        #expect(try scene.metric("spillway_connections{side=\"upstream\"}") == 0)
      }
    }

    @Test(arguments: Backend.allCases, [TLSVersion.tls12, .tls13])
    func `a service that wants our certificate and gets none refuses all streams`(
      backend: Backend,
      version: TLSVersion
    ) throws {
      let authority = WireAuthority.shared
      let service = try HTTP2Upstream.echo()
      let front = try TLSFront(h2: service) {
        $0.tls = {
          $0.applicationProtocols = [.http2]
          $0.maximumVersion = version
          $0.clientCertificates = .required(authorities: authority.bundle)
        }
      }
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, speaks: "h2")
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let new = try scene.http2()
        let tokens = try (0..<5).map { _ in try new.request("POST", "/", body: [120]) }
        for token in tokens {
          let answer = try new.answer(token)
          #expect(answer.status == 502)
          #expect(answer["proxy-status"]?.contains("tls_alert_received") == true)
        }
        #expect(service.requests.isEmpty)

        let own = authority.issue("partner")
        try scene.reload {
          $0 = .secureService(
            front,
            speaks: "h2",
            tls: "authorities: \(authority.bundle), serverName: edge.test, "
              + "certificate: \(own.certificate), key: \(own.key)"
          )
        }
        try eventually("it is shown") {
          try new.exchange("POST", "/", body: [120]).text == "POST / x"
        }
        #expect(front.tunnels.last?.peer?.dnsNames == ["partner"])
      }
    }

    @Test(arguments: Backend.allCases)
    func `pins and names are asked of HTTP/2 as well, and its sessions are resumed`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream.echo()
      let stranger = try TLSFront(WireAuthority.stranger.server, h2: service)
      let front = try TLSFront(h2: service)
      defer {
        stranger.stop()
        front.stop()
      }
      let settings = EdgeSettings.secureService(stranger, speaks: "h2")
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let client = try scene.client()
        let answer = try client.exchange()
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-certificate")
        #expect(try ServiceIdentityTests.failures(scene, "unknown-authority") == 1)

        try scene.reload { $0 = .secureService(front, speaks: "h2") }
        try eventually("the other is asked") { try client.exchange().status == 200 }
        for round in 1..<3 {
          service.closeConnections()
          try eventually("the connection is gone") {
            try scene.metric("spillway_connections{side=\"upstream\"}") == 0
          }
          #expect(try client.exchange().status == 200)
          #expect(front.tunnels.count == round + 1)
        }
        #expect(front.tunnels.map(\.isResumed) == [false, true, true])
        #expect(service.requests.count == 3)
      }
    }
  }
}
