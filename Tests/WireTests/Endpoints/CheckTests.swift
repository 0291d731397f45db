import Foundation
import Testing

extension WireTests {
  /// Health checks on the wire: who is asked, what becomes of requests, and what hostile services do.
  struct CheckTests {
    typealias Mood = BreakerTests.Mood

    @Test(arguments: Backend.allCases)
    func `an endpoint that fails its checks leaves the choice, and comes back`(
      backend: Backend
    ) throws {
      let mood = Mood(200)
      try Scene.play(
        backend,
        CheckScene.upstream(mood),
        CheckScene.upstream(Mood(200)),
        settings: CheckScene.settings()
      ) { (scene: Scene) throws in
        let first = scene.upstreams[0]
        try scene.awaitTold("2 of 2 endpoints up")
        mood.status = 503
        try scene.awaitTold("down by its checks")
        #expect(try scene.isDown(first.endpoint))
        let before = first.served
        for _ in 0..<20 { #expect(try scene.client().exchange().status == 200) }
        #expect(first.served == before)
        #expect(try scene.checks("unexpected-answer") >= 3)

        mood.status = 204
        try scene.awaitTold("2 of 2 endpoints up")
        let client = try scene.client()
        try eventually("it gets requests again") {
          let answer = try client.exchange()
          #expect(answer.status == 200)
          return first.served > before
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `failures that are fewer than the threshold change nothing`(backend: Backend) throws {
      let flapping = try ScriptedUpstream { peer, request in
        // Every connection is one check: two fail, the third does not.
        let fails = request.target == CheckScene.path && peer.connection % 3 > 0
        try peer.respond(fails ? 500 : 200, "x")
      }
      try Scene.play(backend, flapping, settings: CheckScene.settings()) { (scene: Scene) throws in
        try eventually("it flapped for a while") {
          #expect(try !scene.isDown(scene.upstream.endpoint))
          return try scene.checks("unexpected-answer") >= 20
        }
        #expect(try scene.told().contains("1 of 1 endpoints up"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `while nobody works requests are refused at once, and return when somebody does`(
      backend: Backend
    ) throws {
      let mood = Mood(503)
      try Scene.play(
        backend,
        CheckScene.upstream(mood, requests: mood),
        settings: CheckScene.settings()
      ) { (scene: Scene) throws in
        try scene.awaitTold("nobody is left")
        #expect(try scene.metric("spillway_service_outage{service=\"backend\"}") == 1)
        var refusal: RawResponse?
        // Asked a thousand times, on a connection each, the edge would refuse its client for that.
        let client = try scene.client()
        // One a second is let through, and is answered by the service.
        try eventually("one is refused") {
          let answer = try client.exchange()
          #expect(answer.status == 503)
          if answer.text.contains("\"reason\":\"no-healthy-endpoint\"") { refusal = answer }
          return refusal != nil
        }
        #expect(refusal?["proxy-status"] == "spillway; error=destination_unavailable")
        #expect(Int(refusal?["retry-after"]?.filter { $0 != " " } ?? "") ?? 0 >= 1)
        #expect(
          try scene.metric("spillway_local_replies_total{reason=\"no-healthy-endpoint\"}") >= 1
        )

        mood.status = 200
        try eventually("it serves") {
          _ = try client.exchange()
          return try scene.admin("/admin/services").text
            .contains("\"outage\":{\"state\":\"serving\",\"isDoubted\":false}")
        }
        for _ in 0..<10 { #expect(try client.exchange().status == 200) }
      }
    }

    @Test(arguments: Backend.allCases, ["http1", "h2c"])
    func `a check takes as large a head as a request does`(
      backend: Backend,
      spoken: String
    ) throws {
      let settings = CheckScene.settings()
      let fields = (0..<150).map { ("x-\($0)", "y") }
      let lines = fields.map { "\($0): \($1)\r\n" }.joined()
      @Sendable func play(_ scene: Scene) throws {
        try scene.awaitTold("1 of 1 endpoints up")
        #expect(try scene.client().exchange().status == 200)
      }
      if spoken == "http1" {
        let upstream = try ScriptedUpstream { peer, _ in
          try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\(lines)\r\n")
        }
        try Scene.play(backend, upstream, settings: settings, play)
      } else {
        let service = try HTTP2Upstream { peer, request, moment in
          if moment == .end { try peer.respond(request, 200, fields) }
        }
        try Scene.play(backend, h2c: service, settings: settings, play)
      }
    }

    @Test(arguments: Backend.allCases)
    func `checks that fail while requests succeed are not believed, until one fails`(
      backend: Backend
    ) throws {
      let requests = Mood(200)
      try Scene.play(
        backend,
        CheckScene.upstream(Mood(404), requests: requests),
        settings: CheckScene.settings()
      ) { (scene: Scene) throws in
        try scene.awaitTold("nobody is left")
        let client = try scene.client()
        try eventually("it serves all the same") {
          _ = try client.exchange()
          return try scene.admin("/admin/services").text
            .contains("\"outage\":{\"state\":\"serving\",\"isDoubted\":true}")
        }
        for _ in 0..<10 { #expect(try client.exchange().status == 200) }
        requests.status = 502
        #expect(try client.exchange().status == 502)
        try scene.awaitTold("nobody is left")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a new endpoint gets requests once its first check succeeded`(backend: Backend) throws {
      let gate = Gate()
      let joining = try ScriptedUpstream { peer, request in
        if request.target == CheckScene.path { gate.wait() }
        try peer.respond(200, "x")
      }
      try Scene.play(
        backend,
        CheckScene.upstream(Mood(200)),
        joining,
        settings: CheckScene.settings()
      ) { (scene: Scene) throws in
        defer { gate.open() }
        try scene.reload { $0.endpoints = [scene.upstreams[0].endpoint] }
        try scene.awaitTold("1 of 1 endpoints up")
        let before = joining.acceptedConnections
        try scene.reload { _ in }
        try eventually("it is being checked") { joining.acceptedConnections > before }
        for _ in 0..<20 { #expect(try scene.client().exchange().status == 200) }
        #expect(joining.served == 0)
        gate.open()
        let client = try scene.client()
        try eventually("it serves") {
          let answer = try client.exchange()
          #expect(answer.status == 200)
          return joining.served > 0
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload keeps what is known, and an endpoint that is gone is not checked any more`(
      backend: Backend
    ) throws {
      try Scene.play(
        backend,
        CheckScene.upstream(Mood(500)),
        CheckScene.upstream(Mood(200)),
        settings: CheckScene.settings()
      ) { (scene: Scene) throws in
        let (bad, good) = (scene.upstreams[0], scene.upstreams[1])
        try eventually("the bad one is known") { try scene.isDown(bad.endpoint) }
        try scene.awaitTold("1 of 2 endpoints up")
        let checked = bad.checks.count
        // From now on nobody finds out anew.
        try scene.reload { settings in
          settings.service = settings.service.replacing("interval: 10ms", with: "interval: 3600s")
        }
        for _ in 0..<20 { #expect(try scene.client().exchange().status == 200) }
        #expect(bad.served == 0)
        #expect(try scene.isDown(bad.endpoint))
        #expect(checked > 0)

        try scene.reload { $0.endpoints = [good.endpoint] }
        try scene.awaitTold("1 of 1 endpoints up")
        try eventually("the others are checked") { good.checks.count > 5 }
        let (last, others) = (bad.acceptedConnections, good.checks.count)
        try eventually("time goes by") { good.checks.count > others + 40 }
        // One that was on its way may have been taken late; forty would have come.
        #expect(bad.acceptedConnections <= last + 5)
        // Its place is empty: when it joins again, nothing is known of it.
        let gone = bad.acceptedConnections
        try scene.reload { _ in }
        try eventually("it is checked anew") { try scene.isDown(bad.endpoint) }
        #expect(bad.acceptedConnections > gone)
      }
    }

    @Test(arguments: Backend.allCases)
    func `workers share the checks: each endpoint is checked by one of them`(
      backend: Backend
    ) throws {
      let gate = Gate()
      func held() throws -> ScriptedUpstream {
        try ScriptedUpstream { peer, _ in
          gate.wait()
          try peer.respond(200, "x")
        }
      }
      var settings = CheckScene.settings()
      settings.workers = 2
      try Scene.play(
        backend,
        held(),
        held(),
        CheckScene.upstream(Mood(200)),
        CheckScene.upstream(Mood(200)),
        settings: settings
      ) { (scene: Scene) throws in
        defer { gate.open() }
        try eventually("all are checked, by both workers") {
          scene.upstreams[2...].allSatisfy { $0.checks.count >= 30 }
            && scene.upstreams[..<2].allSatisfy { $0.checks.count >= 1 }
        }
        // A second worker would have come meanwhile, thirty times.
        #expect(scene.upstreams[..<2].allSatisfy { $0.acceptedConnections == 1 })
      }
    }

    @Test(arguments: Backend.allCases)
    func `checks are no requests: nothing is counted, kept or limited`(backend: Backend) throws {
      let settings = CheckScene.settings("host: shop.internal", "connections: {maximum: 1}")
      try Scene.play(backend, CheckScene.upstream(Mood(200)), settings: settings) {
        (scene: Scene) throws in
        try eventually("it is checked") { scene.upstream.checks.count >= 5 }
        #expect(try scene.metric("spillway_requests_total") == 0)
        #expect(try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") == 0)
        // Each has its own connection, and says who asks.
        let checks = scene.upstream.checks
        #expect(Set(checks.map(\.connection)).count == checks.count)
        #expect(checks.allSatisfy { $0.method == "GET" && $0["host"] == "shop.internal" })
        #expect(checks.allSatisfy { $0["user-agent"] == "spillway-health" })
        // A client's connection stays where checks come and go.
        let client = try scene.client()
        for _ in 0..<20 { #expect(try client.exchange().status == 200) }
        let requests = scene.upstream.requests.filter { $0.target != CheckScene.path }
        #expect(Set(requests.map(\.connection)).count == 1)
      }
    }

    /// A service, and what its checks come to.
    private static func expect(
      _ result: String,
      _ backend: Backend,
      _ service: ScriptedUpstream,
      _ more: String = ""
    ) throws {
      let settings = EdgeSettings(
        service: "health: {path: /healthz, interval: 10ms" + (more.isEmpty ? "" : ", \(more)") + "}"
      ).withoutAdmission
      try Scene.play(backend, service, settings: settings) { (scene: Scene) throws in
        try eventually(result) {
          try scene.isDown(scene.upstream.endpoint) && scene.checks(result) >= 3
        }
        #expect(try scene.checks("success") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that hangs, dribbles or never ends costs its time and no more`(
      backend: Backend
    ) throws {
      try Self.expect(
        "timeout",
        backend,
        ScriptedUpstream { peer, _ in try peer.hang() },
        "timeout: 30ms"
      )
      let dribbling = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nX: ")
        while true {
          try peer.send("y")
          usleep(5_000)
        }
      }
      try Self.expect("timeout", backend, dribbling, "timeout: 60ms")
      // With one interim response after the other there is no end in sight, and a bound on bytes.
      let interim = try ScriptedUpstream { peer, _ in
        while true { try peer.send("HTTP/1.1 102 Processing\r\n\r\n") }
      }
      try Self.expect("broken", backend, interim, "timeout: 10s")
    }

    @Test(arguments: Backend.allCases)
    func `what is no answer is a failure by name`(backend: Backend) throws {
      func saying(_ text: String) throws -> ScriptedUpstream {
        try ScriptedUpstream { peer, _ in
          try peer.send(text)
          peer.close()
        }
      }
      let patient = "timeout: 10s"
      try Self.expect("broken", backend, saying(""), patient)
      try Self.expect("broken", backend, saying("HTTP/1.1 200 OK\r\nX: "), patient)
      try Self.expect("broken", backend, saying("\u{16}\u{3}\u{1} garbage\r\n\r\n"), patient)
      let huge = String(repeating: "x", count: 20_000)
      try Self.expect("broken", backend, saying("HTTP/1.1 200 OK\r\nX: \(huge)"), patient)
      let many = String(repeating: "x: y\r\n", count: 257)
      try Self.expect("broken", backend, saying("HTTP/1.1 200 OK\r\n\(many)\r\n"), patient)
      let moved = "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"
      try Self.expect("unexpected-answer", backend, saying(moved), patient)
      let plain = try saying("HTTP/1.1 200 OK\r\n\r\n")
      try Self.expect("unexpected-answer", backend, plain, "\(patient), statuses: [204]")
    }

    @Test(arguments: Backend.allCases)
    func `the head decides, whatever body would follow`(backend: Backend) throws {
      let gate = Gate()
      let endless = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Le")
        try peer.send("ngth: 1000000\r\n\r\nabc")
        gate.wait()
      }
      try Scene.play(backend, endless, settings: CheckScene.settings()) { (scene: Scene) throws in
        defer { gate.open() }
        try eventually("it is up") { try scene.checks("success") >= 3 }
        #expect(try !scene.isDown(scene.upstream.endpoint))
      }
    }

    @Test(arguments: Backend.allCases)
    func `kind tcp wants a connection and says nothing on it`(backend: Backend) throws {
      let settings = EdgeSettings(service: "health: {kind: tcp, interval: 10ms, timeout: 10s}")
        .withoutAdmission
      try Scene.play(backend, .echoingTarget(), settings: settings) { (scene: Scene) throws in
        try eventually("it is up") { try scene.checks("success") >= 5 }
        #expect(scene.upstream.requests.isEmpty)
        try scene.upstream.goAway()
        try eventually("it is down") { try scene.isDown(scene.upstream.endpoint) }
        #expect(try scene.checks("connect-failure") >= 3)
        try scene.upstream.comeBack()
        try eventually("it is up again") { try !scene.isDown(scene.upstream.endpoint) }
        try eventually("it serves") { try scene.client().exchange("GET", "/x").text == "/x" }
      }
    }
  }
}
