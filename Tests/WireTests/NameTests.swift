import Testing

extension WireTests {
  /// Endpoints that are names.
  struct NameTests {
    private static let lookups = "spillway_dns_lookups_total{outcome=\"ok\"}"

    @Test(arguments: Backend.allCases)
    func `a name that nobody knows does not keep the rest from being served`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(services: [
        "name: lost, endpoints: [\"nobody.invalid:80\"]"
      ])
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        #expect(try scene.client().exchange("GET", "/x").text == "/x")
        try eventually("it failed") {
          try scene.metric("spillway_dns_lookups_total{outcome=\"failed\"}") >= 1
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service behind a name has endpoints once the edge has started`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let settings = EdgeSettings(endpoints: ["localhost:\(upstream.port)"])
      try Scene.play(backend, upstream, settings: settings) { scene in
        // The answer is there before it is counted.
        try eventually("it is counted") { try scene.metric(Self.lookups) == 1 }
        // The upstream listens on one of the two addresses that localhost may have.
        try eventually("it is served") { try scene.client().exchange("GET", "/x").status == 200 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a name that came by a reload is served without another one`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: EdgeSettings(workers: 2)) { scene in
        #expect(try scene.client().exchange("GET", "/x").status == 200)

        try scene.reload { $0.endpoints = ["LocalHost:\(scene.upstream.port)"] }

        try eventually("it is looked up") { try scene.metric(Self.lookups) >= 1 }
        try eventually("it is served") { try scene.client().exchange("GET", "/y").status == 200 }
      }
    }
  }
}
