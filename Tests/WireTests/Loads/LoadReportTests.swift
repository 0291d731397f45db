import Foundation
import Testing

extension WireTests {
  /// What services say of their load, in heads and trailers of either version of HTTP.
  struct LoadReportTests {
    private static let name = "endpoint-load-metrics"

    /// A service that reports a rate with half of itself in use.
    private static func reporting(_ rate: Int) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in
        let report = "TEXT application_utilization=0.5,rps_fractional=\(rate)"
        try peer.respond(200, "", "Endpoint-Load-Metrics: \(report)", "X-Kept: 1")
      }
    }

    private static func settings(_ service: String) -> EdgeSettings {
      EdgeSettings(service: service).withoutAdmission
    }

    private static func ask(_ client: RawClient, _ count: Int) throws {
      for _ in 0..<count { #expect(try client.exchange("GET", "/").status == 200) }
    }

    private static func object(_ scene: Scene) throws -> [String: Any] {
      let services = try scene.explanation()["services"] as? [[String: Any]]
      return try #require(services?.first)
    }

    /// The utilizations of the service's endpoints, `nil` where there is none.
    private static func utilizations(_ scene: Scene) throws -> [Double?] {
      let endpoints = try #require(try object(scene)["endpoints"] as? [[String: Any]])
      return try endpoints.map {
        try #require($0["load"] as? [String: Any])["utilization"] as? Double
      }
    }

    @Test(arguments: Backend.allCases)
    func `shares follow what endpoints report they can do`(backend: Backend) throws {
      try Scene.play(
        backend,
        Self.reporting(100),
        Self.reporting(300),
        settings: Self.settings("balance: round-robin, loadReports: {blackout: 0s}")
      ) { (scene: Scene) throws in
        let client = try scene.client()
        try Self.ask(client, 2)
        // Weights are looked at anew ten times a second.
        try eventually("weights are in use") {
          let before = scene.upstreams.map(\.requests.count)
          try Self.ask(client, 40)
          let after = scene.upstreams.map(\.requests.count)
          return [after[0] - before[0], after[1] - before[1]] == [10, 30]
        }
        #expect(try Self.utilizations(scene) == [0.5, 0.5])
        let metrics = try scene.metrics()
        let weights = try scene.upstreams.map {
          try metrics.sum("spillway_endpoint_weight{endpoint=\"\($0.endpoint)\"}")
        }
        #expect(weights == [50, 150])
        #expect(try metrics.sum("spillway_endpoint_reported_utilization") == 1)
        let total = Double(scene.upstreams.map(\.requests.count).reduce(0, +))
        try eventually("reports are counted") {
          try scene.metric("spillway_load_reports_total{result=\"weight\"}") == total
        }
        let text = try scene.admin("/admin/services?format=text").text
        #expect(text.contains("load: 2 of 2 endpoints report theirs, 50% to 50% in use"))
        #expect(text.contains("weights 50 to 150"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `clients are not told, unless asked for`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kept: 1\r\n"
            + "ENDPOINT-LOAD-METRICS: TEXT eps=1\r\nEndpoint-Load-Metrics-Bin: CQ\r\n"
            + "Trailer: x-sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n"
            + "Endpoint-Load-Metrics: TEXT cpu_utilization=0.25\r\n\r\n"
        )
      }
      try Scene.play(backend, upstream, settings: Self.settings("slowStart: 0s")) {
        (scene: Scene) throws in
        let old = try scene.client().exchange("GET", "/")
        let new = try scene.http2().exchange("GET", "/")

        #expect(old["x-kept"] == "1" && old[Self.name] == nil && old[Self.name + "-bin"] == nil)
        #expect(old.trailers.map(\.name) == ["X-Sum"] || old.trailers.map(\.name) == ["x-sum"])
        #expect(new["x-kept"] == "1" && new[Self.name] == nil && new[Self.name + "-bin"] == nil)
        #expect(new.trailers.map(\.name) == ["x-sum"])

        try scene.reload { settings in
          settings.service = "loadReports: {weights: false, limit: false, forward: true}"
        }
        let client = try scene.client()
        try eventually("the field is passed on") {
          try client.exchange("GET", "/")[Self.name] == "TEXT eps=1"
        }
        let told = try scene.http2().exchange("GET", "/")
        #expect(told[Self.name] == "TEXT eps=1")
        #expect(told.trailers.map(\.name) == ["x-sum", Self.name])
      }
    }

    @Test(arguments: Backend.allCases)
    func `reports in trailers of chunks are heard`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
            + "endpoint-load-metrics: JSON {\"cpu_utilization\": 0.25}\r\n\r\n"
        )
      }
      try Scene.play(backend, upstream, settings: Self.settings("loadReports: {}")) {
        (scene: Scene) throws in
        let answer = try scene.client().exchange("GET", "/")
        #expect(answer.text == "a" && answer.trailers.isEmpty)
        try eventually("the report is heard") { try Self.utilizations(scene) == [0.25] }
      }
    }

    @Test(arguments: Backend.allCases)
    func `services of HTTP/2 report in heads, and calls of gRPC in trailers`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if request.target == "/head" {
          try peer.respond(request, 200, [(Self.name, "TEXT cpu_utilization=0.25")], body: [97])
        } else {
          try peer.respond(
            request,
            200,
            [("content-type", "application/grpc")],
            body: [0, 0, 0, 0, 0],
            trailers: [
              ("grpc-status", "0"),
              // application_utilization 0.75 among others.
              (
                Self.name + "-bin",
                "CQAAAAAAANA/MQAAAAAAAFlAQgwKAXERAAAAAAAA4D9JAAAAAAAA6D8"
              ),
            ]
          )
        }
      }
      try Scene.play(backend, h2c: service, settings: Self.settings("loadReports: {}")) {
        (scene: Scene) throws in
        let (old, new) = (try scene.client(), try scene.http2())
        let head = try new.exchange("GET", "/head")
        #expect(head.text == "a" && head[Self.name] == nil)
        try eventually("the head's report is heard") { try Self.utilizations(scene) == [0.25] }

        let call = [("content-type", "application/grpc"), ("te", "trailers")]
        let answer = try new.exchange("POST", "/call", call, body: [0, 0, 0, 0, 0])
        #expect(answer.trailers.map(\.name) == ["grpc-status"])
        try eventually("the trailers' report is heard") {
          try Self.utilizations(scene) == [0.75]
        }
        #expect(try old.exchange("GET", "/head")[Self.name] == nil)
        try eventually("whichever came last counts") { try Self.utilizations(scene) == [0.25] }
      }
    }

    @Test(arguments: Backend.allCases)
    func `what makes no sense is counted and changes nothing`(backend: Backend) throws {
      let words = [
        "TEXT cpu_utilization=-1", "JSON {", "TEXT \(String(repeating: "a=1,", count: 1_100))",
        "TEXT mem_utilization=0.5", "TEXT cpu_utilization=nan",
      ]
      let upstream = try ScriptedUpstream { peer, request in
        let index = Int(request.target.dropFirst()) ?? 0
        try peer.respond(200, "", "Endpoint-Load-Metrics: \(words[index])")
      }
      try Scene.play(backend, upstream, settings: Self.settings("loadReports: {}")) {
        (scene: Scene) throws in
        let client = try scene.client()
        for index in words.indices {
          let answer = try client.exchange("GET", "/\(index)")
          #expect(answer.status == 200 && answer[Self.name] == nil)
        }
        let expected =
          ["out-of-range": 1, "malformed": 2, "too-long": 1, "no-weight": 1] as [String: Double]
        try eventually("each is counted") {
          let metrics = try scene.metrics()
          return try expected.allSatisfy { result, count in
            try metrics.sum("spillway_load_reports_total{result=\"\(result)\"}") == count
          }
        }
        #expect(try scene.metric("spillway_load_reports_total{result=\"weight\"}") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a named metric takes the place of the others`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        let report = "TEXT named_metrics.queue=0.125,application_utilization=0.9,cpu_utilization=1"
        try peer.respond(200, "", "Endpoint-Load-Metrics: \(report)")
      }
      let settings = Self.settings("loadReports: {utilization: named_metrics.queue}")
      try Scene.play(backend, upstream, settings: settings) { (scene: Scene) throws in
        _ = try scene.client().exchange("GET", "/")
        try eventually("the report is heard") { try Self.utilizations(scene) == [0.125] }
        try scene.reload { $0.service = "loadReports: {}, admission: {mode: \"off\"}" }
        try eventually("the application's own word counts") {
          _ = try scene.client().exchange("GET", "/")
          return try Self.utilizations(scene) == [0.9]
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that has all it can do is not given more`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        let utilization = request.target == "/full" ? 1 : 0.5
        let report = "TEXT application_utilization=\(utilization)"
        try peer.respond(200, "", "Endpoint-Load-Metrics: \(report)")
      }
      try Scene.play(backend, upstream, settings: EdgeSettings(service: "loadReports: {}")) {
        (scene: Scene) throws in
        let client = try scene.client()
        func isHeldBack(after target: String) throws -> Bool {
          _ = try client.exchange("GET", target)
          return try scene.metric("spillway_concurrency_held_back{service=\"backend\"}") == 1
        }
        try eventually("the limit hears of it") { try isHeldBack(after: "/full") }
        try eventually("the text says so") {
          _ = try client.exchange("GET", "/full")
          let text = try scene.admin("/admin/services?format=text").text
          return text.contains("held back by what the service reports")
        }
        try eventually("the limit may grow again") { try !isHeldBack(after: "/free") }

        try scene.reload { $0.service = "loadReports: {limit: false}" }
        try eventually("the report is heard") {
          _ = try client.exchange("GET", "/full")
          return try Self.utilizations(scene) == [1]
        }
        // What the old configuration heard still counts for a moment.
        try eventually("nobody tells the limit") {
          try (0..<20).allSatisfy { _ in try !isHeldBack(after: "/full") }
        }
      }
    }
  }
}
