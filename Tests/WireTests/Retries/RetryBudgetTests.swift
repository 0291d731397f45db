import Testing
import Units

extension WireTests {
  /// How many retries a service gets, and what admission has to say about them.
  struct RetryBudgetTests {
    private static func failing() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in try peer.respond(503, request.target) }
    }

    @Test(arguments: Backend.allCases)
    func `in a total outage the service sees a fifth more than its clients send`(
      backend: Backend
    ) throws {
      var settings = RetryScene.settings(
        "retries: 2, retryOn: [5xx, reset]",
        budget: "{ratio: 0.2, minimumPerSecond: 0}"
      )
      settings.workers = 2
      try Scene.play(backend, Self.failing(), settings: settings) { scene in
        let port = try scene.edge.port("public")
        let failures = Locked(0)
        try concurrently(4) { _ in
          let isWell = try? { () throws -> Bool in
            let client = try RawClient(port: port)
            defer { client.close() }
            for number in 0..<100 {
              let answer = try client.exchange("GET", "/\(number)")
              // What is not repeated is passed on as it came.
              guard answer.status == 503, answer.text == "/\(number)" else { return false }
            }
            return true
          }()
          if isWell != true { failures.withLock { $0 += 1 } }
        }

        #expect(failures.withLock { $0 } == 0)
        let seen = scene.upstream.requests.count
        #expect((400...480).contains(seen), "\(seen)")
        let sent = try RetryScene.retries(scene, "failed")
        #expect(seen == 400 + sent)
        #expect(try RetryScene.retries(scene, "budget-exhausted") >= 320)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what was used of a budget outlives a reload`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.respond(503, "", "Retry-After: 25")
      }
      let settings = RetryScene.settings(
        "retries: 1, retryOn: [503]",
        budget: "{ratio: 0, minimumPerSecond: 1}"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        try client.request("GET", "/waits")
        try eventually("its retry waits") { try RetryScene.remaining(scene) == 0 }

        try scene.reload {
          $0.policies = "timeoutMs: 29000, retries: 2, retryOn: [503]"
          $0.routes = [
            "name: fresh, match: {path: /fresh}, respond: {status: 204}, policies: {auth: none}"
          ]
        }
        try eventually("the new configuration is there") {
          try scene.client().exchange("GET", "/fresh").status == 204
        }
        let before = try RetryScene.retries(scene, "budget-exhausted")

        #expect(try scene.client().exchange("GET", "/after").status == 503)
        #expect(try RetryScene.retries(scene, "budget-exhausted") == before + 1)
        #expect(try RetryScene.remaining(scene) == 0)
        #expect(scene.upstream.requests.count { $0.target == "/waits" } == 1)
        client.close()
        try eventually("it is gone") { try RetryScene.retries(scene, "left") == 1 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `while requests wait for the service it gets no retries`(backend: Backend) throws {
      let gates = Locked<[String: Gate]>([:])
      let upstream = try ScriptedUpstream { peer, request in
        gates.withLock { $0[request.target] }?.wait()
        try peer.respond(request.target.hasPrefix("/held") ? 503 : 200)
      }
      var settings = AdmissionScene.settings(limit: 1)
      settings.policies += ", retries: 1, retryOn: [503]"
      settings.service += ", retryBudget: {minimumPerSecond: 1000}"
      try Scene.play(backend, upstream, settings: settings) { scene in
        var round = 0
        // On a machine that hangs the second one may be refused before the first is answered.
        try eventually("one found the service limited") {
          round += 1
          let gate = Gate()
          let shed = "spillway_admission_decisions_total{decision=\"shed\"}"
          let before = try scene.metric(shed)
          gates.withLock { $0["/held/\(round)"] = gate }
          defer { gate.open() }
          let first = try scene.client()
          try first.request("GET", "/held/\(round)")
          try eventually("it is held") {
            upstream.requests.contains { $0.target == "/held/\(round)" }
          }
          let second = try scene.client()
          try second.request("GET", "/critical")
          try eventually("it waits, or was refused") {
            let metrics = try scene.metrics()
            return try (metrics.sum("spillway_queue_depth") ?? 0) > 0
              || (metrics.sum(shed) ?? 0) > before
          }
          gate.open()
          #expect(try first.response().status == 503)
          _ = try second.response()
          return try RetryScene.retries(scene, "service-limited") > 0
        }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a failed attempt ends its permit, and its retry asks again one class lower`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(RetryScene.attempt(request) < 3 ? 503 : 200)
      }
      var settings = AdmissionScene.settings(limit: 1)
      settings.service += ", retryBudget: {minimumPerSecond: 1000}"
      settings.routes = [
        "name: paid, match: {pathPrefix: /paid}, class: critical, upstream: {service: backend}, "
          + "policies: {auth: none, timeoutMs: 30000, retries: 2, retryOn: [503]}"
      ]
      try Scene.play(backend, upstream, settings: settings) { scene in
        #expect(try scene.client().exchange("GET", "/paid").status == 200)

        func admitted(_ name: String) throws -> Double {
          try AdmissionScene.decisions(scene, "decision=\"admitted\",class=\"\(name)\"")
        }
        #expect(try admitted("critical") == 1)
        #expect(try admitted("important") == 2, "the second retry is as much as the first")
        // The class that a service is told is the request's own: it lowers retries by itself.
        let told = scene.upstream.requests.map { $0["x-criticality"] ?? "" }
        #expect(told == ["critical", "critical", "critical"])
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a retry that admission has no place for is refused as any request`(
      backend: Backend
    ) throws {
      let gates = Locked<[String: Gate]>([:])
      let upstream = try ScriptedUpstream { peer, request in
        guard let gate = gates.withLock({ $0[request.target] }) else {
          return try peer.respond(503, "", "Retry-After: 2")
        }
        gate.wait()
        try peer.respond(200)
      }
      var settings = AdmissionScene.settings(limit: 1)
      settings.policies += ", retries: 1, retryOn: [503]"
      settings.service += ", retryBudget: {minimumPerSecond: 1000}"
      try Scene.play(backend, upstream, settings: settings) { scene in
        var round = 0
        // On a machine that hangs the retry may go out before the other request is there.
        try eventually("one found no place") {
          round += 1
          let (fails, holds) = ("/fails/\(round)", "/critical/\(round)")
          let gate = Gate()
          gates.withLock { $0[holds] = gate }
          defer { gate.open() }
          let client = try scene.client()
          try client.request("GET", fails)
          try eventually("its first attempt is over") {
            try upstream.requests.contains { $0.target == fails }
              && scene.metric("spillway_concurrency_inflight") == 0
          }
          let holder = try scene.client()
          try holder.request("GET", holds)
          let answer = try client.response()
          #expect(answer.status == 503)
          gate.open()
          _ = try holder.response()
          return try RetryScene.retries(scene, "shed") > 0
        }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }
  }
}
