import Testing

extension WireTests {
  /// When retries go out: back-off, deadlines, what services ask for, clients that leave.
  struct RetryTimeTests {
    @Test(arguments: Backend.allCases)
    func `an attempt that takes too long is repeated, and the last one is named`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard request.target == "/once", RetryScene.attempt(request) == 2 else {
          return try peer.hang()
        }
        try peer.respond(200, "late")
      }
      let settings = RetryScene.settings("perTryTimeoutMs: 500, retries: 1, retryOn: [reset]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        // On a machine that hangs the second attempt may be too late as well.
        try eventually("a second attempt was in time") {
          try scene.client().exchange("GET", "/once").text == "late"
        }
        #expect(try RetryScene.retries(scene, "succeeded", of: "per-try-timeout") == 1)

        let timeouts = "spillway_timeouts_total{kind=\"per-try\"}"
        let replies = "spillway_local_replies_total{reason=\"upstream-timeout-per-try\"}"
        let before = try (scene.metric(timeouts), scene.metric(replies))
        let answer = try scene.client().exchange("GET", "/never")

        #expect(answer.status == 504)
        #expect(answer.problem?["reason"] as? String == "upstream-timeout-per-try")
        #expect(answer["proxy-status"]?.contains("http_response_timeout") == true)
        #expect(try scene.metric(timeouts) == before.0 + 2)
        #expect(try scene.metric(replies) == before.1 + 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the request's own time ends it, however many retries there were`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in try peer.hang() }
      let settings = EdgeSettings(policies: "timeoutMs: 300, retries: 2, retryOn: [reset, 5xx]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let answer = try scene.client().exchange("GET", "/")

        #expect(answer.status == 504)
        #expect(answer.problem?["reason"] as? String == "upstream-timeout")
        #expect(scene.upstream.requests.count <= 1)
        #expect(try RetryScene.retries(scene) == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service is not asked again before it wants to be, and not past the deadline`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard RetryScene.attempt(request) == 1 else { return try peer.respond(200, "again") }
        try peer.respond(503, "", "Retry-After: \(request.target.dropFirst())")
      }
      let settings = RetryScene.settings("retries: 1, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        for long in ["60", "99999999999999999999", "Fri, 31 Dec 2999 23:59:59 GMT"] {
          let target = "/" + long.replacing(" ", with: "")
          let answer = try scene.client().exchange("GET", target)
          let isRead = !long.contains(" ")
          #expect(answer.status == (isRead ? 503 : 200), "\(long)")
        }
        #expect(try RetryScene.retries(scene, "deadline") == 2)
        let begun = ContinuousClock.now
        #expect(try scene.client().exchange("GET", "/1").text == "again")
        #expect(ContinuousClock.now - begun >= .seconds(1))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a tier behind that sheds load is not asked again`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(503, "", "\(request.target.dropFirst()): true")
      }
      let settings = RetryScene.settings("retries: 1, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        for field in ["x-envoy-overloaded", "X-Envoy-RateLimited"] {
          let answer = try scene.client().exchange("GET", "/\(field)")
          #expect(answer.status == 503)
        }
        #expect(scene.upstream.requests.count == 2)
        #expect(try RetryScene.retries(scene, "told-not-to") == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that leaves while its retry waits takes it along`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(503, "", "Retry-After: 20")
      }
      let settings = RetryScene.settings(
        "retries: 1, retryOn: [503]",
        budget: "{ratio: 0, minimumPerSecond: 1}"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        #expect(try RetryScene.remaining(scene) == 1)
        let client = try scene.client()
        try client.request("GET", "/")
        try eventually("its retry waits") { try RetryScene.remaining(scene) == 0 }

        client.close()

        try eventually("it is gone") { try RetryScene.retries(scene, "left") == 1 }
        #expect(try RetryScene.remaining(scene) == 1, "what did not go out is given back")
        #expect(scene.upstream.requests.count == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the service is told how much time is left for each attempt`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard RetryScene.attempt(request) == 1 else { return try peer.respond(200) }
        try peer.respond(503, "", "Retry-After: 1")
      }
      let settings = RetryScene.settings("retries: 1, retryOn: [503]")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let answer = try scene.client().exchange("GET", "/")
        #expect(answer.status == 200)

        let left = scene.upstream.requests.compactMap {
          $0["x-envoy-expected-rq-timeout-ms"].flatMap { Int($0) }
        }
        #expect(left.count == 2 && left[1] <= left[0] - 1_000, "\(left)")
      }
    }
  }
}
