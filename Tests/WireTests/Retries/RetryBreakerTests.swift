import Testing

extension WireTests {
  /// Attempts that are repeated, and what watches them.
  struct RetryBreakerTests {
    @Test(arguments: Backend.allCases, ["502", "reset"])
    func `attempts that are repeated count for the breaker, each of them`(
      backend: Backend,
      fault: String
    ) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        if fault == "502" {
          try peer.respond(502, "x", "Connection: close")
          peer.close()
        } else {
          peer.reset()
        }
      }
      let settings = RetryScene.settings(
        "retries: 2, retryOn: [502, reset]",
        service: "breaker: {consecutiveFailures: 3, open: 600s}"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        let first = try scene.client().exchange("GET", "/first")
        #expect(first.status == 502)
        #expect(scene.upstream.requests.count == 3)

        let second = try scene.client().exchange("GET", "/second")
        #expect(second.status == 503)
        #expect(second.text.contains("\"reason\":\"breaker-open\""))
        #expect(scene.upstream.requests.count == 3)
      }
    }
  }
}
