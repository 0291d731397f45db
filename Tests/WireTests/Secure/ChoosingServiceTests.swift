import Foundation
import HTTPCodec
import TLS
import Testing
import Units

extension WireTests {
  /// Services that choose between HTTP/2 and HTTP/1.1 by ALPN (`protocol: auto`).
  struct ChoosingServiceTests {
    @Test(arguments: Backend.allCases, [ApplicationProtocol.http2, .http1, nil])
    func `what the service chooses is spoken, and one connection is enough`(
      backend: Backend,
      spoken: ApplicationProtocol?
    ) throws {
      let stage = try ChoosingStage(spoken)
      try stage.play(backend) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        for number in 0..<5 {
          #expect(try old.exchange("GET", "/\(number)").text == "GET /\(number) ")
          try old.post("/\(number)", "body")
          #expect(try old.response().text == "POST /\(number) body")
          #expect(try new.exchange("GET", "/n").text == "GET /n ")
          #expect(try new.exchange("POST", "/n", body: [120]).text == "POST /n x")
        }
        #expect(stage.front.tunnels.count == 1)
        #expect(stage.front.tunnels.first?.chosen == spoken)
        #expect(stage.upstream.requests.count == (spoken == .http2 ? 0 : 20))
        #expect(stage.service.requests.count == (spoken == .http2 ? 20 : 0))
        let made = try ChoosingStage.made(scene)
        #expect(made == (spoken == .http2 ? (0, 1) : (1, 0)))
        #expect(try scene.metric("spillway_upstream_h2_streams") == 0)
        #expect(
          try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") == 1
        )
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies that wait for the choice come whole, whichever it is`(backend: Backend) throws {
      for spoken in [ApplicationProtocol.http1, .http2] {
        let stage = try ChoosingStage(spoken)
        let held = try HeldFront(before: stage.front.port)
        defer { held.stop() }
        var settings = stage.settings(ChoosingStage.patience)
        settings.endpoints = [held.endpoint]
        try stage.play(backend, settings) { scene in
          let long = String(repeating: "0123456789abcdef", count: 10_000)
          let known = try scene.client()
          let chunked = try scene.client()
          let large = try scene.client()
          let new = try scene.http2()
          try known.post("/known", "known")
          try chunked.send(
            "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nchu\r\n"
          )
          try large.send(
            "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: \(long.utf8.count)\r\n\r\n"
          )
          let tokens = [
            try new.request("POST", "/new", body: Array("unknown".utf8)),
            try new.request("POST", "/new", [("content-length", "5")], body: Array("known".utf8)),
            try new.request("GET", "/new"),
          ]
          try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 6 }
          held.open()
          try chunked.send("3\r\nnks\r\n0\r\n\r\n")
          try large.send(long)

          #expect(try known.response().text == "POST /known known")
          #expect(try chunked.response().text == "POST /chunked chunks")
          #expect(try large.response().text == "POST /large \(long)")
          let texts = try tokens.map { try new.answer($0).text }
          #expect(texts == ["POST /new unknown", "POST /new known", "GET /new "])
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `many requests wait for one handshake, then each has a connection of its own`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let stage = try ChoosingStage(.http1, upstream: upstream)
      let held = try HeldFront(before: stage.front.port)
      defer {
        gate.open()
        held.stop()
      }
      var settings = stage.settings(ChoosingStage.patience).withoutAdmission
      settings.endpoints = [held.endpoint]
      try stage.play(backend, settings) { scene in
        let clients = try (0..<20).map { _ in try scene.client() }
        let first = try scene.client()
        try first.request("GET", "/first")
        try eventually("it waits") { held.connections == 1 }
        for (number, client) in clients.enumerated() { try client.post("/\(number)", "body") }
        let new = try scene.http2()
        let tokens = try (0..<20).map { try new.request("GET", "/new/\($0)") }
        try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 41 }
        #expect(held.connections == 1, "a needless connection was opened")
        // Some do not wait for it: nothing is opened for them.
        clients[0].reset()
        try new.reset(tokens[0])
        try eventually("they are gone") { try scene.metric("spillway_exchanges_active") == 39 }
        held.open()
        try eventually("each has its own") { upstream.requests.count == 39 }
        #expect(stage.front.tunnels.count == 39)
        // Until its handshake was through there was but one.
        let served = upstream.requests.first { $0.connection == 0 }
        #expect(served?.target == "/first", "who came first has what was waited for")
        gate.open()

        #expect(try first.response().text == "/first")
        for (number, client) in clients.enumerated().dropFirst() {
          #expect(try client.response().text == "/\(number)")
        }
        for (number, token) in tokens.enumerated().dropFirst() {
          #expect(try new.answer(token).text == "/new/\(number)")
        }
        #expect(try ChoosingStage.made(scene) == (39, 0))
        #expect(try scene.metric("spillway_upstream_h2_sessions") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the service's bound on connections holds when they are spread`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let stage = try ChoosingStage(.http1, upstream: upstream)
      let held = try HeldFront(before: stage.front.port)
      defer {
        gate.open()
        held.stop()
      }
      var settings = stage.settings("connections: {maximum: 3, connectTimeout: 30s}")
      settings.endpoints = [held.endpoint]
      try stage.play(backend, settings) { scene in
        let clients = try (0..<10).map { _ in try scene.client() }
        for client in clients { try client.request() }
        try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 10 }
        held.open()
        let refused = "spillway_local_replies_total{reason=\"connection-limit\"}"
        try eventually("the rest is refused") { try scene.metric(refused) == 7 }
        gate.open()
        let statuses = try clients.map { try $0.response().status }
        #expect(statuses.count { $0 == 200 } == 3)
        #expect(statuses.count { $0 == 503 } == 7)
        #expect(stage.front.tunnels.count == 3)
        #expect(try clients[0].exchange().status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection that nobody waits for any more is kept for the next`(
      backend: Backend
    ) throws {
      for spoken in [ApplicationProtocol.http1, .http2] {
        let stage = try ChoosingStage(spoken)
        let held = try HeldFront(before: stage.front.port)
        defer { held.stop() }
        var settings = stage.settings(ChoosingStage.patience)
        settings.endpoints = [held.endpoint]
        try stage.play(backend, settings) { scene in
          let client = try scene.client()
          try client.request()
          try eventually("it waits") { held.connections == 1 }
          client.reset()
          try eventually("it is gone") { try scene.metric("spillway_exchanges_active") == 0 }
          held.open()
          let active = "spillway_upstream_connections_active{service=\"backend\"}"
          try eventually("it stands") { try scene.metric(active) == 1 }
          #expect(
            try scene.metric("spillway_upstream_pool_connections{state=\"idle\"}") == 1
          )
          let other = try scene.client()
          #expect(try other.exchange("GET", "/x").text == "GET /x ")
          #expect(held.connections == 1)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that comes back with the other protocol is followed`(backend: Backend) throws {
      let stage = try ChoosingStage(.http1)
      try stage.play(backend) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        var before = 0
        for spoken in [ApplicationProtocol.http1, .http2, .http1, .http2] {
          try stage.restart(as: spoken)
          try eventually("the connections are gone") {
            try scene.metric("spillway_connections{side=\"upstream\"}") == 0
          }
          for number in 0..<3 {
            try old.post("/\(number)", "body")
            #expect(try old.response().text == "POST /\(number) body")
            #expect(try new.exchange("POST", "/n", body: [120]).text == "POST /n x")
          }
          #expect(stage.front.tunnels.count == before + 1, "a needless connection was opened")
          #expect(stage.front.tunnels.last?.chosen == spoken)
          before = stage.front.tunnels.count
        }
        #expect(try ChoosingStage.made(scene) == (2, 2))
      }
    }

    @Test(arguments: Backend.allCases)
    func `many connections of HTTP/1.1 that turn out to be HTTP/2 become few`(
      backend: Backend
    ) throws {
      let stage = try ChoosingStage(.http1)
      let settings = stage.settings(ChoosingStage.patience)
      try stage.play(backend, settings) { scene in
        let first = try scene.client()
        #expect(try first.exchange("GET", "/one").text == "GET /one ")
        try stage.restart(as: .http2)
        try eventually("it is gone") {
          try scene.metric("spillway_connections{side=\"upstream\"}") == 0
        }
        let clients = try (0..<30).map { _ in try scene.client() }
        for (number, client) in clients.enumerated() { try client.post("/\(number)", "body") }
        for (number, client) in clients.enumerated() {
          #expect(try client.response().text == "POST /\(number) body")
        }
        try eventually("what is not needed is closed") { stage.service.openConnections == 1 }
        #expect(try ChoosingStage.made(scene) == (1, 1))
        #expect(stage.service.requests.count == 30)
      }
    }
  }
}
