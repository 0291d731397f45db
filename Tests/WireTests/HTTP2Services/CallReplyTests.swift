import HTTPCodec
import Testing

extension WireTests {
  /// What the edge answers by itself to calls of gRPC, and how services' own answers pass.
  struct CallReplyTests {
    private static let call = [("content-type", "application/grpc"), ("te", "trailers")]

    @Test(arguments: Backend.allCases)
    func `a refusal is trailers-only, with a status of gRPC`(backend: Backend) throws {
      var settings = EdgeSettings()
      settings.hasDefaultRoute = false
      settings.routes = [
        "name: one, match: {path: /slow}, upstream: {service: backend}, "
          + "policies: {auth: none, timeoutMs: 100}"
      ]
      let service = try HTTP2Upstream { _, _, _ in }
      try Scene.play(backend, h2c: service, settings: settings) { scene in
        let client = try scene.http2()

        let unknown = try client.exchange("POST", "/none", Self.call, body: [0, 0, 0, 0, 0])
        let late = try client.exchange("POST", "/slow", Self.call, body: [0, 0, 0, 0, 0])
        let web = try client.exchange(
          "POST",
          "/none",
          [("content-type", "application/grpc-web+proto")],
          body: []
        )

        for (answer, status) in [(unknown, "12"), (late, "4")] {
          #expect(answer.status == 200)
          #expect(answer["grpc-status"] == status)
          #expect(answer["content-type"] == "application/grpc")
          #expect(answer["x-request-id"]?.count == 32)
          #expect(answer.body.isEmpty && answer.trailers.isEmpty && answer.isComplete)
        }
        #expect(unknown["grpc-message"] == "no-route")
        #expect(web.status == 404, "browsers' gRPC reads HTTP statuses")
        #expect(try scene.metric("spillway_requests_total{code=\"404\"}") == 2)
        #expect(try scene.metric("spillway_requests_total{code=\"504\"}") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a call that lacks capacity is told when to come back`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        if moment == .head { try peer.reset(request, .refusedStream) }
      }
      try Scene.play(backend, h2c: service) { scene in
        let answer = try scene.http2().exchange("POST", "/", Self.call, body: [0, 0, 0, 0, 0])

        #expect(answer["grpc-status"] == "14")
        #expect(["1000", "2000", "3000"].contains(answer["grpc-retry-pushback-ms"]))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service's statuses pass, in trailers and with the head`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        let status = [("grpc-status", "5"), ("grpc-message", "not there")]
        if request.target == "/head" {
          try peer.respond(request, 200, [("content-type", "application/grpc")] + status)
        } else {
          try peer.respond(
            request,
            200,
            [("content-type", "application/grpc")],
            body: [0, 0, 0, 0, 0],
            trailers: status
          )
        }
      }
      try Scene.play(backend, h2c: service) { scene in
        let client = try scene.http2()
        let fields = Self.call + [("grpc-timeout", "500m")]

        let head = try client.exchange("POST", "/head", fields, body: [0, 0, 0, 0, 0])
        let trailers = try client.exchange("POST", "/trailers", fields, body: [0, 0, 0, 0, 0])

        #expect(head["grpc-status"] == "5" && head.trailers.isEmpty && head.isComplete)
        #expect(trailers["grpc-status"] == nil && trailers.body.count == 5)
        #expect(trailers.trailers.map(\.value) == ["5", "not there"])
        #expect(scene.service.requests.allSatisfy { $0["te"] == "trailers" })
        #expect(scene.service.requests.allSatisfy { $0["grpc-timeout"] == "500m" })
      }
    }
  }
}
