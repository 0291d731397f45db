import Foundation
import Testing

extension WireTests {
  /// What answers while there is nobody of a service to ask.
  struct FallbackTests {
    typealias Mood = BreakerTests.Mood

    /// One route to `backend`, a breaker that stays open once it is, and something to fall back to.
    private static func settings(
      _ fallback: String,
      service: String = "breaker: {consecutiveFailures: 3, open: 600s}",
      spare: ScriptedUpstream? = nil,
      spareFields: String = "admission: {mode: \"off\"}"
    ) -> EdgeSettings {
      var settings = EdgeSettings(service: service, hasDefaultRoute: false).withoutAdmission
      settings.routes = [
        "name: all, match: {pathPrefix: /}, policies: {auth: none}, "
          + "upstream: {service: backend, fallback: \(fallback)}"
      ]
      if let spare {
        settings.services = [
          "name: spare, endpoints: [\"\(spare.endpoint)\"]"
            + (spareFields.isEmpty ? "" : ", \(spareFields)")
        ]
      }
      return settings
    }

    private static func failing() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in try peer.respond(502, "x") }
    }

    private static func open(_ scene: Scene) throws {
      for _ in 0..<3 { #expect(try scene.client().exchange().status == 502) }
    }

    /// Opens the breaker while a request is on its way whose body has yet to come.
    private static func late(_ scene: Scene) throws -> RawClient {
      let late = try scene.client()
      try late.request("POST", "/late", "Content-Length: 4")
      try eventually("its head is there") { try scene.metric("spillway_exchanges_active") == 1 }
      try open(scene)
      return late
    }

    private static func count(_ scene: Scene, _ labels: String = "") throws -> Double {
      try scene.metric("spillway_fallbacks_total{\(labels)}")
    }

    @Test(arguments: Backend.allCases)
    func `another service answers while the breaker is open, and the log says why`(
      backend: Backend
    ) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      let spare = try ScriptedUpstream.echo()
      defer { spare.stop() }
      var settings = Self.settings("{service: spare}", spare: spare)
      settings.accessLog = "\"file:\(path)\""
      try Scene.play(backend, Self.failing(), settings: settings) { (scene: Scene) throws in
        try Self.open(scene)
        let client = try scene.client()
        #expect(try client.exchange("GET", "/one").text == "GET /one ")
        try client.post("/two", "body")
        #expect(try client.response().text == "POST /two body")
        #expect(scene.upstream.requests.count == 3)
        let labels = "route=\"all\",to=\"spare\",reason=\"breaker-open\""
        try eventually("they are counted") { try Self.count(scene, labels) == 2 }
        #expect(try scene.metric("spillway_local_replies_total{reason=\"breaker-open\"}") == 0)

        var text = ""
        try eventually("the lines are written") {
          text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return text.split(separator: "\n").count == 5
        }
        let lines = text.split(separator: "\n").filter { $0.contains("\"upstream\":\"spare\"") }
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.contains("\"fallback\":\"breaker-open\"") })
        #expect(text.split(separator: "\n")[0].contains("\"fallback\":null"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `an answer of its own goes out, and the connection stays`(backend: Backend) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      var settings = Self.settings(
        "{respond: {status: 203, body: stale, headers: [{name: x-from, value: edge}]}}"
      )
      settings.accessLog = "\"file:\(path)\""
      try Scene.play(backend, Self.failing(), settings: settings) { (scene: Scene) throws in
        try Self.open(scene)
        let client = try scene.client()
        try client.post("/", "body")
        let answer = try client.response()
        #expect(answer.status == 203)
        #expect(answer.text == "stale")
        #expect(answer["x-from"] == "edge")
        #expect(try client.exchange("GET", "/again").status == 203)
        #expect(scene.upstream.requests.count == 3)
        let labels = "route=\"all\",to=\"respond\",reason=\"breaker-open\""
        try eventually("they are counted") { try Self.count(scene, labels) == 2 }
        var text = ""
        try eventually("the lines are written") {
          text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return text.split(separator: "\n").count == 5
        }
        let lines = text.split(separator: "\n").filter { $0.contains("\"status\":203") }
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.contains("\"fallback\":\"breaker-open\"") })
      }
    }

    @Test(arguments: Backend.allCases)
    func `a fallback that is out itself gives the plain 503`(backend: Backend) throws {
      let spare = try Self.failing()
      defer { spare.stop() }
      let settings = Self.settings(
        "{service: spare}",
        spare: spare,
        spareFields: "breaker: {consecutiveFailures: 2, open: 600s}, admission: {mode: \"off\"}"
      )
      try Scene.play(backend, Self.failing(), settings: settings) { (scene: Scene) throws in
        try Self.open(scene)
        for _ in 0..<2 { #expect(try scene.client().exchange().status == 502) }
        let answer = try scene.client().exchange()
        #expect(answer.status == 503)
        #expect(answer.text.contains("\"reason\":\"breaker-open\""))
        #expect(answer["retry-after"] != nil)
        #expect(spare.requests.count == 2)
        try eventually("two went there") { try Self.count(scene) == 2 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request that was on its way when the breaker opened falls back, too`(
      backend: Backend
    ) throws {
      let spare = try ScriptedUpstream.echo()
      defer { spare.stop() }
      for fallback in ["{service: spare}", "{respond: {status: 203, body: stale}}"] {
        // With admission a body is waited for before the service is asked.
        for spareFields in ["", "admission: {mode: \"off\"}"] {
          var settings = Self.settings(fallback, spare: spare, spareFields: spareFields)
          settings.service = "breaker: {consecutiveFailures: 3, open: 600s}"
          try Scene.play(backend, Self.failing(), settings: settings) { (scene: Scene) throws in
            let late = try Self.late(scene)
            try late.send("body")
            let answer = try late.response()
            if fallback.contains("respond") {
              #expect(answer.status == 203)
              #expect(answer.text == "stale")
            } else {
              #expect(answer.status == 200)
              #expect(answer.text == "POST /late body")
            }
            // The connection goes on.
            #expect(try late.exchange("GET", "/next").status < 300)
            #expect(scene.upstream.requests.count == 3)
            try eventually("both are counted") { try Self.count(scene) == 2 }
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service of HTTP/2 falls back to one of HTTP/1.1 and the other way round`(
      backend: Backend
    ) throws {
      let spare = try ScriptedUpstream.echo()
      defer { spare.stop() }
      let refusing = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        try peer.respond(request, 502, body: [])
      }
      var settings = Self.settings("{service: spare}", spare: spare)
      try Scene.play(backend, h2c: refusing, settings: settings) { (scene: Scene) throws in
        try Self.open(scene)
        #expect(try scene.client().exchange("GET", "/x").text == "GET /x ")
        let client = try scene.http2()
        #expect(try client.exchange("POST", "/y", body: Array("abc".utf8)).text == "POST /y abc")
      }

      let echo = try HTTP2Upstream.echo()
      defer { echo.stop() }
      settings = Self.settings("{service: spare}")
      settings.services = [
        "name: spare, protocol: h2c, endpoints: [\"\(echo.endpoint)\"], admission: {mode: \"off\"}"
      ]
      settings.service = "breaker: {consecutiveFailures: 3, open: 600s}"
      try Scene.play(backend, Self.failing(), settings: settings) { (scene: Scene) throws in
        let late = try Self.late(scene)
        try late.send("body")
        #expect(try late.response().text == "POST /late body")
      }
    }

    @Test(arguments: Backend.allCases)
    func `what checks find nobody of, and what an operator drained, falls back`(
      backend: Backend
    ) throws {
      let down = Self.settings(
        "{respond: {status: 203, body: down}}",
        service: "health: {path: /healthz, interval: 10ms, timeout: 30s}"
      )
      let upstream = try CheckScene.upstream(Mood(500))
      try Scene.play(backend, upstream, settings: down) { (scene: Scene) throws in
        try eventually("nobody is left") { try scene.metric("spillway_service_outage") == 1 }
        // Once a second the service is asked all the same.
        try eventually("it falls back") { try scene.client().exchange().text == "down" }
        let labels = "reason=\"no-healthy-endpoint\""
        try eventually("it is counted") { try Self.count(scene, labels) >= 1 }
      }

      let drained = Self.settings("{respond: {status: 203, body: drained}}")
      try Scene.play(backend, .echoingTarget(), settings: drained) { (scene: Scene) throws in
        let client = try RawClient(port: scene.edge.adminPort)
        defer { client.close() }
        let endpoint = scene.upstream.endpoint
        try client.send(
          "POST /admin/services/endpoint?service=backend&endpoint=\(endpoint)&order=drain "
            + "HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        #expect(try client.response().status == 200)
        try eventually("it falls back") { try scene.client().exchange().text == "drained" }
        try eventually("it is counted") {
          try Self.count(scene, "reason=\"no-endpoint\"") >= 1
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload changes what stands in`(backend: Backend) throws {
      let settings = Self.settings("{respond: {status: 203, body: before}}")
      try Scene.play(backend, Self.failing(), settings: settings) { (scene: Scene) throws in
        try Self.open(scene)
        #expect(try scene.client().exchange().text == "before")
        try scene.reload { $0 = Self.settings("{respond: {status: 203, body: after}}") }
        try eventually("the new one answers") {
          try scene.client().exchange().text == "after"
        }
      }
    }
  }
}
