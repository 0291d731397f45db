import Testing

extension WireTests {
  /// Orders of an operator on the admin address.
  struct OrderTests {
    private func post(_ scene: Scene, _ path: String, _ extra: String = "") throws -> Int {
      let client = try RawClient(port: scene.edge.adminPort)
      defer { client.close() }
      try client.send(
        "POST \(path) HTTP/1.1\r\nHost: admin\r\n\(extra)Content-Length: 0\r\n"
          + "Connection: close\r\n\r\n"
      )
      return Int(try client.response().status)
    }

    @Test(arguments: Backend.allCases)
    func `a breaker is forced open, forced closed, and let go`(backend: Backend) throws {
      let settings = EdgeSettings(
        service: "breaker: {consecutiveFailures: 1, open: 600s}"
      ).withoutAdmission
      let failing = try ScriptedUpstream { peer, request in
        try peer.respond(request.target == "/bad" ? 502 : 200, "x")
      }
      try Scene.play(backend, failing, settings: settings) { (scene: Scene) throws in
        let path = "/admin/services/breaker?service=backend&order="
        #expect(try post(scene, path + "open") == 200)
        #expect(try scene.client().exchange().status == 503)
        #expect(scene.upstream.requests.isEmpty)
        #expect(try scene.admin("/admin/services?format=text").text.contains("open, by order"))

        #expect(try post(scene, path + "closed") == 200)
        for _ in 0..<5 { #expect(try scene.client().exchange("GET", "/bad").status == 502) }
        #expect(try scene.client().exchange().status == 200)

        #expect(try post(scene, path + "auto") == 200)
        #expect(try scene.client().exchange().status == 200)
        #expect(try scene.client().exchange("GET", "/bad").status == 502)
        #expect(try scene.client().exchange().status == 503)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint is drained across a reload, and serves again, in any service`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(service: "balance: round-robin")
      try Scene.play(backend, .echoingTarget(), .echoingTarget(), settings: settings) {
        (scene: Scene) throws in
        let (first, second) = (scene.upstreams[0], scene.upstreams[1])
        let path = "/admin/services/endpoint?service=backend&endpoint=\(first.endpoint)&order="
        func ask(_ count: Int) throws {
          for _ in 0..<count { #expect(try scene.client().exchange().status == 200) }
        }
        #expect(try post(scene, path + "drain") == 200)
        try eventually("the worker has heard of it") {
          let before = first.requests.count
          try ask(4)
          return first.requests.count == before
        }
        let before = first.requests.count
        try scene.reload { $0.policies = "timeoutMs: 4000" }
        try ask(10)
        #expect(first.requests.count == before)
        #expect(try scene.metric("spillway_endpoints_drained{service=\"backend\"}") == 1)

        #expect(try post(scene, path + "serve") == 200)
        let others = second.requests.count
        try eventually("it is asked again") {
          try ask(2)
          return first.requests.count > before && second.requests.count > others
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `orders that mean nothing are refused, and those of web pages are`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { (scene: Scene) throws in
        let breaker = "/admin/services/breaker"
        let endpoint = "/admin/services/endpoint"
        for (path, status) in [
          ("\(breaker)?service=backend&order=open", 409),
          ("\(breaker)?service=other&order=open", 404),
          ("\(breaker)?service=backend&order=maybe", 400),
          ("\(breaker)?service=backend", 400),
          ("\(breaker)?service=backend&service=backend&order=open", 400),
          ("\(breaker)?service=%zz&order=open", 400),
          ("\(breaker)?service=%0a&order=open", 400),
          ("\(endpoint)?service=backend&endpoint=10.0.0.1:1&order=drain", 404),
          ("\(endpoint)?service=backend&order=drain", 400),
          ("\(endpoint)?service=backend&endpoint=10.0.0.1:1&order=stop", 400),
        ] {
          #expect(try post(scene, path) == status, "\(path)")
        }
        let drain = "\(endpoint)?service=backend&endpoint=\(scene.upstream.endpoint)&order=drain"
        #expect(try post(scene, drain, "Origin: http://evil.test\r\n") == 403)
        #expect(try post(scene, drain, "Sec-Fetch-Site: cross-site\r\n") == 403)
        #expect(try scene.admin("\(breaker)?service=backend&order=open").status == 405)
        #expect(try scene.client().exchange().status == 200)
        // The only endpoint may be drained, too: then nobody is asked.
        #expect(try post(scene, drain) == 200)
        try eventually("there is nobody left") {
          try scene.client().exchange().text.contains("no-endpoint")
        }
      }
    }
  }
}
