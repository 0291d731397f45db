import Testing

extension WireTests {
  /// Which route a request takes, what goes upstream as its path, and what is said without a route.
  struct RoutingTests {
    @Test(arguments: Backend.allCases)
    func `RFC 3986 6.2.2: the normalised path is what goes upstream`(backend: Backend) throws {
      let paths = [
        ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/a/b/..", "/a/"), ("/a/b/.", "/a/b/"),
        ("/a/%2e%2e/b", "/b"), ("/a/.%2E/b", "/b"), ("/a/%2e/b", "/a/b"), ("/%7euser", "/~user"),
        ("/a%3ab", "/a%3Ab"), ("/a//b", "/a/b"), ("/a?x=/../%2f//", "/a?x=/../%2f//"), ("/?", "/?"),
        ("/a/b/../../c?d", "/c?d"), ("/", "/"), ("/%41", "/A"),
      ]
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        for (sent, expected) in paths {
          #expect(try client.exchange("GET", sent).text == expected, "\(sent)")
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a listener that keeps slashes finds the routes that are written with them`(
      backend: Backend
    ) throws {
      var settings = EdgeSettings(listener: "paths: {repeatedSlashes: keep, encodedSlash: keep}")
      settings.routes = ["/a//b", "/a/b", "/a%2Fb"].enumerated().map { index, path in
        "name: r\(index), match: {path: \"\(path)\"}, respond: {status: 21\(index)}, "
          + "policies: {auth: none}"
      }
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        for (index, path) in ["/a//b", "/a/b", "/a%2fb"].enumerated() {
          #expect(try client.exchange("GET", path).status == 210 + index, "\(path)")
        }
        #expect(try client.exchange("GET", "/a///b").text == "/a///b")
      }
    }

    @Test(arguments: Backend.allCases)
    func `paths that hide slashes or NUL or climb out are refused`(backend: Backend) throws {
      let paths = ["/a%2fb", "/a%2Fb", "/a%00b", "/%", "/%4", "/%zz", "/../a", "/a/../../b"]
      try Scene.play(backend, .echoingTarget()) { scene in
        for path in paths {
          let answer = try scene.client().exchange("GET", path)
          // Climbing above the root may also end at the root, as RFC 3986 5.2.4 removes the dots.
          let climbs = path.contains("..")
          #expect(answer.status == 400 || climbs && ["/a", "/b"].contains(answer.text), "\(path)")
        }
        #expect(!scene.upstream.transcript.lowercased().contains("%2f"))
        #expect(!scene.upstream.transcript.contains(".."))
      }
    }

    @Test(arguments: Backend.allCases)
    func `the most specific route wins`(backend: Backend) throws {
      var settings = EdgeSettings(hasDefaultRoute: false)
      let matches = [
        ("exact-host", "host: api.test, pathPrefix: /v1"),
        ("exact-path", "host: api.test, path: /v1/orders"),
        ("long-prefix", "host: api.test, pathPrefix: /v1/orders"),
        ("wildcard-host", "host: \"*.test\", pathPrefix: /v1"),
        ("any-host", "pathPrefix: /v1"),
        ("by-header", "pathPrefix: /v1, headers: [{name: x-beta, value: \"1\"}]"),
        ("by-query", "pathPrefix: /v1, query: [{name: v, value: \"2\"}]"),
      ]
      settings.routes = matches.enumerated().map { index, match in
        "name: \(match.0), match: {\(match.1)}, respond: {status: 21\(index), "
          + "body: \"\(match.0)\"}, policies: {auth: none}"
      }
      try Scene.play(backend, settings: settings) { scene in
        let client = try scene.client()
        func route(_ host: String, _ path: String, _ extra: String = "") throws -> String {
          try client.send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\(extra)\r\n")
          let answer = try client.response()
          return answer.status == 404 ? "404" : answer.text
        }

        #expect(try route("api.test", "/v1") == "exact-host")
        #expect(try route("API.test:8080", "/v1/x") == "exact-host")
        #expect(try route("api.test", "/v1/orders") == "exact-path")
        #expect(try route("api.test", "/v1/orders?x") == "exact-path")
        #expect(try route("api.test", "/v1/orders/7") == "long-prefix")
        #expect(try route("api.test", "/v1/ordersx") == "exact-host")
        #expect(try route("shop.test", "/v1") == "wildcard-host")
        #expect(try route("test", "/v1") == "any-host")
        #expect(try route("other.example", "/v1/") == "any-host")
        #expect(try route("other.example", "/v1", "X-Beta: 1\r\n") == "by-header")
        #expect(try route("other.example", "/v1?v=2") == "by-query")
        #expect(try route("other.example", "/v1x") == "404")
        #expect(try route("api.test", "/v1x") == "404")
        #expect(try route("api.test", "/x/../v1/orders") == "exact-path")
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9457: no route gives 404 as a problem and keeps the connection`(
      backend: Backend
    ) throws {
      var settings = EdgeSettings(hasDefaultRoute: false)
      settings.routes = [
        "name: only, match: {path: /only}, upstream: {service: backend}, policies: {auth: none}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        for _ in 0..<3 {
          let answer = try client.exchange("GET", "/missing")
          #expect(answer.status == 404)
          #expect(!answer.saysClose)
          let problem = try #require(answer.problem)
          #expect(problem["status"] as? Int == 404)
          for key in ["type", "title", "reason", "requestId"] {
            #expect((problem[key] as? String)?.isEmpty == false, "\(key) is missing")
          }
          #expect(problem["configVersion"] != nil)
        }
        let head = try client.exchange("HEAD", "/missing")
        #expect(head.status == 404)
        #expect(try client.exchange("GET", "/only").text == "/only")
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 15.5.6: a method no route takes gives 405 with Allow`(
      backend: Backend
    ) throws {
      var settings = EdgeSettings(hasDefaultRoute: false)
      settings.routes = [
        "name: read, match: {path: /thing, methods: [GET]}, upstream: {service: backend}, "
          + "policies: {auth: none}",
        "name: write, match: {path: /thing, methods: [PUT]}, upstream: {service: backend}, "
          + "policies: {auth: none}",
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        try client.post("/thing", "hello")
        let answer = try client.response()

        #expect(answer.status == 405)
        #expect(answer.head.members("allow").contains("get"))
        #expect(answer.head.members("allow").contains("put"))
        #expect(answer.problem?["status"] as? Int == 405)
        #expect(try client.exchange("GET", "/thing").text == "/thing")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a route may answer by itself`(backend: Backend) throws {
      var settings = EdgeSettings(hasDefaultRoute: false)
      settings.routes = [
        "name: shed, match: {pathPrefix: /}, respond: {status: 503, body: \"shed\\n\"}, "
          + "policies: {auth: none}"
      ]
      try Scene.play(backend, settings: settings) { scene in
        let client = try scene.client()
        let answer = try client.exchange()
        #expect(answer.status == 503)
        #expect(answer.text == "shed\n")

        let head = try client.exchange("HEAD")
        #expect(head.status == 503)
        #expect(head["content-length"] == "5")

        try client.post("/", String(repeating: "x", count: 1000))
        #expect(try client.response().text == "shed\n")
        #expect(try client.exchange().text == "shed\n", "a small body was drained")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a refused request with a large body closes and still delivers its answer`(
      backend: Backend
    ) throws {
      var settings = EdgeSettings(hasDefaultRoute: false)
      settings.routes = [
        "name: shed, match: {pathPrefix: /}, respond: {status: 503, body: \"shed\\n\"}, "
          + "policies: {auth: none}"
      ]
      try Scene.play(backend, settings: settings) { scene in
        let client = try scene.client()
        try client.send(
          "POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 100000000\r\n\r\n"
        )
        // A close with unread bytes would be a reset, and the reset would destroy the answer.
        client.trySend([UInt8](repeating: 0x78, count: 300_000))
        let answer = try client.response()

        #expect(answer.status == 503)
        #expect(answer.text == "shed\n")
        #expect(answer.saysClose)
        client.finish()
        #expect(client.isClosedSilently(within: .seconds(10)))
      }
    }
  }
}
