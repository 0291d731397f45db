import Foundation
import Testing

extension WireTests {
  /// What the edge counts of connections and of its own log.
  struct CountTests {
    @Test(arguments: Backend.allCases)
    func `connections that come and go are counted by listener and by service`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(listeners: ["name: other, address: \"127.0.0.1:0\""])
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        func connections(_ what: String, _ side: String, _ peer: String) throws -> Double {
          try scene.metric("spillway_connections\(what){side=\"\(side)\",peer=\"\(peer)\"}")
        }
        for _ in 0..<3 {
          let client = try scene.client()
          #expect(try client.exchange().status == 200)
          client.close()
        }
        let held = try scene.client("other")
        #expect(try held.exchange().status == 200)

        try eventually("three have gone") {
          try connections("_closed_total", "downstream", "public") == 3
        }
        #expect(try connections("_opened_total", "downstream", "public") == 3)
        #expect(try connections("_opened_total", "downstream", "other") == 1)
        #expect(try connections("_closed_total", "downstream", "other") == 0)
        #expect(try connections("", "downstream", "other") == 1)

        let made = Double(scene.upstream.acceptedConnections)
        #expect(try connections("_opened_total", "upstream", "backend") == made)
        #expect(try connections("_closed_total", "upstream", "backend") == 0)
        scene.upstream.closeConnections()
        try eventually("the service's end is counted") {
          try connections("_closed_total", "upstream", "backend") == made
        }
        #expect(try connections("", "upstream", "backend") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `connections that a worker has no place for are counted`(backend: Backend) throws {
      let text = EdgeSettings().yaml(endpoints: ["127.0.0.1:1"])
      let edge = try EdgeUnderTest(configuration: text, backend: backend, sockets: 8)
      defer { edge.stop() }
      func failures() throws -> Double {
        let admin = try RawClient(port: edge.adminPort)
        defer { admin.close() }
        let body = try admin.exchange("GET", "/metrics").text
        return try Exposition(body).sum("spillway_accept_failures_total") ?? -1
      }
      #expect(try failures() == 0)

      let clients = (0..<24).compactMap { _ in try? RawClient(port: edge.port("public")) }
      defer { for client in clients { client.close() } }

      try eventually("those above the bound failed") { try failures() >= 16 }
    }

    @Test(arguments: Backend.allCases)
    func `lines of the access log are counted as written or as failed`(backend: Backend) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      for (output, written) in [("file:\(path)", true), ("file:/dev/full", false)] {
        let settings = EdgeSettings(accessLog: "\"\(output)\"")
        try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
          let client = try scene.client()
          for _ in 0..<3 { #expect(try client.exchange().status == 200) }

          try eventually("three were counted, to \(output)") {
            let metrics = try scene.metrics()
            return try metrics.sum("spillway_accesslog_written_total") == (written ? 3 : 0)
              && metrics.sum("spillway_accesslog_failed_total") == (written ? 0 : 3)
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `listeners that state no maximum share one, those that do have their own`(
      backend: Backend
    ) throws {
      let own = "name: own, address: \"127.0.0.1:0\", connections: {maximum: 20}"
      let settings = EdgeSettings(listeners: ["name: other, address: \"127.0.0.1:0\"", own])
      // 45 % of what the maximum of 20 leaves are four connections.
      try Scene.play(backend, .echoingTarget(), settings: settings, descriptors: 30) { scene in
        func isServed(_ listener: String) -> Bool {
          (try? scene.client(listener).exchange().status) == 200
        }
        var held: [RawClient] = []
        for listener in ["public", "other", "public", "other"] {
          held.append(try scene.client(listener))
          #expect(try held[held.count - 1].exchange().status == 200, "\(listener)")
        }

        #expect(!isServed("public"))
        #expect(!isServed("other"))
        #expect(isServed("own"))
        let refused = "spillway_connections_refused_total{reason=\"connections\"}"
        #expect(try scene.metric(refused) == 2)

        // Those of HTTP/2 are given back like others.
        held[0].close()
        var session: HTTP2Client?
        try eventually("there is room for one of HTTP/2") {
          session = try? scene.http2("other")
          return (try? session?.exchange("GET", "/").status) == 200
        }
        #expect(!isServed("public"))
        session?.close()
        try eventually("its place is free") { isServed("public") }
        withExtendedLifetime(held) {}
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection is given back where it was counted, whatever a reload has said since`(
      backend: Backend
    ) throws {
      let own = "name: own, address: \"127.0.0.1:0\", connections: {maximum: 8}"
      let settings = EdgeSettings(listeners: ["name: other, address: \"127.0.0.1:0\"", own])
      try Scene.play(backend, .echoingTarget(), settings: settings, descriptors: 20) { scene in
        func open(_ listener: String) -> RawClient? {
          guard let client = try? scene.client(listener) else { return nil }
          if (try? client.exchange().status) == 200 { return client }
          client.close()
          return nil
        }
        func reload(_ listener: String, sign: Int) throws {
          let route =
            "name: local, match: {path: /local}, respond: {status: \(sign)}, "
            + "policies: {auth: none}"
          try scene.reload {
            $0.listener = listener
            $0.routes = [route]
          }
          try eventually("the reload took effect") {
            guard let client = try? scene.client("own") else { return false }
            defer { client.close() }
            return (try? client.exchange("GET", "/local").status) == sign
          }
        }
        // Five for both, until `public` has two to itself and there are four in common.
        var held = try (0..<3).map { _ in try #require(open("public")) }
        try reload("connections: {maximum: 2}", sign: 201)
        held += try (0..<2).map { _ in try #require(open("public")) }
        #expect(open("public") == nil)
        held.append(try #require(open("other"), "the first three count in common still"))
        #expect(open("other") == nil)
        for client in held { client.close() }
        try eventually("all are gone") {
          try scene.metric("spillway_connections{side=\"downstream\",peer=\"public\"}") == 0
            && scene.metric("spillway_connections{side=\"downstream\",peer=\"other\"}") == 0
        }

        try reload("", sign: 202)
        var again: [RawClient] = []
        try eventually("all five places are there") {
          if let client = open("public") { again.append(client) }
          return again.count == 5
        }
        #expect(open("public") == nil)
        #expect(open("other") == nil)
      }
    }
  }
}
