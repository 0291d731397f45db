import Testing

extension WireTests {
  /// Whom a request goes to: outliers, weights, priorities, keys.
  struct ChoiceTests {
    private static func answering(_ status: Int, _ extra: String...) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in
        let lines = (["Content-Length: 0"] + extra).map { $0 + "\r\n" }.joined()
        try peer.send("HTTP/1.1 \(status) Scripted\r\n\(lines)\r\n")
      }
    }

    private static func settings(_ service: String) -> EdgeSettings {
      EdgeSettings(service: service).withoutAdmission
    }

    private static func ask(_ scene: Scene, _ count: Int) throws {
      let client = try scene.client()
      for number in 0..<count { _ = try client.exchange("GET", "/\(number)") }
    }

    private static let outlier =
      "balance: round-robin, outlier: {consecutive5xx: 5, baseEjection: 600s, "
      + "maximumEjection: 600s, maxEjectionPercent: 10}"

    @Test(arguments: Backend.allCases)
    func `an endpoint with five 5xx in a row is left out, one of three at most`(
      backend: Backend
    ) throws {
      try Scene.play(
        backend,
        Self.answering(500),
        Self.answering(200),
        Self.answering(200),
        settings: Self.settings(Self.outlier)
      ) { (scene: Scene) throws in
        try Self.ask(scene, 60)
        let counts = scene.upstreams.map(\.requests.count)
        #expect(counts[0] == 5)
        #expect(counts.reduce(0, +) == 60)
        #expect(
          try scene.metric("spillway_outlier_ejections_total{cause=\"consecutive-5xx\"}") == 1
        )
        #expect(try scene.metric("spillway_outlier_ejected{service=\"backend\"}") == 1)
        let text = try scene.admin("/admin/services?format=text").text
        #expect(text.contains("left out for"))
      }
      try Scene.play(
        backend,
        Self.answering(500),
        Self.answering(500),
        Self.answering(500),
        settings: Self.settings(Self.outlier)
      ) { (scene: Scene) throws in
        try Self.ask(scene, 60)
        #expect(try scene.metric("spillway_outlier_ejected{service=\"backend\"}") == 1)
        #expect(try scene.metric("spillway_outlier_overflows_total") > 0)
        #expect(scene.upstreams.filter { $0.requests.count > 10 }.count == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `connections that fail are failures of an endpoint, too`(backend: Backend) throws {
      let live = try ScriptedUpstream.echoingTarget()
      let resetting = try ScriptedUpstream { peer, _ in peer.reset() }
      try Scene.play(backend, live, resetting, settings: Self.settings(Self.outlier)) {
        (scene: Scene) throws in
        try Self.ask(scene, 30)
        #expect(resetting.requests.count == 5)
      }
    }

    @Test(arguments: Backend.allCases)
    func `weights are shares`(backend: Backend) throws {
      let upstreams = try [ScriptedUpstream.echoingTarget(), .echoingTarget()]
      var settings = EdgeSettings()
      settings.hasDefaultRoute = false
      settings.services = [
        "name: weighted, balance: round-robin, endpoints: "
          + "[{address: \"\(upstreams[0].endpoint)\", weight: 3}, \"\(upstreams[1].endpoint)\"]"
      ]
      settings.routes = [
        "name: w, match: {pathPrefix: /}, upstream: {service: weighted}, policies: {auth: none}"
      ]
      try Scene.play(backend, upstreams[0], upstreams[1], settings: settings) {
        (scene: Scene) throws in
        try Self.ask(scene, 40)
        #expect(scene.upstreams.map(\.requests.count) == [30, 10])
      }
    }

    @Test(arguments: Backend.allCases)
    func `a backup is asked once the first ones are out`(backend: Backend) throws {
      let upstreams = try [Self.answering(502), Self.answering(200)]
      var settings = EdgeSettings()
      settings.hasDefaultRoute = false
      // The service's own breaker sees one failure less in a row than it would take.
      settings.services = [
        "name: tiers, admission: {mode: \"off\"}, outlier: {consecutive5xx: 3, "
          + "maxEjectionPercent: 100, baseEjection: 600s, maximumEjection: 600s}, endpoints: "
          + "[\"\(upstreams[0].endpoint)\", {address: \"\(upstreams[1].endpoint)\", priority: 1}]"
      ]
      settings.routes = [
        "name: t, match: {pathPrefix: /}, upstream: {service: tiers}, policies: {auth: none}"
      ]
      try Scene.play(backend, upstreams[0], upstreams[1], settings: settings) {
        (scene: Scene) throws in
        try Self.ask(scene, 20)
        #expect(scene.upstreams.map(\.requests.count) == [3, 17])
      }
    }

    @Test(
      arguments: Backend.allCases,
      [("{header: X-User}", "X-User: "), ("{cookie: user}", "Cookie: a=b; user=")]
    )
    func `who has the same key goes to the same endpoint`(
      backend: Backend,
      key: (setting: String, field: String)
    ) throws {
      let settings = Self.settings("balance: {kind: ring-hash, key: \(key.setting)}")
      try Scene.play(
        backend,
        .echoingTarget(),
        .echoingTarget(),
        .echoingTarget(),
        settings: settings
      ) { (scene: Scene) throws in
        for user in 0..<12 {
          let before = scene.upstreams.map(\.requests.count)
          for _ in 0..<6 {
            let client = try scene.client()
            #expect(try client.exchange("GET", "/", "\(key.field)user-\(user)").status == 200)
          }
          let gained = zip(before, scene.upstreams.map(\.requests.count)).map { $1 - $0 }
          #expect(gained.sorted() == [0, 0, 6])
        }
        #expect(scene.upstreams.filter { !$0.requests.isEmpty }.count > 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `least-requests goes where nothing is under way`(backend: Backend) throws {
      let gate = Gate()
      try Scene.play(
        backend,
        .echoingTarget(behind: gate, at: "/held"),
        .echoingTarget(behind: gate, at: "/held"),
        .echoingTarget(behind: gate, at: "/held"),
        settings: Self.settings("balance: least-requests")
      ) { (scene: Scene) throws in
        defer { gate.open() }
        let holders = try (0..<2).map { held in
          let client = try scene.client()
          try client.request("GET", "/held")
          try eventually("it is held") {
            scene.upstreams.reduce(0) { $0 + $1.requests.count } == held + 1
          }
          return client
        }
        let free = try #require(scene.upstreams.first { $0.requests.isEmpty })
        try Self.ask(scene, 20)
        #expect(free.requests.count == 20)
        gate.open()
        for holder in holders { #expect(try holder.response().status == 200) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that asks for time is not asked while another can be`(
      backend: Backend
    ) throws {
      try Scene.play(
        backend,
        Self.answering(503, "Retry-After: 300"),
        .echoingTarget(),
        settings: EdgeSettings().withoutAdmission
      ) { (scene: Scene) throws in
        try Self.ask(scene, 40)
        #expect(scene.upstreams[0].requests.count <= 1)
        #expect(scene.upstreams[1].requests.count >= 39)
      }
    }
  }
}
