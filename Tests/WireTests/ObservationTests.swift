import Foundation
import Testing

extension WireTests {
  /// What the edge tells of itself: admin answers, metrics, the access log.
  struct ObservationTests {
    @Test(arguments: Backend.allCases)
    func `a worker without a buffer left is counted`(backend: Backend) throws {
      let text = EdgeSettings().yaml(endpoints: ["127.0.0.1:1"])
      let edge = try EdgeUnderTest(configuration: text, backend: backend, blocks: 128)
      defer { edge.stop() }
      func exhaustions() throws -> Double {
        let admin = try RawClient(port: edge.adminPort)
        defer { admin.close() }
        let body = try admin.exchange("GET", "/metrics").text
        return try Exposition(body).sum("spillway_buffer_exhaustions_total{kind=\"blocks\"}") ?? 0
      }
      #expect(try exhaustions() == 0)

      // Each half of a head holds a block.
      let clients = try (0..<160).map { _ in try RawClient(port: edge.port("public")) }
      defer { for client in clients { client.close() } }
      for client in clients { client.trySend("GET / HTTP/1.1\r\nHost: half") }

      try eventually("it is counted") { try exhaustions() > 0 }
    }

    @Test(arguments: Backend.allCases)
    func `the admin port tells health, readiness and the version of the configuration`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        #expect(try scene.admin("/healthz").status == 200)
        #expect(try scene.admin("/readyz").status == 200)
        #expect(try scene.admin("/nothing").status == 404)

        let version = try scene.admin("/admin/config-version")
        let json = try #require(
          try JSONSerialization.jsonObject(with: Data(version.body)) as? [String: Any]
        )
        #expect(json["configVersion"] != nil)
        #expect((json["loadedAt"] as? String)?.contains("T") == true)
        #expect((json["checksum"] as? String)?.isEmpty == false)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the admin port withstands clients that stall or talk nonsense`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let stalled = try (0..<10).map { _ in try RawClient(port: scene.edge.adminPort) }
        defer { for client in stalled { client.close() } }
        for client in stalled { try client.send("GET /metr") }
        let nonsense = try RawClient(port: scene.edge.adminPort)
        defer { nonsense.close() }
        nonsense.trySend([UInt8](repeating: 0, count: 100_000))

        #expect(try scene.admin("/healthz").status == 200)
        let refused = try RawClient(port: scene.edge.adminPort)
        defer { refused.close() }
        try refused.send("DELETE /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        #expect(try [404, 405].contains(refused.response().status))
      }
    }

    @Test(arguments: Backend.allCases)
    func `the metrics have the names that the conventions give`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        for _ in 0..<3 { _ = try client.exchange("GET", "/counted") }
        try eventually("three were counted") {
          try scene.metric("spillway_requests_total{route=\"all\",method=\"GET\",code=\"200\"}")
            == 3
        }
        let text = try scene.admin("/metrics")
        let metrics = try Exposition(text.text)

        #expect(text["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        for name in [
          "spillway_requests_total", "spillway_request_duration_seconds_count",
          "spillway_upstream_duration_seconds_count",
          "spillway_added_latency_seconds_count", "spillway_connections",
          "spillway_exchanges_active", "spillway_buffer_blocks", "spillway_config_info",
          "spillway_config_loaded_timestamp_seconds", "process_open_fds",
          "process_resident_memory_bytes", "process_cpu_seconds_total",
        ] {
          #expect(metrics.names.contains(name), "\(name) is missing")
        }
        #expect(try metrics.sum("spillway_connections{side=\"downstream\"}") == 1)
        #expect(try metrics.sum("spillway_request_duration_seconds_count") == 3)
        for name in metrics.names where name.hasPrefix("spillway_") {
          let isPlain = name.allSatisfy { $0.isLowercase || $0 == "_" || $0.isNumber }
          #expect(isPlain, "\(name) is not snake_case")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `what the service takes for its head, and for its body, is not time that the edge adds`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, _ in
        usleep(300_000)
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        gate.wait()
        try peer.send("body")
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        try client.request("GET", "/slow")
        #expect(try client.head().status == 200)
        usleep(300_000)
        gate.open()
        #expect(try client.text(4) == "body")

        func seconds(_ name: String) throws -> Double {
          try scene.metric("spillway_\(name)_seconds_sum")
        }
        try eventually("all three were observed") {
          try scene.metric("spillway_request_duration_seconds_count") == 1
        }
        #expect(try scene.metric("spillway_upstream_duration_seconds_count") == 1)
        #expect(try scene.metric("spillway_added_latency_seconds_count") == 1)
        let whole = try seconds("request_duration")
        #expect(whole >= 0.6)
        #expect(try seconds("upstream_duration") >= 0.3)
        #expect(try seconds("upstream_duration") <= whole - 0.3)
        #expect(try seconds("added_latency") <= whole - 0.6)
      }
    }

    @Test(arguments: Backend.allCases)
    func `bytes are counted both ways`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(200, String(repeating: "x", count: 100_000))
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        try client.post("/", String(repeating: "y", count: 50_000))
        _ = try client.response()

        try eventually("they were counted") {
          let metrics = try scene.metrics()
          let received =
            try metrics.sum("spillway_bytes_total{side=\"downstream\",direction=\"in\"}") ?? 0
          let sent =
            try metrics.sum("spillway_bytes_total{side=\"downstream\",direction=\"out\"}") ?? 0
          return received >= 50_000 && received < 60_000 && sent >= 100_000 && sent < 110_000
        }
        #expect(try scene.metric("spillway_buffer_blocks{state=\"free\"}") > 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what the edge answers by itself counts byte for byte`(backend: Backend) throws {
      var settings = EdgeSettings()
      settings.routes = [
        "name: local, match: {path: /local}, respond: {status: 200, body: hello}, "
          + "policies: {auth: none}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let request = "GET /local HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n"
        let client = try scene.client()
        client.trySend(request)
        let answer = try client.rest().count

        let bytes = "spillway_bytes_total{side=\"downstream\",direction="
        try eventually("they were counted") {
          let metrics = try scene.metrics()
          return try metrics.sum(bytes + "\"in\"}") == Double(request.utf8.count)
            && metrics.sum(bytes + "\"out\"}") == Double(answer)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection that nobody wanted any more is a timeout of its own kind`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(service: "connections: {idle: 50ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        _ = try scene.client().exchange()

        try eventually("it was given up") {
          try scene.metric("spillway_timeouts_total{kind=\"upstream-idle\"}") == 1
        }
        try eventually("it is closed") { scene.upstream.openConnections == 0 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `the access log keeps the share of each status that it is told`(
      backend: Backend
    ) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      var settings = EdgeSettings(
        accessLog: "\"file:\(path)\", sample: {\"2xx\": 0, default: 1}"
      )
      settings.routes = [
        "name: local, match: {path: /gone}, respond: {status: 410, body: x}, "
          + "policies: {auth: none}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        for _ in 0..<20 { _ = try client.exchange() }
        _ = try client.exchange("GET", "/gone")

        var text = ""
        try eventually("the last line is written") {
          text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return text.contains("\"status\":410")
        }
        #expect(text.split(separator: "\n").count == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the log names the caller's trace where traceparent keeps the rules`(
      backend: Backend
    ) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      var settings = EdgeSettings(accessLog: "\"file:\(path)\"")
      settings.routes = [
        "name: local, match: {path: /local}, respond: {status: 410}, policies: {auth: none}"
      ]
      let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
      let value = "00-\(trace)-00f067aa0ba902b7-01"
      let line = "traceparent: \(value)"
      let cases: [(path: String, fields: [String], trace: String?)] = [
        ("/proxied", [line], trace), ("/local", [line], trace),
        ("/spaces", ["TraceParent:   \(value) \t"], trace),
        ("/none", [], nil), ("/twice", [line, line], nil),
        ("/list", ["traceparent: \(value), \(value)"], nil),
        ("/cut", [String(line.dropLast())], nil),
        // Of this hop alone, so that the service does not hear of it; it is the caller's all the same.
        ("/hop", [line, "Connection: traceparent"], trace),
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        for (path, fields, _) in cases {
          let lines = fields.map { $0 + "\r\n" }.joined()
          try client.send("GET \(path) HTTP/1.1\r\nHost: edge.test\r\n\(lines)\r\n")
          _ = try client.response()
        }
        _ = try scene.http2().exchange("GET", "/h2", [("traceparent", value)])

        var lines: [Substring] = []
        try eventually("all lines are written") {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          lines = text.split(separator: "\n")
          return lines.count == cases.count + 1
        }
        var traces: [String: String] = [:]
        for line in lines {
          let json = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
          let entry = try #require(json)
          traces[entry["path"] as? String ?? ""] = entry["traceId"] as? String ?? "null"
        }
        for (path, _, trace) in cases { #expect(traces[path] == trace ?? "null", "\(path)") }
        #expect(traces["/h2"] == trace)
        #expect(scene.upstream.requests[0]["traceparent"] == value, "it is passed on as it came")
      }
    }

    @Test(arguments: Backend.allCases)
    func `each request leaves a line of JSON with the agreed names`(backend: Backend) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      var settings = EdgeSettings(accessLog: "\"file:\(path)\"")
      settings.routes = [
        "name: local, match: {path: /local}, respond: {status: 410, body: x}, "
          + "policies: {auth: none}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        _ = try client.exchange("GET", "/a%22b?secret=1")
        _ = try client.exchange("GET", "/local")
        try client.post("/post", "body")
        _ = try client.response()
        client.trySend("BROKEN\r\n\r\n")
        let refusal = try client.response()
        let old = try scene.client()
        try old.send("GET /old HTTP/1.0\r\nHost: edge.test\r\n\r\n")
        _ = try old.response()
        _ = try scene.http2().exchange("GET", "/new")

        func lines() throws -> [String] {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return text.split(separator: "\n").map(String.init)
        }
        try eventually("six lines are written") { try lines().count >= 6 }
        let entries = try lines().map { line in
          try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
        let names = [
          "requestId", "traceId", "route", "tenantId", "method", "path", "status", "upstream",
          "upstreamVersion", "latencyMs", "rateLimited", "configVersion",
        ]
        for entry in entries {
          for name in names { #expect(entry[name] != nil, "\(name) is missing") }
        }
        #expect(entries[0]["route"] as? String == "all")
        #expect(entries[0]["method"] as? String == "GET")
        #expect(entries[0]["status"] as? Int == 200)
        #expect((entries[0]["path"] as? String)?.contains("secret") == false)
        #expect(entries[0]["latencyMs"] as? Double != nil)
        #expect(entries[1]["status"] as? Int == 410)
        #expect(entries[1]["bytesOut"] as? Int == 1)
        #expect(entries[2]["method"] as? String == "POST")
        // What was no request has neither method nor path.
        #expect(entries[3]["method"] is NSNull)
        #expect(entries[3]["path"] is NSNull)
        #expect(entries[3]["bytesOut"] as? Int == refusal.body.count)
        let protocols = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2"]
        #expect(entries.map { $0["protocol"] as? String ?? "" } == protocols)
        #expect(entries[0]["requestId"] as? String == scene.upstream.requests[0]["x-request-id"])
      }
    }
  }
}
