import Testing

extension WireTests {
  /// Requests that are too much: too long, too many, too slow.
  struct LimitStatusTests {
    @Test(arguments: Backend.allCases)
    func `the largest reply that a configuration may hold is sent whole`(
      backend: Backend
    ) throws {
      let fields = (0..<6).map { index in
        "{name: x-\(index), value: \"\(String(repeating: "v", count: index < 5 ? 512 : 470))\"}"
      }
      var settings = EdgeSettings(listener: "trustedProxies: [127.0.0.1]")
      settings.routes = [
        "name: big, match: {path: /big}, policies: {auth: none}, respond: {status: 451, "
          + "body: \"\(String(repeating: "b", count: 12_288))\", "
          + "headers: [\(fields.joined(separator: ", "))]}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let id = String(repeating: "i", count: 128)
        let answer = try scene.client().exchange("GET", "/big", "X-Request-ID: \(id)")

        #expect(answer.status == 451)
        #expect(answer.body.count == 12_288)
        #expect(answer["x-5"]?.count == 470)
        #expect(answer["x-request-id"] == id)
        #expect(throws: (any Error).self) {
          try scene.reload { settings in
            settings.routes[0] = settings.routes[0].replacing("name: x-5", with: "name: x-55")
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.5.15: a target over its bound gets 414`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        for length in [12_000, 20_000, 100_000] {
          let client = try scene.client()
          let target = "/" + String(repeating: "a", count: length)
          client.trySend("GET \(target) HTTP/1.1\r\nHost: edge.test\r\n\r\n")
          #expect(try client.response().status == 414, "a target of \(length) bytes")
          #expect(client.isClosedSilently())
        }
        #expect(scene.upstream.transcript.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a head that leaves no room for the fields of the edge gets 431`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let padding = String(repeating: "p", count: 16_200)
        let answer = try scene.client().exchange("GET", "/", "X-Padding: \(padding)")

        #expect(answer.status == 431)
        #expect(scene.upstream.transcript.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 6585 5: a head with too many bytes or fields gets 431`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let long = "X: " + String(repeating: "a", count: 17_000) + "\r\n"
        let many = (0..<101).map { "x-\($0): 1\r\n" }.joined()
        let endless = "X: " + String(repeating: "a", count: 200_000)
        for fields in [long, many, endless] {
          let client = try scene.client()
          client.trySend("GET / HTTP/1.1\r\nHost: edge.test\r\n\(fields)\r\n")
          #expect(try client.response().status == 431, "\(fields.prefix(20))")
          #expect(client.isClosedSilently())
        }
        #expect(scene.upstream.transcript.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 9.3.2: a HEAD that is too large gets no body`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {headTimeout: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let padding = String(repeating: "a", count: 17_000)
        let long = "HEAD / HTTP/1.1\r\nHost: edge.test\r\nX: \(padding)"
        let slow = "\r\nHEAD / HTTP/1.1\r\nHost: edge"
        for (text, status) in [(long, 431), (slow, 408)] {
          let client = try scene.client()
          client.trySend(text)
          let all = String(decoding: try client.rest(), as: UTF8.self)
          #expect(all.hasPrefix("HTTP/1.1 \(status) "))
          #expect(all.contains("content-length: ") && all.hasSuffix("\r\n\r\n"))
        }

        let http2 = try scene.http2()
        let many = (0..<101).map { ("x-\($0)", "1") }
        let answer = try http2.exchange("HEAD", "/", many)
        #expect(answer.status == 431 && answer.body.isEmpty && answer.isComplete)
        #expect(answer["content-length"] != nil)
        #expect(try !http2.exchange("GET", "/", many).body.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the bounds of a head are those of the listener`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {headBytes: 2KiB, headers: 8}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        let seven = (1...7).map { "x-\($0): 1\r\n" }.joined()
        try client.send("GET / HTTP/1.1\r\nHost: edge.test\r\n\(seven)\r\n")
        #expect(try client.response().status == 200)
        try client.send("GET / HTTP/1.1\r\nHost: edge.test\r\n\(seven)x-8: 1\r\n\r\n")
        #expect(try client.response().status == 431)

        let other = try scene.client()
        let value = String(repeating: "a", count: 2_100)
        #expect(try other.exchange("GET", "/", "A: \(value)").status == 431)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.5.14: a body over its bound gets 413, announced or chunked`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(listener: "limits: {bodyBytes: 1000B}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let announced = try scene.client()
        try announced.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 1001\r\n\r\n")
        let refusal = try announced.response()
        #expect(refusal.status == 413)
        #expect(refusal.problem?["status"] as? Int == 413)
        #expect(scene.upstream.transcript.isEmpty)

        let chunked = try scene.client()
        let chunk = "1f4\r\n" + String(repeating: "x", count: 500) + "\r\n"
        chunked.trySend(
          "POST / HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk + chunk + chunk + "0\r\n\r\n"
        )
        let late = try chunked.response()
        #expect(late.status == 413)
        #expect(!scene.upstream.requests.contains { $0.isComplete })

        let whole = try scene.client()
        try whole.post("/", String(repeating: "x", count: 1000))
        #expect(try whole.response().status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.5.9: a head that never ends gets 408`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {headTimeout: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()

        try client.send("GET / HTTP/1.1\r\nHost: edge.test\r\nX-Slow: ")
        let answer = try client.response()

        #expect(answer.status == 408)
        #expect(answer.saysClose)
        #expect(client.isClosedSilently())
        #expect(try scene.metric("spillway_timeouts_total{kind=\"head\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a head fed byte by byte does not outlive its timeout`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {headTimeout: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        try client.send("GET / HTTP/1.1\r\nHost: edge.test\r\n")

        // Slowloris: each byte is progress, the whole is not.
        try eventually("the edge has had enough", within: .seconds(5)) { !client.trySend("X") }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection that never says anything is closed without a word`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(listener: "limits: {headTimeout: 300ms, keepAliveIdle: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()

        #expect(client.isClosedSilently())
        #expect(try scene.metric("spillway_timeouts_total{kind=\"head\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an idle kept connection is closed without a word`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {keepAliveIdle: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()

        #expect(try client.exchange().status == 200)
        #expect(client.isClosedSilently())
        #expect(try scene.metric("spillway_timeouts_total{kind=\"keep-alive-idle\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a body that stalls gets 408 and cancels the upstream request`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {bodyIdle: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()

        try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 10\r\n\r\nhello")
        let answer = try client.response()

        #expect(answer.status == 408)
        #expect(client.isClosedSilently())
        try eventually("the upstream was told") {
          scene.upstream.requests.isEmpty || scene.upstream.cancellations == 1
        }
        #expect(try scene.metric("spillway_timeouts_total{kind=\"body-idle\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    /// A pace to be judged, and no other time that could end the exchange before it is.
    private static let paced = EdgeSettings(
      listener: "limits: {minimumRate: 100KiB, bodyIdle: 1s}",
      policies: "timeoutMs: 30000"
    )

    @Test(arguments: Backend.allCases)
    func `a body below the minimum rate is ended`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: Self.paced) { scene in
        let client = try scene.client()
        try client.send("POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 1000000\r\n\r\n")

        // A byte a millisecond is never idle and yet holds the exchange for a quarter of an hour.
        try eventually("the edge has had enough", within: .seconds(40)) { !client.trySend("x") }
        try eventually("the upstream was told") {
          scene.upstream.requests.isEmpty || scene.upstream.cancellations == 1
        }
        #expect(try scene.metric("spillway_timeouts_total{kind=\"slow-body\"}") == 1)
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases, [0, 16])
    func `a reader below the minimum rate is cut off`(backend: Backend, piece: Int) throws {
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n")
        let part = [UInt8](repeating: 0x78, count: 1 << 20)
        for _ in 0..<50 { try peer.send(part) }
      }
      try Scene.play(backend, upstream, settings: Self.paced) { scene in
        let client = try scene.client(receiveBuffer: 4096)
        try client.request()

        try eventually("it was cut off", within: .seconds(40)) {
          // What was on its way can still be read; then comes the end.
          if piece > 0 { _ = try? client.some(atMost: piece) }
          // Before it is accepted there is no connection either.
          return try scene.metric("spillway_timeouts_total{kind=\"slow-reader\"}") == 1
            && scene.metric("spillway_connections{side=\"downstream\"}") == 0
        }
        #expect(try scene.metric("spillway_timeouts_total") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is wrong with a head decides the status`(backend: Backend) throws {
      let host = "Host: edge.test\r\n"
      let broken: [(String, Int, String)] = [
        ("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "501"),
        ("GET / HTTP/2.0\r\n\(host)\r\n", 505, "505"),
        ("GET /\r\n\r\n", 400, "no version"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "no host"),
        ("CONNECT edge.test:443 HTTP/1.1\r\n\(host)\r\n", 501, "CONNECT"),
        ("TRACE / HTTP/1.1\r\n\(host)\r\n", 501, "TRACE"),
      ]
      try Scene.play(backend, .echoingTarget()) { scene in
        for (head, status, name) in broken {
          let answer = try scene.answer(to: head)
          #expect(answer.status == status, "\(name)")
        }
        #expect(scene.upstream.requests.isEmpty)
      }
    }
  }
}
