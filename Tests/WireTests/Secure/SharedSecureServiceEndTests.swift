import HTTPCodec
import TLS
import Testing
import Units

extension WireTests {
  /// HTTP/2 over TLS towards services that are slow, silent, refuse or are cut off.
  struct SharedSecureServiceEndTests {
    @Test(arguments: Backend.allCases)
    func `a large body waits for a slow reader, another stream does not`(backend: Backend) throws {
      let body = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.respond(request, 200, body: request.target == "/big" ? body : request.body)
      }
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      var settings = EdgeSettings.secureService(front, speaks: "h2")
      settings.policies = "timeoutMs: 30000"
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let slow = try scene.client(receiveBuffer: 8_192)
        try slow.request("GET", "/big")
        let quick = try scene.http2()
        for _ in 0..<20 {
          #expect(try quick.exchange("POST", "/", body: [120, 121]).text == "xy")
        }
        let response = try slow.response(within: .seconds(30))
        #expect(response.isComplete && response.body == body)
        #expect(front.tunnels.count == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a peer that is silent below TLS is asked by PING, and given up`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        if request.target == "/silence" { peer.isSilent = true }
        if moment == .end, !peer.isSilent { try peer.respond(request, 200, body: [120]) }
      }
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      var settings = EdgeSettings.secureService(
        front,
        speaks: "h2",
        more: "connections: {pingAfter: 200ms, pingTimeout: 3s}"
      )
      settings.policies = "timeoutMs: 30000"
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let client = try scene.http2()
        #expect(try client.exchange().text == "x")
        #expect(try client.exchange("POST", "/silence", body: []).status == 502)
        #expect(try scene.metric("spillway_upstream_h2_pings_unanswered_total") == 1)
        try eventually("another connection serves") { try client.exchange().text == "x" }
      }
    }

    @Test(arguments: Backend.allCases, ["h2", "auto"])
    func `what was refused goes to another endpoint, a POST as well`(
      backend: Backend,
      spoken: String
    ) throws {
      let busy = try HTTP2Upstream { peer, request, moment in
        if moment == .end { try peer.reset(request, .refusedStream) }
      }
      let service = try HTTP2Upstream.echo()
      let (first, second) = (try TLSFront(h2: busy), try TLSFront(h2: service))
      defer {
        first.stop()
        second.stop()
        busy.stop()
      }
      let settings = EdgeSettings.secureService(
        first,
        second,
        speaks: spoken,
        more: "balance: round-robin"
      )
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let client = try scene.client()
        for number in 0..<6 {
          try client.post("/\(number)", "body")
          #expect(try client.response().text == "POST /\(number) body")
        }
        let repeats = try scene.metric("spillway_upstream_h2_repeats_total")
        #expect(repeats >= 1 && repeats == Double(busy.requests.count))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a session cut without close_notify fails what it carries, and only that`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end, request.target != "/wait" else { return }
        try peer.respond(request, 200, body: request.body)
      }
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, speaks: "h2")
      try Scene.play(backend, nil, behind: service, settings: settings) { scene in
        let waiting = try scene.client()
        let other = try scene.client()
        try waiting.post("/wait", "x")
        try eventually("it is there") { service.requests.count == 1 }
        front.tunnels.first?.cut()
        let answer = try waiting.response()
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-reset")
        try other.post("/", "again")
        #expect(try other.response().text == "again")
        #expect(
          try scene.metric("spillway_upstream_tls_faults_total{reason=\"truncated\"}") == 1
        )
      }
    }
  }
}
