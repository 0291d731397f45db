import Foundation
import Testing
import Units

extension WireTests {
  /// Tunnels and streams that outlive the configuration they began with.
  struct LongRequestTests {
    private static func answering(_ body: String) -> String {
      "name: local, match: {path: /local}, respond: {status: 200, body: \"\(body)\"}, "
        + "policies: {auth: none}"
    }

    private static func serves(_ scene: Scene, _ body: String) -> Bool {
      guard let port = try? scene.edge.port("public"), let client = try? RawClient(port: port)
      else { return false }
      defer { client.close() }
      return (try? client.exchange("GET", "/local").text) == body
    }

    /// Answers each request with what its path asks for: a tunnel or a stream.
    private static func endless() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in
        if request.target == "/tunnel" {
          try peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
          )
          try peer.echo(farewell: "")
        } else {
          try peer.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
              + "Transfer-Encoding: chunked\r\n\r\n2\r\n: \r\n"
          )
          try peer.hang()
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `tunnels and event streams let go of their configuration, and are logged under it`(
      backend: Backend
    ) throws {
      let log = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(log) }
      func lines(_ path: String) -> [Substring] {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { $0.contains("\"\(path)\"") }
      }
      let settings = EdgeSettings(routes: [Self.answering("0")], accessLog: "\"file:\(log)\"")
      try Scene.play(backend, Self.endless(), settings: settings) { scene in
        let tunnel = try scene.client()
        try tunnel.request("GET", "/tunnel", "Connection: Upgrade", "Upgrade: echo")
        #expect(try tunnel.response().status == 101)
        let stream = try scene.client()
        try stream.request("GET", "/stream")
        #expect(try stream.head().status == 200)

        try scene.reload { $0.routes = [Self.answering("1")] }
        try eventually("the reload took effect") { Self.serves(scene, "1") }

        try eventually("one configuration is held") {
          try scene.metric("spillway_snapshots") == 1
        }
        try tunnel.send("still")
        #expect(try tunnel.text(5) == "still")
        tunnel.finish()
        #expect(tunnel.isClosedSilently())
        stream.close()
        for path in ["/tunnel", "/stream"] {
          try eventually("\(path) is logged") { lines(path).count == 1 }
          let line = lines(path).first ?? ""
          #expect(line.contains("\"all\"") && line.contains("\"backend\""))
          #expect(line.contains("\"\(scene.upstream.endpoint)\""))
        }
      }
    }

    /// Sends the head of an endless response, and one piece of it once the time of the route is over.
    private static func twoPieces() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in
        try peer.send(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n"
        )
        usleep(2_500_000)
        try peer.send("3\r\none\r\n")
        try peer.hang()
      }
    }

    @Test(arguments: Backend.allCases)
    func `an event stream outlives the time of its route, and ends once it fell silent`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(
        listener: "limits: {upgradeIdle: 6s}",
        policies: "timeoutMs: 2000"
      )
      try Scene.play(backend, Self.twoPieces(), settings: settings) { scene in
        let client = try scene.client()
        try client.request("GET", "/events")
        #expect(try client.head().status == 200)

        #expect(try client.text(8) == "3\r\none\r\n")
        #expect(try client.rest().isEmpty, "cut off, without the last chunk")
        try eventually("the service was told") { scene.upstream.cancellations == 1 }
        #expect(try scene.metric("spillway_timeouts_total{kind=\"stream-idle\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what the client sends keeps a stream, too`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, _ in
        try peer.send(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n"
        )
        var body: [UInt8] = []
        while !String(decoding: body, as: UTF8.self).contains("second") {
          let more = try peer.some()
          guard !more.isEmpty else { throw WireFailure("the body ended early") }
          body += more
        }
        try peer.send("3\r\nend\r\n0\r\n\r\n")
      }
      let settings = EdgeSettings(
        listener: "limits: {upgradeIdle: 6s, bodyIdle: 30s, minimumRate: 1B}",
        policies: "timeoutMs: 2000"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        try client.send(
          "POST /events HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5\r\nbegin\r\n"
        )
        #expect(try client.head().status == 200)
        for word in ["first ", "second"] {
          usleep(4_000_000)
          try client.send("6\r\n\(word)\r\n")
        }

        #expect(try client.text(8) == "3\r\nend\r\n")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a worker that cannot take a configuration says so until it can`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, _ in
        gate.wait()
        try peer.respond(200, "late")
      }
      let settings = EdgeSettings(routes: [Self.answering("0")])
      try Scene.play(backend, upstream, settings: settings, snapshots: 8) { scene in
        defer { gate.open() }
        // As many as the worker holds at once, each with a request under way.
        for round in 1...8 {
          try scene.client().request("GET", "/held")
          try eventually("it is under way") { scene.upstream.requests.count == round }
          try scene.reload { $0.routes = [Self.answering("\(round)")] }
          guard round < 8 else { break }
          try eventually("the reload took effect") { Self.serves(scene, "\(round)") }
          #expect(try scene.metric("spillway_snapshots_deferred_total") == 0)
        }
        try eventually("it is behind") {
          try scene.metric("spillway_config_workers_behind") == 1
        }
        #expect(Self.serves(scene, "7"))
        #expect(try scene.metric("spillway_snapshots_deferred_total") >= 1)

        gate.open()

        try eventually("the newest is served") { Self.serves(scene, "8") }
        #expect(try scene.metric("spillway_config_workers_behind") == 0)
      }
    }
  }
}
