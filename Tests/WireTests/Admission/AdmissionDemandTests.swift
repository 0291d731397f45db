import Testing

extension WireTests {
  /// Class and time: what callers may say, and what services are told.
  @Suite(.serialized) struct AdmissionDemandTests {
    private static func trusting(_ settings: EdgeSettings) -> EdgeSettings {
      var settings = settings
      settings.listener = "trustedProxies: [127.0.0.1/32]"
      return settings
    }

    private static let field = "x-envoy-expected-rq-timeout-ms"

    @Test(arguments: Backend.allCases)
    func `a stranger's class and time do not count, and do not reach the service`(
      backend: Backend
    ) throws {
      let settings = AdmissionScene.settings(limit: 9)
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let answer = try scene.client().exchange(
          "GET",
          "/best-effort",
          "X-Criticality: critical",
          "x-request-timeout-ms: 0",
          "X-Envoy-Expected-Rq-Timeout-Ms: 1"
        )

        #expect(answer.status == 200)
        let request = scene.upstream.requests[0]
        #expect(request.head.all("x-criticality") == ["best-effort"])
        #expect(request["x-request-timeout-ms"] == nil)
        #expect(request.head.all(Self.field).count == 1)
        let left = try #require(request[Self.field].flatMap { Int($0) })
        #expect((1...30_000).contains(left))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a trusted caller names the class, and its retries count one lower`(
      backend: Backend
    ) throws {
      let settings = Self.trusting(AdmissionScene.settings(limit: 9))
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        _ = try client.exchange("GET", "/normal", "x-criticality: critical")
        _ = try client.exchange("GET", "/normal", "x-envoy-attempt-count: 2")
        _ = try client.exchange("GET", "/critical", "grpc-previous-rpc-attempts: 3")

        #expect(
          scene.upstream.requests.map { $0["x-criticality"] }
            == ["critical", "best-effort", "important"]
        )
        // Who tries again for somebody is told so by the service's side too.
        #expect(scene.upstream.requests[1]["x-envoy-attempt-count"] == "2")
      }
    }

    @Test(arguments: Backend.allCases)
    func `what cannot be answered in time is refused at once`(backend: Backend) throws {
      let settings = Self.trusting(AdmissionScene.settings(limit: 9))
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        let late = try client.exchange("GET", "/late", "x-request-timeout-ms: 0")
        let call = try client.exchange("GET", "/call", "grpc-timeout: 0m")
        let timely = try client.exchange("GET", "/timely", "x-request-timeout-ms: 20000")

        #expect(late.status == 503)
        #expect(late.problem?["reason"] as? String == "shed-deadline")
        #expect(call.problem?["reason"] as? String == "shed-deadline")
        #expect(timely.status == 200)
        #expect(scene.upstream.requests.map(\.target) == ["/timely"])
        let left = try #require(scene.upstream.requests[0][Self.field].flatMap { Int($0) })
        #expect((1...20_000).contains(left))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a call's own time goes on to the service beside ours`(backend: Backend) throws {
      let service = try HTTP2Upstream.echo()
      let settings = AdmissionScene.settings(limit: 9)
      try Scene.play(backend, h2c: service, settings: settings) { scene in
        let client = try scene.http2()
        let token = try client.request("GET", "/call", [("grpc-timeout", "60S")])
        #expect(try client.answer(token).status == 200)

        let time = try #require(service.requests[0]["grpc-timeout"])
        #expect(time.hasSuffix("m"))
        let left = try #require(Int(time.dropLast()))
        // More than our own 30 s, which are for the response head alone where the call is a stream.
        #expect((30_001...60_000).contains(left))
      }
    }
  }
}
