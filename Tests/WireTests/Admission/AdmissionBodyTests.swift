import Testing

extension WireTests {
  /// A permit is asked for once the body is there: heads alone take none.
  @Suite(.serialized) struct AdmissionBodyTests {
    @Test(arguments: Backend.allCases)
    func `heads whose bodies do not come take no permit`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echo()
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let slow = try (0..<4).map { _ in try scene.client() }
        for client in slow {
          try client.send("POST /slow HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nab")
        }
        let streams = try scene.http2()
        let length = [("content-length", "5")]
        let tokens = try (0..<4).map { _ in
          try streams.request("POST", "/stream", length, body: [97, 98], isLast: false)
        }
        // The answer says that what came before it on this connection was looked at.
        #expect(try streams.exchange("GET", "/on").status == 200)
        try eventually("all wait") { try scene.metric("spillway_exchanges_active") == 8 }

        let other = try scene.client()
        for number in 0..<20 {
          #expect(try other.exchange("GET", "/\(number)").status == 200)
          #expect(try scene.metric("spillway_concurrency_inflight") == 0)
        }
        #expect(upstream.requests.allSatisfy { $0.method == "GET" })

        // One after the other, so that none waits in the queue.
        for client in slow {
          try client.send("cde")
          #expect(try client.response().text == "POST /slow abcde")
        }
        for token in tokens {
          try streams.send([99, 100, 101], on: token, isLast: true)
          #expect(try streams.answer(token).text == "POST /stream abcde")
        }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a block of a long body is enough, and none of it is lost`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        let whole = try peer.readBody(of: request)
        try peer.respond(
          200,
          "\(whole.text.utf8.count) \(whole.text.utf8.reduce(0) { $0 + Int($1) })"
        )
      }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        let body = (0..<40_000).map { UInt8(97 + $0 % 26) }
        try client.send("POST /long HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 40000\r\n\r\n")
        try client.send(Array(body[..<16_000]))
        #expect(try scene.client().exchange("GET", "/x", "Content-Length: 0").status == 200)
        #expect(upstream.requests.map(\.target) == ["/x"])
        try client.send(Array(body[16_000..<17_000]))
        try eventually("the service has the head") {
          upstream.requests.contains { $0.target == "/long" }
        }
        try client.send(Array(body[17_000...]))

        let sum = body.reduce(0) { $0 + Int($1) }
        #expect(try client.response().text == "40000 \(sum)")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `who waits for 100 is not waited for`(backend: Backend) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        try peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        try peer.respond(200, try peer.readBody(of: request).text)
      }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        try client.send(
          "POST / HTTP/1.1\r\nHost: edge.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        #expect(try client.head().status == 100)
        try client.send("ok")
        #expect(try client.response().text == "ok")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body that stays away ends in 408, and one whose client leaves in nothing`(
      backend: Backend
    ) throws {
      var settings = AdmissionScene.settings(limit: 1)
      settings.listener = "limits: {bodyIdle: 200ms}"
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let post = "POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nab"
        #expect(try scene.answer(to: post, method: "POST").status == 408)
        let gone = try scene.client()
        try gone.send(post)
        gone.reset()
        let stream = try scene.http2()
        try stream.reset(
          stream.request("POST", "/", [("content-length", "5")], body: [97], isLast: false)
        )
        #expect(try stream.exchange("GET", "/on").status == 200)
        #expect(scene.upstream.requests.map(\.target) == ["/on"])
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is refused after its body came keeps its connection`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        if request.target == "/held" { gate.wait() }
        try peer.respond(200, request.text)
      }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.client()
        try holder.request("GET", "/held")
        try eventually("it is held") { upstream.requests.count == 1 }
        let client = try scene.client()
        try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nab")
        try eventually("its head was seen") {
          try scene.metric("spillway_exchanges_active") == 2
        }
        #expect(try scene.metric("spillway_queue_depth") == 0)
        try client.send("cde")

        let refused = try client.response()
        #expect(refused.problem?["reason"] as? String == "shed-queue-timeout")
        #expect(!refused.saysClose)
        gate.open()
        #expect(try holder.response().status == 200)
        try client.post("/", "again")
        #expect(try client.response().text == "again")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `bodies without a length arrive whole, in however many pieces they come`(
      backend: Backend
    ) throws {
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let client = try scene.client()
        let head = "HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        try client.send("POST /a \(head)2\r\nab\r\n")
        // Its last chunk comes with a part of the next request.
        try client.send("1;x=y\r\nc\r\n0\r\nx: y\r\n\r\nPOST /b \(head)1\r\n")
        #expect(try client.response().text == "POST /a abc")
        try client.dribble("d\r\n3\r\nefg\r\n0\r\n\r\n")
        #expect(try client.response().text == "POST /b defg")

        let streams = try scene.http2()
        let token = try streams.request("POST", "/c", body: [104], isLast: false)
        try streams.send(Array(repeating: 105, count: 3), on: token, isLast: true)
        #expect(try streams.answer(token).text == "POST /c hiii")
        let empty = try streams.request("POST", "/d", body: [], isLast: false)
        try streams.send([], on: empty, isLast: true)
        #expect(try streams.answer(empty).text == "POST /d ")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body without a length that dribbles gives its permit back at once`(
      backend: Backend
    ) throws {
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let head = "HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        let slow = try scene.client()
        try slow.send("POST /slow \(head)2\r\nab\r\n")
        let streams = try scene.http2()
        let token = try streams.request("POST", "/slow", body: [97, 98], isLast: false)
        try eventually("the service hears of both") {
          scene.upstream.requests.filter { $0.target == "/slow" }.count == 2
        }
        try eventually("their permits are back") {
          try scene.metric("spillway_concurrency_inflight") == 0
        }

        #expect(try scene.client().exchange("GET", "/critical").status == 200)
        try slow.send("1\r\nc\r\n0\r\n\r\n")
        #expect(try slow.response().text == "POST /slow abc")
        try streams.send([99], on: token, isLast: true)
        #expect(try streams.answer(token).text == "POST /slow abc")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases, ["text/plain", "application/grpc"])
    func `who waits for an answer before it goes on gets one`(
      backend: Backend,
      type: String
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        _ = try peer.readBody(of: request)
        try peer.send("3\r\nbye\r\n0\r\n\r\n")
      }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()
        let fields = [("content-type", type)]
        let token = try client.request("POST", "/talk", fields, body: [97], isLast: false)
        #expect(try client.head(token).status == 200)
        try client.wait("its first word") { $0.answers[token]?.text == "hi" }
        try client.send([98], on: token, isLast: true)
        #expect(try client.answer(token).text == "hibye")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body that can be sent again is kept in all its pieces`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, "\(request.text.utf8.count)")
      }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()
        let length = [("content-length", "9000")]
        let token = try client.request("PUT", "/", length, body: [97], isLast: false)
        for _ in 0..<2 { try client.send(Array(repeating: 98, count: 4_000), on: token) }
        try client.send(Array(repeating: 99, count: 999), on: token, isLast: true)
        #expect(try client.answer(token).text == "9000")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that was told to continue and says nothing gives its permit back`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream(readsBody: false) { peer, request in
        if request["expect"] != nil { try peer.send("HTTP/1.1 100 Continue\r\n\r\n") }
        try peer.respond(200, try peer.readBody(of: request).text)
      }
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let silent = try scene.client()
        try silent.send(
          "POST /slow HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n"
            + "Expect: 100-continue\r\n\r\n"
        )
        #expect(try silent.head().status == 100)
        try eventually("it counts among the streams") {
          try scene.metric("spillway_open_streams") == 1
            && scene.metric("spillway_concurrency_inflight") == 0
        }

        #expect(try scene.client().exchange("GET", "/on").status == 200)
        try silent.send("hello")
        #expect(try silent.response().text == "hello")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `heads that would be a part of the edge's own load are decided about at once`(
      backend: Backend
    ) throws {
      var settings = AdmissionScene.settings(limit: 100)
      settings.overload += ", inFlight: 32"
      try Scene.play(backend, .echo(), settings: settings) { scene in
        func begin(_ count: Int) throws -> [RawClient] {
          try (0..<count).map { _ in
            let client = try scene.client()
            try client.send("POST /slow HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nab")
            return client
          }
        }
        func decisions() throws -> Double {
          try scene.metrics().sum("spillway_admission_decisions_total") ?? 0
        }
        // Four of them are an eighth.
        let slow = try begin(6)
        try eventually("all are there") { try scene.metric("spillway_exchanges_active") == 6 }
        #expect(try decisions() == 2)
        for client in slow { client.reset() }
        try eventually("all have left") { try scene.metric("spillway_exchanges_active") == 0 }

        let others = try begin(4)
        try eventually("they wait") { try scene.metric("spillway_exchanges_active") == 4 }
        #expect(try decisions() == 2)
        for client in others {
          try client.send("cde")
          #expect(try client.response().text == "POST /slow abcde")
        }
        #expect(try decisions() == 6)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }
  }
}
