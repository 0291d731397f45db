import HTTPCodec
import Testing
import Units

extension WireTests {
  /// How much is under way between clients and a session towards a service, and how many.
  struct ServiceFlowTests {
    private static let mebibyte = [UInt8](repeating: 120, count: 1 << 20)

    @Test(arguments: Backend.allCases)
    func `a client that does not read holds up its own stream only`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        guard request.target == "/large" else { return try peer.respond(request, 200, body: [120]) }
        try peer.respond(
          request,
          200,
          body: Self.mebibyte + Self.mebibyte + Self.mebibyte + Self.mebibyte
        )
      }
      try Scene.play(backend, h2c: service) { scene in
        let slow = try scene.http2()
        slow.reads = false
        let token = try slow.request("GET", "/large")
        try slow.wait("a full window") { ($0.answers[token]?.body.count ?? 0) >= 65_535 }

        let other = try scene.http2()
        for _ in 0..<50 { #expect(try other.exchange().text == "x") }
        let received = try scene.metric("spillway_bytes_total{side=\"upstream\",direction=\"in\"}")
        #expect(received >= 65_535 && received < 1_000_000, "what is read of it is bounded")
        try slow.readOn()

        #expect(try slow.answer(token).body.count == 4 << 20)
        #expect(scene.service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that does not read holds up the client`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        if moment == .head, request.target == "/large" { peer.reads = false }
        if moment == .end, request.target == "/go" {
          try peer.readOn()
        }
        if moment == .end {
          try peer.respond(request, 200, body: Array("\(request.body.count)".utf8))
        }
      }
      try Scene.play(backend, h2c: service) { scene in
        let client = try scene.http2()
        let token = try client.request("POST", "/large", body: Self.mebibyte)
        try client.wait("some of it is sent") { $0.sent(token) >= 65_535 }

        for _ in 0..<20 { #expect(try client.exchange().text == "0") }
        #expect(client.sent(token) < 600_000, "no more than windows and watermarks hold")
        #expect(try client.exchange("GET", "/go").text == "0")

        #expect(try client.answer(token).text == "\(Self.mebibyte.count)")
        #expect(scene.service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `more streams than the service allows get further connections`(backend: Backend) throws {
      let service = try HTTP2Upstream(settings: H2Settings(maximumStreams: 2)) {
        peer,
        request,
        moment in
        guard moment == .end else { return }
        try peer.respond(request, 200, body: [120])
      }
      try Scene.play(backend, h2c: service, settings: EdgeSettings().withoutAdmission) { scene in
        let client = try scene.http2()
        #expect(try client.exchange("GET", "/first").text == "x")

        let tokens = try (0..<60).map { _ in
          try client.request("POST", "/", body: [1], isLast: false)
        }
        try eventually("all are there") { scene.service.requests.count >= 61 }
        for token in tokens { try client.send([2], on: token, isLast: true) }

        for token in tokens { #expect(try client.answer(token).status == 200) }
        #expect(scene.service.acceptedConnections >= 30)
      }
    }

    @Test(arguments: Backend.allCases)
    func `no room: the usual reply, and again room once a stream ends`(backend: Backend) throws {
      let service = try HTTP2Upstream(settings: H2Settings(maximumStreams: 1)) {
        peer,
        request,
        moment in
        if moment == .end { try peer.respond(request, 200, body: request.body) }
      }
      var settings = EdgeSettings()
      settings.service = "connections: {maximum: 1}"
      try Scene.play(backend, h2c: service, settings: settings) { scene in
        let client = try scene.http2()
        #expect(try client.exchange().status == 200)
        let held = try client.request("POST", "/", body: [120], isLast: false)
        try eventually("it is there") { scene.service.requests.count == 2 }

        let refused = try client.exchange()
        #expect(refused.status == 503)
        #expect(refused.text.contains("connection-limit"))
        try client.send([121], on: held, isLast: true)
        #expect(try client.answer(held).text == "xy")

        #expect(try client.exchange().status == 200)
        #expect(scene.service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `idle sessions give way to another endpoint's`(backend: Backend) throws {
      var settings = EdgeSettings()
      settings.service = "balance: round-robin, connections: {maximum: 1}"
      try Scene.play(backend, h2c: .echo(), .echo(), settings: settings) { scene in
        let client = try scene.http2()

        for _ in 0..<4 { #expect(try client.exchange().status == 200) }

        #expect(scene.services.map(\.requests.count) == [2, 2])
        #expect(scene.services.map(\.acceptedConnections) == [2, 2])
        #expect(try scene.metric("spillway_upstream_h2_sessions") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a burst before anything is known of the service is served`(backend: Backend) throws {
      try Scene.play(backend, h2c: .echo(), settings: EdgeSettings().withoutAdmission) { scene in
        let clients = try (0..<4).map { _ in try scene.http2() }

        let tokens = try clients.map { client in
          try (0..<90).map { try client.request("POST", "/\($0)", body: Array("body".utf8)) }
        }
        for (client, tokens) in zip(clients, tokens) {
          for (number, token) in tokens.enumerated() {
            #expect(try client.answer(token).text == "POST /\(number) body")
          }
        }

        #expect(scene.service.requests.count == 360)
        #expect(scene.service.acceptedConnections <= 4)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an idle session says goodbye and ends`(backend: Backend) throws {
      var settings = EdgeSettings()
      settings.service = "connections: {idle: 100ms}"
      try Scene.play(backend, h2c: .echo(), settings: settings) { scene in
        let client = try scene.http2()
        #expect(try client.exchange().status == 200)

        try eventually("it has ended") { scene.service.openConnections == 0 }
        #expect(scene.service.farewells == [.noError])
        try eventually("nothing is counted") {
          try scene.metric("spillway_upstream_h2_sessions") == 0
            && scene.metric("spillway_connections{side=\"upstream\"}") == 0
            && scene.metric("spillway_upstream_pool_connections") == 0
        }
        #expect(try client.exchange().status == 200)
        #expect(scene.service.acceptedConnections == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a peer that is silent is asked, and given up`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        if request.target == "/silence" { peer.isSilent = true }
        if moment == .end, !peer.isSilent { try peer.respond(request, 200, body: [120]) }
      }
      var settings = EdgeSettings()
      settings.service = "connections: {pingAfter: 200ms, pingTimeout: 3s}"
      settings.policies = "timeoutMs: 30000"
      try Scene.play(backend, h2c: service, settings: settings) { scene in
        let client = try scene.http2()
        #expect(try client.exchange().text == "x")

        let answer = try client.exchange("POST", "/silence", body: [])

        #expect(answer.status == 502)
        #expect(try scene.metric("spillway_upstream_h2_pings_unanswered_total") == 1)
        #expect(try client.exchange().text == "x")
        #expect(scene.service.acceptedConnections == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload lets sessions of endpoints that left end with their streams`(
      backend: Backend
    ) throws {
      let first = try HTTP2Upstream.echo()
      let second = try HTTP2Upstream.echo()
      var settings = EdgeSettings()
      settings.endpoints = [first.endpoint]
      try Scene.play(backend, h2c: first, second, settings: settings) { scene in
        let client = try scene.http2()
        let token = try client.request("POST", "/old", body: [120], isLast: false)
        try eventually("it is there") { first.requests.count == 1 }

        try scene.reload {
          $0.service = "protocol: h2c"
          $0.endpoints = [second.endpoint]
        }
        try eventually("the new one is asked") {
          _ = try client.exchange("GET", "/new")
          return !second.requests.isEmpty
        }
        #expect(first.openConnections == 1)
        try client.send([121], on: token, isLast: true)

        #expect(try client.answer(token).text == "POST /old xy")
        try eventually("the old session has ended") { first.openConnections == 0 }
      }
    }
  }
}
