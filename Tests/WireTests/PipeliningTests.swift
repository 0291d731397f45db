import Glibc
import Testing

extension WireTests {
  /// Several requests on one connection, RFC 9112 section 9.
  struct PipeliningTests {
    private static func get(_ path: String) -> String {
      "GET \(path) HTTP/1.1\r\nHost: edge.test\r\n\r\n"
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 9.3.2: pipelined requests are answered in their order`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        let paths = (0..<100).map { "/\($0)" }

        try client.send(paths.map(Self.get).joined())

        for path in paths { #expect(try client.response().text == path) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `pipelined requests with bodies, errors and local answers keep their order`(
      backend: Backend
    ) throws {
      var settings = EdgeSettings(hasDefaultRoute: false)
      settings.routes = [
        "name: proxied, match: {pathPrefix: /up}, upstream: {service: backend}, "
          + "policies: {auth: none}",
        "name: local, match: {path: /local}, respond: {status: 410, body: \"gone\\n\"}, "
          + "policies: {auth: none}",
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        let post = "POST /up/post HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nhello"
        let chunked =
          "POST /up/chunked HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\n\r\n"
          + "5\r\nhello\r\n0\r\n\r\n"

        try client.send(
          Self.get("/up/1") + Self.get("/local") + post + Self.get("/missing") + chunked
            + Self.get("/up/2") + "BROKEN\r\n\r\n" + Self.get("/up/never")
        )

        #expect(try client.response().text == "/up/1")
        #expect(try client.response().text == "gone\n")
        #expect(try client.response().text == "/up/post")
        #expect(try client.response().status == 404)
        #expect(try client.response().text == "/up/chunked")
        #expect(try client.response().text == "/up/2")
        #expect(try client.response().status == 400)
        #expect(client.isClosedSilently())
        #expect(!scene.upstream.transcript.contains("never"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request split at any byte is read as one`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let request = Array(
          "POST /split HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nbody".utf8
        )
        let client = try scene.client()
        for cut in 1..<request.count {
          try client.send(Array(request[..<cut]))
          // Lets the edge see the first part alone, most of the time.
          usleep(200)
          try client.send(Array(request[cut...]))
          #expect(try client.response().text == "/split", "cut at \(cut)")
        }
        #expect(Set(scene.upstream.requests.map(\.text)) == ["body"])
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 2.2: one empty line before a request is skipped`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()

        try client.send("\r\n" + Self.get("/a") + "\r\n" + Self.get("/b"))

        #expect(try client.response().text == "/a")
        #expect(try client.response().text == "/b")
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 9.6: nothing is answered after a request that says close`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()

        try client.send(
          "GET /last HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n" + Self.get("/late")
        )
        let answer = try client.response()

        #expect(answer.text == "/last")
        #expect(answer.saysClose)
        #expect(client.isClosedSilently())
        #expect(!scene.upstream.transcript.contains("late"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a thousand pipelined requests wait without holding more than their bound`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        let requests = (0..<1000).map { Self.get("/\($0)") }.joined()

        try client.send(Array(requests.utf8))
        for index in 0..<1000 {
          let answer = try client.response()
          guard answer.text == "/\(index)" else {
            Issue.record("\(answer.text) in place of /\(index)")
            return
          }
        }
      }
    }
  }
}
