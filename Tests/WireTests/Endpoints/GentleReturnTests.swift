import Testing

extension WireTests {
  /// Who joins or comes back gets a part of the requests first.
  struct GentleReturnTests {
    private typealias Mood = BreakerTests.Mood

    private static func upstream(_ mood: Mood = Mood(200)) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in try peer.respond(mood.status, "x") }
    }

    private static func settings(_ service: String) -> EdgeSettings {
      EdgeSettings(service: service).withoutAdmission
    }

    /// How many of so many requests each upstream gets.
    private static func shares(_ scene: Scene, of count: Int) throws -> [Int] {
      let before = scene.upstreams.map(\.requests.count)
      let client = try scene.client()
      for number in 0..<count {
        #expect(try client.exchange("GET", "/\(number)").status == 200)
      }
      return zip(scene.upstreams, before).map { $0.requests.count - $1 }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that joins others begins with a tenth of its share`(
      backend: Backend
    ) throws {
      // So long that the share does not grow while the test runs.
      let settings = Self.settings("balance: round-robin, slowStart: 600s")
      try Scene.play(
        backend,
        Self.upstream(),
        Self.upstream(),
        Self.upstream(),
        settings: settings
      ) { (scene: Scene) throws in
        let all = scene.upstreams.map(\.endpoint)
        try scene.reload { $0.endpoints = Array(all.prefix(2)) }
        #expect(try Self.shares(scene, of: 20) == [10, 10, 0])

        try scene.reload { $0.endpoints = all }
        let shares = try Self.shares(scene, of: 400)
        // 14 are expected and 133 would be a whole share; none is chance once in a million.
        #expect((1...45).contains(shares[2]), "\(shares)")
        #expect(abs(shares[0] - shares[1]) < 40, "\(shares)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `its share grows to a whole one`(backend: Backend) throws {
      let settings = Self.settings("balance: round-robin, slowStart: 200ms")
      try Scene.play(backend, Self.upstream(), Self.upstream(), settings: settings) {
        (scene: Scene) throws in
        let all = scene.upstreams.map(\.endpoint)
        try scene.reload { $0.endpoints = [all[0]] }
        #expect(try Self.shares(scene, of: 10) == [10, 0])

        try scene.reload { $0.endpoints = all }
        try eventually("both get the same") { try Self.shares(scene, of: 20) == [10, 10] }
      }
    }

    @Test(arguments: Backend.allCases)
    func `behind its probes a service gets a tenth of the requests first`(
      backend: Backend
    ) throws {
      let mood = Mood(504)
      let settings = Self.settings(
        "breaker: {consecutiveFailures: 3, open: 20ms, maximumOpen: 40ms, probes: 3, ramp: 600s}"
      )
      try Scene.play(backend, Self.upstream(mood), settings: settings) { (scene: Scene) throws in
        let client = try scene.client()
        for _ in 0..<3 { #expect(try client.exchange().status == 504) }
        mood.status = 200
        let ramp = "spillway_breaker_state{service=\"backend\",endpoint=\"\",state=\"ramp\"}"
        try eventually("its probes are through") {
          _ = try client.exchange()
          return try scene.metric(ramp) == 1
        }

        var served = 0
        for _ in 0..<400 {
          let answer = try client.exchange()
          served += answer.status == 200 ? 1 : 0
          guard answer.status != 200 else { continue }
          #expect(answer.status == 503)
          #expect(answer.text.contains("\"reason\":\"breaker-open\""))
        }
        // 40 are expected.
        #expect((10...100).contains(served), "\(served)")
        #expect(try scene.metric(ramp) == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint of HTTP/2 that fails is left out, and comes back by and by`(
      backend: Backend
    ) throws {
      let moods = [Mood(500), Mood(200), Mood(200)]
      let services = try moods.map { mood in
        try HTTP2Upstream { peer, request, moment in
          guard moment == .end else { return }
          try peer.respond(request, mood.status)
        }
      }
      let settings = Self.settings(
        "balance: round-robin, outlier: {consecutive5xx: 5, maxEjectionPercent: 50, "
          + "baseEjection: 1s, maximumEjection: 1s, heal: 600s}"
      )
      try Scene.play(backend, h2c: services[0], services[1], services[2], settings: settings) {
        (scene: Scene) throws in
        let ejected = "spillway_outlier_ejected{service=\"backend\"}"
        let client = try scene.client()
        var failures = 0
        try eventually("it is left out") {
          failures += try client.exchange().status == 500 ? 1 : 0
          return try scene.metric(ejected) == 1
        }
        #expect(failures == 5)

        moods[0].status = 200
        try eventually("its time is over") { try scene.metric(ejected) == 0 }
        let before = services.map(\.requests.count)
        for _ in 0..<400 { #expect(try client.exchange().status == 200) }
        let shares = zip(services, before).map { $0.requests.count - $1 }
        // 14 are expected and 133 would be a whole share.
        #expect((1...45).contains(shares[0]), "\(shares)")
      }
    }
  }
}
