import Testing

extension WireTests {
  /// Which failures are repeated, of which requests, and when not.
  struct RetryConditionTests {
    private static let faults = [
      "reset", "close", "nonsense", "500", "502", "503", "504", "429", "again", "again-yes",
    ]

    /// Conditions, and the faults that each of them names.
    private static let conditions: [(condition: String, faults: Set<String>)] = [
      ("connect-failure", []), ("refused-stream", []), ("grpc-unavailable", []),
      ("reset", ["reset", "close"]),
      ("5xx", ["reset", "close", "nonsense", "500", "502", "503", "504"]),
      ("gateway-error", ["reset", "close", "nonsense", "502", "503", "504"]),
      ("503", ["503"]), ("502", ["reset", "close", "nonsense", "502"]), ("429", ["429"]),
      ("{header: X-Again}", ["again", "again-yes"]),
      ("{header: x-again, value: \"yes\"}", ["again-yes"]),
    ]

    @Test(arguments: Backend.allCases)
    func `a condition has repeated what it names and passes on the rest`(backend: Backend) throws {
      var settings = RetryScene.settings("retries: 0")
      settings.routes = Self.conditions.enumerated().map { index, entry in
        "name: c\(index), match: {pathPrefix: /\(index)}, upstream: {service: backend}, "
          + "policies: {auth: none, timeoutMs: 30000, retries: 1, retryOn: [\(entry.condition)]}"
      }
      try Scene.play(backend, RetryScene.failingOnce(), settings: settings) { scene in
        for (index, entry) in Self.conditions.enumerated() {
          for fault in Self.faults {
            let target = "/\(index)/\(fault)"
            let answer = try scene.client().exchange("GET", target)
            let isRepeated = entry.faults.contains(fault)
            let sent = scene.upstream.requests.filter { $0.target == target }.map(
              RetryScene.attempt
            )

            #expect(sent == (isRepeated ? [1, 2] : [1]), "\(entry.condition) \(fault)")
            #expect((answer.text == "GET ") == isRepeated, "\(entry.condition) \(fault)")
          }
        }
        let repeated = Self.conditions.reduce(0) { $0 + $1.faults.count }
        #expect(try RetryScene.retries(scene, "succeeded") == repeated)
        #expect(try RetryScene.retries(scene) == repeated)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a route that does not ask for it repeats nothing and tells no attempt`(
      backend: Backend
    ) throws {
      try Scene.play(backend, RetryScene.failingOnce(), settings: RetryScene.settings("retries: 0"))
      { scene in
        let answer = try scene.client().exchange("GET", "/503", "x-envoy-attempt-count: 1")

        #expect(answer.status == 503 && answer.text == "first")
        #expect(scene.upstream.requests.count == 1)
        #expect(scene.upstream.requests[0].head.all("x-envoy-attempt-count") == ["1"])
        #expect(try RetryScene.retries(scene) == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 9.2.2: what is not idempotent is repeated with an Idempotency-Key alone`(
      backend: Backend
    ) throws {
      let settings = RetryScene.settings("retries: 2, retryOn: [reset, 5xx]")
      try Scene.play(backend, RetryScene.failingOnce(), settings: settings) { scene in
        for method in ["POST", "PATCH", "MKCOL", "get"] {
          for fault in ["reset", "503"] {
            let target = "/\(method)/\(fault)"
            let answer = try scene.client().exchange(method, target)
            #expect(answer.status == (fault == "503" ? 503 : 502))
            #expect(scene.upstream.requests.count { $0.target == target } == 1, "\(method)")
          }
        }
        #expect(try RetryScene.retries(scene, "not-idempotent") == 8)
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
          #expect(try scene.client().exchange(method, "/503").status == 200)
        }
        let client = try scene.client()
        try client.post("/reset", "money", "Idempotency-Key: \"k\"")
        #expect(try client.response().text == "POST money")
        #expect(try RetryScene.retries(scene, "succeeded") == 6)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request has as many retries as its route allows, then the last failure is passed on`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(503, "\(RetryScene.attempt(request))")
      }
      let settings = RetryScene.settings("retries: 2, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let answer = try scene.client().exchange("GET", "/")

        #expect(answer.status == 503 && answer.text == "3")
        #expect(scene.upstream.requests.map(RetryScene.attempt) == [1, 2, 3])
        // Its answers come whole: what was dropped leaves a connection that is of use.
        #expect(scene.upstream.acceptedConnections == 1)
        #expect(try RetryScene.retries(scene, "failed", of: "status") == 2)
        #expect(try RetryScene.retries(scene, "retry-limit", of: "status") == 1)
        #expect(try RetryScene.retries(scene) == 3)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what a tier in front repeats is not repeated here`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in try peer.respond(503) }
      let settings = RetryScene.settings("retries: 2, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        for (field, sent) in [
          ("x-envoy-attempt-count: 2", ["2"]), ("grpc-previous-rpc-attempts: 1", []),
          ("X-Envoy-Attempt-Count: 1", ["1", "2", "3"]),
          ("x-envoy-attempt-count: many", ["1", "2", "3"]),
        ] {
          let target = "/" + field.filter(\.isLetter)
          let answer = try scene.client().exchange("GET", target, field)
          #expect(answer.status == 503)
          let seen = scene.upstream.requests.filter { $0.target == target }
          #expect(seen.flatMap { $0.head.all("x-envoy-attempt-count") } == sent, "\(field)")
          #expect(seen.count == max(1, sent.count))
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connect that fails is tried again after a while, whatever the method`(
      backend: Backend
    ) throws {
      let dead = try Socket.deadPort()
      var settings = RetryScene.settings("retries: 2, retryOn: [connect-failure]")
      settings.endpoints = ["127.0.0.1:\(dead)"]
      try Scene.play(backend, settings: settings) { scene in
        let client = try scene.client()
        try client.post("/", "body")
        let answer = try client.response()

        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "connect-failed")
        #expect(try scene.metric("spillway_upstream_connect_failures_total") == 3)
        #expect(try RetryScene.retries(scene, "failed", of: "connect-failure") == 2)
        #expect(try RetryScene.retries(scene, "retry-limit", of: "connect-failure") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a retry goes to another endpoint where there is one`(backend: Backend) throws {
      let broken = try ScriptedUpstream { peer, _ in
        try peer.respond(503, "", "Connection: close")
        peer.close()
      }
      for balance in ["round-robin", "p2c"] {
        let settings = RetryScene.settings(
          "retries: 1, retryOn: [503]",
          service: "balance: \(balance)"
        )
        try Scene.play(backend, broken, .echoingTarget(), settings: settings) { scene in
          let client = try scene.client()
          for index in 0..<20 {
            #expect(try client.exchange("GET", "/\(index)").text == "/\(index)")
          }
          #expect(scene.upstreams[1].requests.count == 20)
        }
        try broken.comeBack()
      }
    }

    @Test(arguments: Backend.allCases)
    func `nothing is repeated once the client has a byte of a response`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/half" {
          try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        } else {
          try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
          try peer.respond(503, "late")
        }
        peer.close()
      }
      let settings = RetryScene.settings("retries: 2, retryOn: [reset, 5xx]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let half = try scene.answer(to: "GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
        let hinted = try scene.answer(to: "GET /hint HTTP/1.1\r\nHost: a\r\n\r\n")

        #expect(half.text == "hello" && !half.isComplete)
        #expect(hinted.status == 503 && hinted.interim.map(\.status) == [103])
        #expect(scene.upstream.requests.count == 2)
        #expect(try RetryScene.retries(scene, "response-begun") == 1)
        #expect(try RetryScene.retries(scene) == 1)
        // A client of HTTP/1.0 is told nothing before the response.
        let old = try scene.answer(to: "GET /hint HTTP/1.0\r\nHost: a\r\n\r\n")
        #expect(old.status == 503)
        #expect(scene.upstream.requests.count == 5)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that is dropped does not show in the next one`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard RetryScene.attempt(request) == 1 else {
          return try peer.respond(200, request.target)
        }
        switch request.target {
        case "/long":
          let body = String(repeating: "x", count: 200_000)
          try peer.respond(503, body)
        case "/chunks":
          try peer.send("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
          try peer.send("0\r\n\r\n")
        case "/open":
          try peer.send("HTTP/1.1 503 No\r\n\r\nhello")
          peer.close()
        default: try peer.respond(503, "hello")
        }
      }
      let settings = RetryScene.settings("retries: 1, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        for target in ["/short", "/long", "/chunks", "/open", "/short"] {
          let answer = try client.exchange("GET", target)
          #expect(answer.status == 200 && answer.text == target)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an upgrade is not repeated`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in try peer.respond(503) }
      let settings = RetryScene.settings("retries: 2, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let answer = try scene.client().exchange(
          "GET",
          "/",
          "Connection: upgrade",
          "Upgrade: websocket"
        )

        #expect(answer.status == 503)
        #expect(scene.upstream.requests.count == 1)
      }
    }
  }
}
