import Glibc
import Testing

extension WireTests {
  /// Waits that end, and clients and upstreams that are told when the other is gone.
  struct TimeoutTests {
    private static func hanging() throws -> ScriptedUpstream {
      try ScriptedUpstream(readsBody: false) { peer, _ in try peer.hang() }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.6.5: an upstream that does not answer gives 504 and is let go`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(policies: "timeoutMs: 300")
      try Scene.play(backend, Self.hanging(), settings: settings) { scene in
        let client = try scene.client()
        for round in 1...2 {
          let answer = try client.exchange("GET", "/", "X-Round: \(round)")
          #expect(answer.status == 504)
          #expect(answer.problem?["status"] as? Int == 504)
          #expect(!answer.saysClose, "the client did nothing wrong")
          try eventually("the upstream was told") { scene.upstream.cancellations == round }
        }
        #expect(try scene.metric("spillway_timeouts_total{kind=\"request\"}") == 2)
        #expect(try scene.metric("spillway_timeouts_total") == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a try has a timeout of its own`(backend: Backend) throws {
      let settings = EdgeSettings(policies: "timeoutMs: 20000, perTryTimeoutMs: 200")
      try Scene.play(backend, Self.hanging(), settings: settings) { scene in
        let client = try scene.client()

        #expect(try client.exchange("POST").status == 504)
        try eventually("the upstream was told") { scene.upstream.cancellations == 1 }
        #expect(try scene.metric("spillway_timeouts_total{kind=\"per-try\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `each request has its own time, not what was left of the one before`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/short/never" { return try peer.hang() }
        if request.target == "/late" { usleep(2_500_000) }
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      }
      let settings = EdgeSettings(
        policies: "timeoutMs: 30000",
        routes: [
          "name: short, match: {pathPrefix: /short}, upstream: {service: backend}, "
            + "policies: {auth: none, timeoutMs: 2000}"
        ]
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        for (target, status) in [
          ("/short", 200), ("/late", 200), ("/short/never", 504), ("/", 200),
        ] {
          #expect(try client.exchange("GET", target).status == status, "\(target)")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that stops halfway is cut off at the timeout`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        try peer.hang()
      }
      let settings = EdgeSettings(policies: "timeoutMs: 2000")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        let answer = try client.exchange()

        #expect(answer.text == "hello")
        #expect(!answer.isComplete)
        try eventually("the upstream was told") { scene.upstream.cancellations == 1 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that takes no connection is given up after the connect timeout`(
      backend: Backend
    ) throws {
      // A full accept queue drops further handshakes, as a machine that is gone would.
      let full = try Socket.listening(backlog: 0)
      defer { full.close() }
      let fillers = try (0..<1).map { _ in try Socket.connected(to: full.localPort) }
      defer { for filler in fillers { filler.close() } }
      var settings = EdgeSettings(service: "connections: {connectTimeout: 200ms}")
      settings.endpoints = ["127.0.0.1:\(full.localPort)"]
      try Scene.play(backend, settings: settings) { scene in
        let client = try scene.client()
        let answer = try client.exchange()

        #expect([502, 503, 504].contains(answer.status))
        #expect(try scene.metric("spillway_upstream_connect_failures_total") >= 1)
        #expect(try scene.metric("spillway_timeouts_total{kind=\"connect\"}") >= 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that takes no connection does not keep a request from another`(
      backend: Backend
    ) throws {
      let full = try Socket.listening(backlog: 0)
      defer { full.close() }
      let filler = try Socket.connected(to: full.localPort)
      defer { filler.close() }
      let live = try ScriptedUpstream.echoingTarget()
      var settings = EdgeSettings(
        service: "balance: round-robin, connections: {connectTimeout: 200ms}"
      )
      settings.endpoints = ["127.0.0.1:\(full.localPort)", live.endpoint]
      try Scene.play(backend, live, settings: settings) { scene in
        let client = try scene.client()
        for index in 0..<6 {
          try client.post("/\(index)", "body")
          #expect(try client.response().text == "/\(index)")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that goes away cancels its upstream request at once`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.hanging()) { scene in
        for round in 0..<4 {
          let client = try scene.client()
          try client.request()
          try eventually("the request came") { scene.upstream.requests.count == round + 1 }
          if round.isMultiple(of: 2) { client.reset() } else { client.close() }
          try eventually("the upstream was told") { scene.upstream.cancellations == round + 1 }
        }
        try eventually("no exchange is left") {
          try scene.metric("spillway_exchanges_active") == 0
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that goes away inside its body cancels its upstream request`(
      backend: Backend
    ) throws {
      // What is asked of admission waits for 16 KiB of a body.
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        for framing in [
          "Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        ] {
          let before = scene.upstream.cancellations
          let client = try scene.client()
          try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\n" + framing)
          try eventually("the request came") { scene.upstream.requests.count == before + 1 }
          client.close()
          try eventually("the upstream was told") { scene.upstream.cancellations == before + 1 }
        }
        #expect(!scene.upstream.requests.contains { $0.isComplete })
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that goes away inside a response stops the upstream`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while true { try peer.send("400\r\n" + String(repeating: "x", count: 1024) + "\r\n") }
      }
      try Scene.play(backend, upstream) { scene in
        for round in 1...3 {
          let client = try scene.client()
          try client.request()
          _ = try client.head()
          client.reset()
          try eventually("the upstream was let go") { scene.upstream.openConnections == 0 }
          #expect(scene.upstream.acceptedConnections == round)
        }
      }
    }
  }
}
