import HTTPCodec
import Testing

extension WireTests {
  /// Retries towards services of HTTP/2, and of calls of gRPC.
  struct RetryStreamTests {
    private static func attempt(_ request: HTTP2Upstream.Request) -> Int {
      request["x-envoy-attempt-count"].flatMap { Int($0) } ?? 0
    }

    private static func settings(_ conditions: String, retries: Int = 1) -> EdgeSettings {
      RetryScene.settings("retries: \(retries), retryOn: [\(conditions)]")
    }

    @Test(arguments: Backend.allCases)
    func `streams that are reset and statuses that are named are repeated`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        guard Self.attempt(request) == 1 else {
          return try peer.respond(request, 200, body: request.body)
        }
        switch request.target {
        case "/reset": try peer.reset(request, .internalError)
        case "/503": try peer.respond(request, 503, body: Array("first".utf8))
        default: try peer.respond(request, 503)
        }
      }
      try Scene.play(backend, h2c: service, settings: Self.settings("reset, 503")) { scene in
        let old = try scene.client()
        let new = try scene.http2()
        for target in ["/reset", "/503", "/empty"] {
          #expect(try old.exchange("GET", target).status == 200)
          for count in [0, 5, 40_000, 65_536] {
            let body = [UInt8](repeating: 7, count: count)
            let answer = try new.exchange("PUT", target, body: body)
            #expect(answer.status == 200 && answer.body == body, "\(target) \(count)")
          }
          let post = try new.exchange("POST", target, body: [1])
          #expect(post.status == (target == "/reset" ? 502 : 503))
        }
        #expect(try RetryScene.retries(scene, "succeeded") == 15)
        #expect(try RetryScene.retries(scene, "not-idempotent") == 3)
        #expect(scene.service.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what was refused unprocessed is repeated whatever the method`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if Self.attempt(request) == 1 { return try peer.reset(request, .refusedStream) }
        try peer.respond(request, 200, body: request.body)
      }
      try Scene.play(backend, h2c: service, settings: Self.settings("refused-stream")) { scene in
        let client = try scene.client()
        try client.post("/", "money")
        let answer = try client.response()

        #expect(answer.status == 200 && answer.text == "money")
        // Three at once, as without retries, and then the retry.
        #expect(scene.service.requests.map(Self.attempt) == [1, 1, 1, 2])
        #expect(try RetryScene.retries(scene, "succeeded", of: "refused-stream") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection that ends takes no request along`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if Self.attempt(request) == 1, request.target == "/last" { return peer.close() }
        if Self.attempt(request) > 1 { try peer.respond(request, 200, body: [1]) }
      }
      try Scene.play(backend, h2c: service, settings: Self.settings("reset", retries: 2)) {
        scene in
        let client = try scene.http2()
        let tokens = try (0..<20).map { try client.request("GET", "/\($0)") }
        try eventually("they are there") { scene.service.requests.count == 20 }
        let last = try client.request("GET", "/last")

        for token in tokens + [last] { #expect(try client.answer(token).status == 200) }
      }
    }

    /// Answers first attempts of calls as the target says: a code, or a code and a pushback.
    private static func calls() throws -> HTTP2Upstream {
      try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        let grpc = [("content-type", "application/grpc")]
        let parts = request.target.split(separator: "/").map(String.init)
        guard attempt(request) == 1 else {
          return try peer.respond(
            request,
            200,
            grpc,
            body: request.body,
            trailers: [("grpc-status", "0")]
          )
        }
        if parts[0] == "trailers" {
          return try peer.respond(
            request,
            200,
            grpc,
            body: [0, 0, 0, 0, 0],
            trailers: [("grpc-status", parts[1])]
          )
        }
        let pushback = parts.count > 1 ? [("grpc-retry-pushback-ms", parts[1])] : []
        try peer.respond(request, 200, grpc + [("grpc-status", parts[0])] + pushback)
      }
    }

    private static let call = [("content-type", "application/grpc"), ("te", "trailers")]
    private static let key = call + [("idempotency-key", "\"k\"")]

    @Test(arguments: Backend.allCases)
    func `calls of gRPC are repeated by their status, with a key alone`(backend: Backend) throws {
      let names = [
        ("cancelled", 1), ("deadline-exceeded", 4), ("resource-exhausted", 8), ("internal", 13),
        ("unavailable", 14),
      ]
      var settings = RetryScene.settings("retries: 0")
      settings.routes = names.map { name, code in
        "name: c\(code), match: {pathPrefix: /\(code)}, upstream: {service: backend}, "
          + "policies: {auth: none, timeoutMs: 30000, retryOn: [grpc-\(name)]}"
      }
      settings.policies = "timeoutMs: 30000, retryOn: [grpc-unavailable]"
      try Scene.play(backend, h2c: Self.calls(), settings: settings) { scene in
        let client = try scene.http2()
        let message: [UInt8] = [0, 0, 0, 0, 1, 9]
        for (name, code) in names {
          let answer = try client.exchange("POST", "/\(code)", Self.key, body: message)
          #expect(answer.trailers.map(\.value) == ["0"] && answer.body == message, "\(name)")
          let without = try client.exchange("POST", "/\(code)", Self.call, body: message)
          #expect(without["grpc-status"] == "\(code)", "\(name)")
        }
        let other = try client.exchange("POST", "/5", Self.key, body: message)
        let late = try client.exchange("POST", "/trailers/14", Self.key, body: message)

        #expect(other["grpc-status"] == "5")
        #expect(late.trailers.map(\.value) == ["14"], "the response had begun")
        #expect(try RetryScene.retries(scene, "succeeded", of: "grpc") == 5)
        #expect(try RetryScene.retries(scene, "not-idempotent", of: "grpc") == 5)
        #expect(try RetryScene.retries(scene) == 10)
      }
    }

    @Test(arguments: Backend.allCases)
    func `gRFC A6: a pushback is waited for, and a negative one ends it`(backend: Backend) throws {
      let settings = Self.settings("grpc-unavailable")
      try Scene.play(backend, h2c: Self.calls(), settings: settings) { scene in
        let client = try scene.http2()
        for never in ["-1", "soon", "60000"] {
          let answer = try client.exchange("POST", "/14/\(never)", Self.key, body: [1])
          #expect(answer["grpc-status"] == "14", "\(never)")
        }
        #expect(try RetryScene.retries(scene, "told-not-to") == 2)
        #expect(try RetryScene.retries(scene, "deadline") == 1)
        let begun = ContinuousClock.now
        let answer = try client.exchange("POST", "/14/1000", Self.key, body: [1])
        #expect(answer.trailers.map(\.value) == ["0"])
        #expect(ContinuousClock.now - begun >= .milliseconds(990))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a call that got no answer is repeated as the status that the edge would give`(
      backend: Backend
    ) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if Self.attempt(request) == 1 { return try peer.reset(request, .internalError) }
        try peer.respond(request, 200, [("grpc-status", "0")] + [Self.call[0]])
      }
      let settings = Self.settings("grpc-unavailable")
      try Scene.play(backend, h2c: service, settings: settings) { scene in
        let client = try scene.http2()
        let call = try client.exchange("POST", "/", Self.key, body: [1])
        let other = try client.exchange("GET", "/")

        #expect(call["grpc-status"] == "0")
        #expect(other.status == 502, "no call of gRPC")
      }
    }
  }
}
