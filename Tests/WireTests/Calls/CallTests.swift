import Edge
import Foundation
import HTTPCodec
import Testing
import Units

extension WireTests {
  /// Calls of the edge's own to its services, as registries make them: what arrives, and what comes back.
  struct CallTests {
    @Test(arguments: Backend.allCases)
    func `a call goes out as it is meant, for nobody else, and its answer comes back whole`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(201, "\(request.method) \(request.text)", "X-Index: 7")
      }
      try Scene.play(backend, upstream) { scene in
        var request = ServiceRequest(
          service: "backend",
          method: "PUT",
          target: "/v1/kv/a%2Fb//c?x=%20&y"
        )
        request.fields = [ServiceField("X-Token", "secret"), ServiceField("Accept", "*/*")]
        request.body = Array("value".utf8)

        let answer = try scene.begin(request).finished()

        #expect(answer.isWhole && answer.status == 201)
        #expect(answer.text == "PUT value")
        #expect(answer["x-index"] == "7")
        let seen = try #require(scene.upstream.requests.first)
        #expect(seen.target == "/v1/kv/a%2Fb//c?x=%20&y")
        #expect(seen["host"] == scene.upstream.endpoint)
        #expect(seen["x-token"] == "secret" && seen["accept"] == "*/*")
        #expect(seen["x-request-id"]?.count == 32)
        #expect(seen["x-criticality"] == "critical")
        for name in [
          "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded",
        ] {
          #expect(seen[name] == nil, "\(name) of a request that nobody forwarded")
        }
        #expect(seen["connection"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `calls share the connections that requests have`(backend: Backend) throws {
      try Scene.play(backend, .echo()) { (scene: Scene) throws in
        #expect(try scene.client().exchange("GET", "/client").status == 200)
        for number in 0..<5 {
          #expect(try scene.call("GET", "/\(number)").text == "GET /\(number) ")
        }

        #expect(scene.upstream.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a call may name the host and its id`(backend: Backend) throws {
      try Scene.play(backend, .echo()) { (scene: Scene) throws in
        let fields = [
          ServiceField("Host", "other.test:8443"), ServiceField("x-request-id", "mine"),
        ]
        #expect(try scene.call("GET", "/", fields).status == 200)

        #expect(scene.upstream.requests.first?["host"] == "other.test:8443")
        #expect(scene.upstream.requests.first?["x-request-id"] == "mine")
      }
    }

    @Test(arguments: Backend.allCases)
    func `over h2c a call is a stream, a watch as well`(backend: Backend) throws {
      let service = try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        if request.target == "/watch" {
          try peer.respond(request, 200, [("x-one", "1")], body: Array("first".utf8), isLast: false)
        } else {
          try peer.respond(request, 200, body: Array("\(request.method) \(request.text)".utf8))
        }
      }
      try Scene.play(backend, h2c: service) { scene in
        let post = ServiceRequest(
          service: "backend",
          method: "POST",
          target: "/put",
          body: Array("text".utf8)
        )
        #expect(try scene.begin(post).finished().text == "POST text")
        let watch = scene.watch()
        try watch.until { $0.text == "first" }
        #expect(watch.status == 200 && watch["x-one"] == "1")

        watch.call.cancel()

        try eventually("the stream is reset") {
          scene.service.requests.contains { $0.target == "/watch" && $0.reset == .cancel }
        }
        #expect(watch.call.descriptor < 0)
        #expect(scene.service.acceptedConnections == 1)
        #expect(scene.service.requests.first?["x-forwarded-for"] == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `over TLS a call asks for the name that the certificate must have`(backend: Backend) throws
    {
      let upstream = try ScriptedUpstream.echo()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: .secureService(front)) { scene in
        #expect(try scene.call("GET", "/keys").text == "GET /keys ")
        #expect(scene.upstream.requests.first?["host"] == "edge.test")

        try scene.reload {
          $0 = .secureService(front, tls: "authorities: \(WireAuthority.stranger.bundle)")
        }
        let refused = try scene.call("GET", "/keys")
        #expect(refused.failure?.contains("upstream-certificate") == true, "\(refused.events)")
        #expect(scene.upstream.requests.count == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `interim heads are swallowed, and answers without a body end with their heads`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        switch request.target {
        case "/hints":
          try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
          try peer.send("HTTP/1.1 103 Early Hints\r\n\r\n")
          try peer.respond(200, "late")
        case "/head": try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        case "/304": try peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n")
        case "/204": try peer.send("HTTP/1.1 204 No Content\r\n\r\n")
        case "/trailers":
          try peer.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
              + "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n"
          )
        default:
          try peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
          peer.close()
        }
      }
      try Scene.play(backend, upstream) { scene in
        let hints = try scene.call("GET", "/hints")
        #expect(hints.status == 200 && hints.text == "late" && hints["link"] == nil)
        let head = try scene.call("HEAD", "/head")
        #expect(head.isWhole && head.status == 200 && head.body.isEmpty)
        #expect(head["content-length"] == "5")
        for status in [204, 304] {
          let answer = try scene.call("GET", "/\(status)")
          #expect(answer.isWhole && answer.status == status && answer.body.isEmpty)
        }
        #expect(try scene.call("GET", "/trailers").text == "abcde")
        let closed = try scene.call("GET", "/closed")
        #expect(closed.isWhole && closed.text == "until the end")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body of 1 MiB goes up, the largest answer comes down, and so do many fields`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        let fields = (0..<200).map { "X-\($0): \($0)\r\n" }.joined()
        try peer.send("HTTP/1.1 200 OK\r\n\(fields)Content-Length: \(request.body.count)\r\n\r\n")
        try peer.send(request.body)
      }
      try Scene.play(backend, upstream, settings: EdgeSettings().withoutAdmission) { scene in
        let body = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var request = ServiceRequest(service: "backend", method: "POST", target: "/", body: body)
        request.maximumBytes = body.count

        let answer = try scene.begin(request).finished()

        #expect(answer.isWhole && answer.body == body, "\(answer.failure ?? "")")
        #expect(answer["x-199"] == "199")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a watch gives each part as it comes, and its end`(backend: Backend) throws {
      let gates = (0..<30).map { _ in Gate() }
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for (number, gate) in gates.enumerated() {
          gate.wait()
          try peer.send("a\r\nevent \(String(format: "%03d", number))\n\r\n")
        }
        try peer.send("0\r\n\r\n")
      }
      var times = CallTimes()
      times.answer = .milliseconds(50)
      try Scene.play(backend, upstream, calls: times) { scene in
        let watch = scene.watch()
        try watch.until { $0.status == 200 }
        for (number, gate) in gates.enumerated() {
          gate.open()
          try watch.until { $0.body.count == (number + 1) * 10 }
        }
        #expect(try watch.finished().isWhole)
        #expect(watch.text.hasSuffix("event 028\nevent 029\n"))
      }
    }
  }
}
