import Testing

extension WireTests {
  /// Requests that two parsers could read differently, RFC 9112 section 11.2.
  ///
  /// Each is refused before anything of it reaches an upstream, and what follows it on the
  /// connection is never read as a request.
  struct SmugglingTests {
    /// What every attack hopes to have read as a request of its own.
    private static let loot = "GET /smuggled HTTP/1.1\r\nHost: edge.test\r\n\r\n"

    private static let line = "POST / HTTP/1.1\r\n"
    private static let host = "Host: edge.test\r\n"

    /// Sends each attack on a connection of its own and expects refusal and silence upstream.
    private func expectRefused(
      _ backend: Backend,
      _ statuses: Set<Int>,
      _ attacks: [(name: String, bytes: String)]
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        for (name, bytes) in attacks {
          let client = try scene.client()
          client.trySend(bytes + Self.loot)
          do {
            let answer = try client.response()
            #expect(statuses.contains(answer.status), "\(name): \(answer.status)")
            #expect(answer.saysClose, "\(name): not announced that the connection ends")
            #expect(client.isClosedSilently(), "\(name): more than one answer")
          } catch {
            Issue.record("\(name): \(error)")
          }
          client.close()
        }
        #expect(scene.upstream.acceptedConnections == 0)
        #expect(scene.upstream.transcript.isEmpty)

        let sane = try scene.client().exchange("GET", "/sane")
        #expect(sane.text == "/sane")
      }
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 6.1: two ways to frame one body are refused`(backend: Backend) throws {
      let head = Self.line + Self.host
      try expectRefused(
        backend,
        [400],
        [
          ("length, then chunked", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"),
          ("chunked, then length", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"),
          ("length 0 and chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
          ("chunked in capitals", "Content-Length: 6\r\nTRANSFER-ENCODING: CHUNKED\r\n"),
          ("two equal lengths", "Content-Length: 6\r\nContent-Length: 6\r\n"),
          ("two unequal lengths", "Content-Length: 6\r\nContent-Length: 0\r\n"),
          ("a list of equal lengths", "Content-Length: 6, 6\r\n"),
          ("a list of unequal lengths", "Content-Length: 6, 0\r\n"),
          ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
          ("chunked twice in one", "Transfer-Encoding: chunked, chunked\r\n"),
          ("chunked is not the last", "Transfer-Encoding: chunked, identity\r\n"),
        ].map { ($0, head + $1 + "\r\n0\r\n\r\n") }
      )
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9110 8.6: a length that is no plain number is refused`(backend: Backend) throws {
      let lengths = [
        "", "+6", "-6", "0x6", "6 6", "6;", "1e1", "6.0", "\"6\"", "six", "6\t7",
        "99999999999999999999", "9223372036854775808", "18446744073709551617",
      ]
      try expectRefused(
        backend,
        [400],
        lengths.map {
          ("length \($0)", "\(Self.line)\(Self.host)Content-Length: \($0)\r\n\r\nabcdef")
        }
      )
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 6.1: a coding that is not a final chunked is refused`(backend: Backend) throws {
      let codings = [
        "", "gzip", "identity", "xchunked", "chunked x", "chunked\u{b}", "\u{b}chunked",
        "\"chunked\"", "chunked, gzip", "gzip, chunked, identity", "chunk", "chunked;q=1",
        "c hunked", ",chunked,x",
      ]
      try expectRefused(
        backend,
        [400, 501],
        codings.map {
          ("coding \($0)", "\(Self.line)\(Self.host)Transfer-Encoding: \($0)\r\n\r\n0\r\n\r\n")
        }
      )
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 6.1: an HTTP/1.0 request with a coding is refused`(backend: Backend) throws {
      let head = "POST / HTTP/1.0\r\n\(Self.host)Transfer-Encoding: chunked\r\n"
      try expectRefused(backend, [400], [("1.0 chunked", head + "\r\n0\r\n\r\n")])
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 2.2: bare CR, bare LF and control characters in a head are refused`(
      backend: Backend
    ) throws {
      try expectRefused(
        backend,
        [400],
        [
          ("bare LF after the request line", "GET / HTTP/1.1\n\(Self.host)\r\n"),
          ("bare LF after a field", "GET / HTTP/1.1\r\nHost: edge.test\n\r\n"),
          ("bare LF as the empty line", "GET / HTTP/1.1\r\n\(Self.host)\n"),
          ("bare LF inside a value", "GET / HTTP/1.1\r\n\(Self.host)X: a\nY: b\r\n\r\n"),
          ("bare CR inside a value", "GET / HTTP/1.1\r\n\(Self.host)X: a\rY: b\r\n\r\n"),
          ("CR CR LF", "GET / HTTP/1.1\r\n\(Self.host)X: a\r\r\n\r\n"),
          ("NUL in a value", "GET / HTTP/1.1\r\n\(Self.host)X: a\0b\r\n\r\n"),
          ("NUL in a name", "GET / HTTP/1.1\r\n\(Self.host)X\0: a\r\n\r\n"),
          ("NUL in the target", "GET /\0 HTTP/1.1\r\n\(Self.host)\r\n"),
          ("a control character", "GET / HTTP/1.1\r\n\(Self.host)X: a\u{1}b\r\n\r\n"),
          ("DEL", "GET / HTTP/1.1\r\n\(Self.host)X: a\u{7f}b\r\n\r\n"),
          ("CR in the target", "GET /\rx HTTP/1.1\r\n\(Self.host)\r\n"),
          ("two empty lines before", "\r\n\r\n\r\nGET /\n HTTP/1.1\r\n\(Self.host)\r\n"),
        ]
      )
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 5: field lines that are not name, colon, value are refused`(
      backend: Backend
    ) throws {
      let fields = [
        "X: a\r\n folded", "X: a\r\n\tfolded", " X: a", "\tX: a", "X : a", "X\t: a", ": a", "X",
        "X Y: a", "X(y): a", "\"X\": a", "X@y: a", "X/y: a", "X\u{e9}: a",
        "Transfer-Encoding : chunked", "Content-Length : 6", "Transfer-Encoding\u{b}: chunked",
        "X: a\r\n Transfer-Encoding: chunked",
      ]
      let attacks = fields.map { field in
        ("field \(field.debugDescription)", "GET / HTTP/1.1\r\n\(Self.host)\(field)\r\n\r\n")
      }
      let first = [" X: a", "\tX: a", " Transfer-Encoding: chunked"].map { field in
        ("first \(field.debugDescription)", "GET / HTTP/1.1\r\n\(field)\r\n\(Self.host)\r\n")
      }
      try expectRefused(backend, [400], attacks + first)
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 3: request lines that are not three tokens are refused`(
      backend: Backend
    ) throws {
      let lines = [
        "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET\t/ HTTP/1.1", "GET / HTTP/1.1 ",
        " GET / HTTP/1.1", "GET / x HTTP/1.1", "GET /", "GET / http/1.1", "GET / HTTP/1.10",
        "GET / HTTP/01.1", "GET / HTTP/1,1", "GET / HTTP/1", "GET / HTTP/1.", "GET / HTTP/.1",
        "GET / HTTP /1.1", "GET / HTTP/1.1x", "GET / HTTPS/1.1", "GET / HTTP/1.\u{b2}",
        "G(T / HTTP/1.1", "G\"T / HTTP/1.1", "G@T / HTTP/1.1", "/ HTTP/1.1", "GET HTTP/1.1",
        "GET x HTTP/1.1", "GET /#fragment HTTP/1.1", "GET /\u{e9} HTTP/1.1", "GET * HTTP/1.1",
      ]
      try expectRefused(
        backend,
        [400],
        lines.map { ("line \($0.debugDescription)", "\($0)\r\n\(Self.host)\r\n") }
      )
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 3.2: a Host that is missing, repeated or malformed is refused`(
      backend: Backend
    ) throws {
      let hosts = [
        "edge.test:99999", "edge.test:-1", "edge.test:80x", "edge.test:8 0", "edge.test:80:80",
        "edge test", "[::1", "::1]", "[::1]x", "[zz]", "[]", "user@edge.test", "edge.test/x",
        "edge.test?x", "edge.test#x", "edge.test,other.test", "edge\\test", "<edge>",
      ]
      let malformed = hosts.map { ("host \($0)", "GET / HTTP/1.1\r\nHost: \($0)\r\n\r\n") }
      try expectRefused(
        backend,
        [400],
        malformed + [
          ("no host", "GET / HTTP/1.1\r\nX: a\r\n\r\n"),
          ("two hosts", "GET / HTTP/1.1\r\n\(Self.host)\(Self.host)\r\n"),
          ("two different hosts", "GET / HTTP/1.1\r\n\(Self.host)Host: other.test\r\n\r\n"),
          ("absolute form of another host", "GET http://other.test/ HTTP/1.1\r\n\(Self.host)\r\n"),
          (
            "absolute form of another port",
            "GET http://edge.test:81/ HTTP/1.1\r\n\(Self.host)\r\n"
          ),
          ("userinfo", "GET http://user@edge.test/ HTTP/1.1\r\n\(Self.host)\r\n"),
          ("absolute form without host", "GET http:/// HTTP/1.1\r\n\(Self.host)\r\n"),
        ]
      )
    }

    @Test(arguments: Backend.allCases)
    func `RFC 9112 3.2.2: an absolute form that agrees with Host goes upstream in origin form`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()

        try client.send("GET http://edge.test/a?b HTTP/1.1\r\nHost: edge.test\r\n\r\n")
        let answer = try client.response()

        #expect(answer.text == "/a?b")
        #expect(scene.upstream.requests.first?["host"] == "edge.test")
      }
    }

    @Test(arguments: Backend.allCases)
    func `other major versions get 505`(backend: Backend) throws {
      let versions = ["HTTP/2.0", "HTTP/3.0", "HTTP/9.9"]
      try expectRefused(
        backend,
        [505],
        versions.map { ($0, "GET / \($0)\r\n\(Self.host)\r\n") }
      )
    }

    @Test(arguments: Backend.allCases)
    func `HTTP/0.9 is refused`(backend: Backend) throws {
      try expectRefused(
        backend,
        [400, 505],
        [("named", "GET / HTTP/0.9\r\n\(Self.host)\r\n"), ("bare", "GET /\r\n\r\n")]
      )
    }

    @Test(arguments: Backend.allCases)
    func `a known first coding that we do not decode gets 501 or 400`(backend: Backend) throws {
      let head = "\(Self.line)\(Self.host)Transfer-Encoding: "
      try expectRefused(
        backend,
        [400, 501],
        [
          ("gzip, chunked", "\(head)gzip, chunked\r\n\r\n0\r\n\r\n"),
          ("deflate, chunked", "\(head)deflate, chunked\r\n\r\n0\r\n\r\n"),
        ]
      )
    }

    @Test(arguments: Backend.allCases)
    func `an attack in small pieces is refused as well`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        let attack =
          "POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 6\r\n"
          + "Transfer-Encoding: chunked\r\n\r\n"

        try client.dribble(attack)
        let answer = try client.response()

        #expect(answer.status == 400)
        #expect(client.isClosedSilently())
        #expect(scene.upstream.transcript.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a refusal names its reason as a problem and in a counter`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let answer = try scene.answer(
          to: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"
        )

        #expect(answer.problem?["status"] as? Int == 400)
        #expect(answer.problem?["reason"] as? String != nil)
        try eventually("it was counted") {
          try scene.metric("spillway_parse_refusals_total") == 1
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `each refusal is counted by what is wrong`(backend: Backend) throws {
      let head = Self.line + Self.host
      let broken = [
        "bare-line-feed": "GET / HTTP/1.1\n\(Self.host)\r\n",
        "bare-carriage-return": "GET / HTTP/1.1\r\n\(Self.host)X: a\rb\r\n\r\n",
        "space-before-colon": "GET / HTTP/1.1\r\n\(Self.host)X : a\r\n\r\n",
        "obsolete-folding": "GET / HTTP/1.1\r\n\(Self.host)X: a\r\n b\r\n\r\n",
        "missing-host": "GET / HTTP/1.1\r\n\r\n",
        "repeated-host": "GET / HTTP/1.1\r\n\(Self.host)\(Self.host)\r\n",
        "malformed-content-length": head + "Content-Length: x\r\n\r\n",
        "repeated-content-length": head + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "conflicting-framing": head
          + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "unknown-transfer-encoding": head + "Transfer-Encoding: gzip, chunked\r\n\r\n",
        "unsupported-version": "GET / HTTP/2.0\r\n\(Self.host)\r\n",
        "malformed-chunk-size": head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        // And what only the path's rules refuse.
        "path-bad-escape": "GET /%zz HTTP/1.1\r\n\(Self.host)\r\n",
        "path-above-root": "GET /../x HTTP/1.1\r\n\(Self.host)\r\n",
        "path-encoded-slash": "GET /a%2Fb HTTP/1.1\r\n\(Self.host)\r\n",
        "path-encoded-control-character": "GET /a%00 HTTP/1.1\r\n\(Self.host)\r\n",
      ]
      try Scene.play(backend, .echoingTarget()) { scene in
        for (reason, bytes) in broken.sorted(by: { $0.key < $1.key }) {
          let before = try scene.metric("spillway_parse_refusals_total")
          let answer = try scene.answer(to: bytes)
          #expect([400, 501, 505].contains(answer.status), "\(reason)")
          let metrics = try scene.metrics()
          let name = "spillway_parse_refusals_total"
          #expect(try metrics.sum("\(name){reason=\"\(reason)\"}") == 1, "\(reason)")
          #expect(try metrics.sum(name) == before + 1, "\(reason)")
        }
        #expect(try scene.http2().exchange("GET", "/%zz").status == 400)
        let twice = "spillway_parse_refusals_total{reason=\"path-bad-escape\"}"
        #expect(try scene.metric(twice) == 2)
      }
    }
  }
}
