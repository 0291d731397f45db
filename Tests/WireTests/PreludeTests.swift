import Foundation
import TLS
import Testing

extension WireTests {
  /// The PROXY protocol on listeners: whose word counts, what it changes, and what nonsense does.
  struct PreludeTests {
    private static let required = EdgeSettings(
      listener: "proxyProtocol: required, trustedProxies: [127.0.0.1/32]"
    )

    private static func settings(_ mode: String, _ more: String = "") -> EdgeSettings {
      EdgeSettings(
        listener: "proxyProtocol: \(mode), trustedProxies: [127.0.0.1/32]"
          + (more.isEmpty ? "" : ", \(more)")
      )
    }

    private static let get = Array("GET /p HTTP/1.1\r\nHost: a\r\n\r\n".utf8)

    private static func count(_ scene: Scene, _ result: String) throws -> Double {
      try scene.metric("spillway_proxy_preludes_total{result=\"\(result)\"}")
    }

    // MARK: - What is believed

    static let believed: [([UInt8], String, String)] = [
      (Prelude.line("192.0.2.7"), "192.0.2.7", "for=192.0.2.7;"),
      (Prelude.line("2001:db8::7"), "2001:db8::7", "for=\"[2001:db8::7]\";"),
      (Prelude.header([198, 51, 100, 9]), "198.51.100.9", "for=198.51.100.9;"),
      (
        Prelude.header([198, 51, 100, 9], tlvs: Prelude.tlv(0xEA, Array("vpce-1".utf8))),
        "198.51.100.9", "for=198.51.100.9;"
      ),
      (
        Prelude.binary(
          family: 0x21,
          [0x20, 1, 0xD, 0xB8] + [UInt8](repeating: 0, count: 11) + [7]
            + [UInt8](repeating: 0, count: 15) + [1, 0, 80, 1, 187]
        ), "2001:db8::7", "for=\"[2001:db8::7]\";"
      ),
    ]

    @Test(arguments: Backend.allCases)
    func `the address of a prelude is what services and the log see`(backend: Backend) throws {
      let path = NSTemporaryDirectory() + "spillway-prelude-\(UUID().uuidString).log"
      defer { try? FileManager.default.removeItem(atPath: path) }
      var settings = Self.required
      settings.accessLog = "\"file:\(path)\""
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        for (prelude, address, node) in Self.believed {
          let client = try scene.client()
          try client.send(prelude + Self.get)
          #expect(try client.response().status == 200)
          let request = try #require(scene.upstream.requests.last)
          #expect(request["x-forwarded-for"] == address)
          #expect(request["forwarded"]?.hasPrefix(node) == true)
        }
        #expect(try Self.count(scene, "address") == Double(Self.believed.count))
        try eventually("all are logged") {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return Self.believed.allSatisfy { text.contains("\"clientAddress\":\"\($0.1)\"") }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a prelude may come byte by byte, before HTTP/1.1 and before HTTP/2`(
      backend: Backend
    ) throws {
      let http2 = HTTP2Frames.hello + HTTP2Frames.headers(1, HTTP2Frames.get)
      try Scene.play(backend, .echoingTarget(), settings: Self.required) { scene in
        for prelude in [Prelude.line("192.0.2.7"), Prelude.header([192, 0, 2, 7])] {
          let client = try scene.client()
          for byte in prelude + Self.get { try client.send([byte]) }
          #expect(try client.response().text == "/p")

          let session = try scene.client()
          for byte in prelude + http2 { try session.send([byte]) }
          var bytes: [UInt8] = []
          while !HTTP2Frames.parse(bytes).contains(where: { $0.stream == 1 && $0.flags & 1 == 1 }) {
            let more = try session.some()
            guard !more.isEmpty else { throw WireFailure("the edge ended it") }
            bytes += more
          }
        }
        let seen = scene.upstream.requests.map { $0["x-forwarded-for"] }
        #expect(seen == Array(repeating: "192.0.2.7", count: 4))
      }
    }

    @Test(arguments: Backend.allCases)
    func `TLS and HTTP/2 chosen by ALPN begin behind the prelude`(backend: Backend) throws {
      let settings = EdgeSettings.secure(
        listener: "proxyProtocol: required, trustedProxies: [127.0.0.1/32]"
      )
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let prelude = Prelude.header([192, 0, 2, 7], tlvs: Prelude.tlv(1, Array("h2".utf8)))
        let (client, _) = try scene.secureClient(prelude: prelude)
        #expect(try client.exchange("GET", "/one").text == "/one")

        let context = try WireAuthority.shared.client([.http2, .http1])
        let tunnel = try TLSTunnel(
          port: scene.edge.port("public"),
          context: context,
          prelude: Prelude.line("192.0.2.8")
        )
        let session = try HTTP2Client(tunnel.plain)
        #expect(try session.exchange("GET", "/two").text == "/two")
        session.close()
        #expect(tunnel.chosen == .http2)

        let requests = scene.upstream.requests
        #expect(requests.map { $0["x-forwarded-for"] } == ["192.0.2.7", "192.0.2.8"])
        #expect(requests.allSatisfy { $0["x-forwarded-proto"] == "https" })
      }
    }

    @Test(arguments: Backend.allCases)
    func `LOCAL and UNKNOWN keep the socket's address`(backend: Backend) throws {
      let forged = Array("GET /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n".utf8)
      let cases: [([UInt8], String)] = [
        // The balancer's own request: its word counts, as that of any trusted peer.
        (Prelude.local, "203.0.113.1, 127.0.0.1"),
        (Prelude.binary(version: 0x20, family: 0x11, [1, 2, 3]), "203.0.113.1, 127.0.0.1"),
        // A client whom the balancer cannot name: the field is its own, and forged perhaps.
        (Array("PROXY UNKNOWN\r\n".utf8), "127.0.0.1"),
        (Array("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".utf8), "127.0.0.1"),
        (Prelude.binary(family: 0x00, []), "127.0.0.1"),
        (Prelude.binary(family: 0x31, [UInt8](repeating: 0x61, count: 216)), "127.0.0.1"),
      ]
      try Scene.play(backend, .echoingTarget(), settings: Self.required) { scene in
        for (prelude, expected) in cases {
          let client = try scene.client()
          try client.send(prelude + forged)
          #expect(try client.response().status == 200)
          #expect(scene.upstream.requests.last?["x-forwarded-for"] == expected)
        }
        #expect(try Self.count(scene, "local") == 2)
        #expect(try Self.count(scene, "unknown") == 3)
        #expect(try Self.count(scene, "unix") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client behind the balancer is trusted where its own address is`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(
        listener: "proxyProtocol: required, trustedProxies: [127.0.0.1/32, 192.0.2.0/24]"
      )
      let request = Array(
        ("GET /p HTTP/1.1\r\nHost: a\r\nX-Request-Id: cdn-1\r\n"
          + "X-Forwarded-For: 203.0.113.1\r\n\r\n").utf8
      )
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        for (address, expected) in [
          ("192.0.2.7", "203.0.113.1, 192.0.2.7"), ("198.51.100.1", "198.51.100.1"),
        ] {
          let client = try scene.client()
          try client.send(Prelude.line(address) + request)
          #expect(try client.response().status == 200)
          let seen = try #require(scene.upstream.requests.last)
          #expect(seen["x-forwarded-for"] == expected)
          #expect((seen["x-request-id"] == "cdn-1") == (address == "192.0.2.7"))
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a health check that closes at once is no error`(backend: Backend) throws {
      for settings in [
        Self.required,
        .secure(listener: "proxyProtocol: required, trustedProxies: [127.0.0.1/32]"),
      ] {
        try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
          for prelude in [Prelude.local, []] {
            let client = try scene.client()
            try client.send(prelude)
            client.finish()
            #expect(client.isClosedSilently())
            #expect(client.end == .finished)
            try scene.client().reset()
          }
          #expect(try Self.count(scene, "local") == 1)
          let metrics = try scene.metrics()
          let preludes = try metrics.sum("spillway_proxy_preludes_total")
          #expect(preludes == 1)
          for name in [
            "spillway_client_aborts_total", "spillway_timeouts_total",
            "spillway_parse_refusals_total", "spillway_local_replies_total",
            "spillway_tls_handshake_failures_total",
          ] {
            let count = try metrics.sum(name) ?? 0
            #expect(count == 0, "\(name)")
          }
        }
      }
    }

    // MARK: - Who is judged

    @Test(arguments: Backend.allCases)
    func `allow, deny and the bound per address are about the client`(backend: Backend) throws {
      let settings = Self.settings(
        "required",
        "allow: [192.0.2.0/24], deny: [192.0.2.66/32], connections: {perAddress: 2}"
      )
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        func answer(_ prelude: [UInt8]) throws -> RawResponse? {
          let client = try scene.client()
          client.trySend(prelude + Self.get)
          return try? client.response()
        }
        #expect(try answer(Prelude.local)?.status == 200, "the balancer itself is no client")
        for address in ["192.0.2.66", "198.51.100.1", "::ffff:192.0.2.66"] {
          #expect(try answer(Prelude.line(address)) == nil, "\(address)")
        }
        #expect(try answer(Array("PROXY UNKNOWN\r\n".utf8)) == nil)
        let denied = try scene.metric("spillway_connections_refused_total{reason=\"denied\"}")
        #expect(denied == 4)

        #expect(try answer(Prelude.line("192.0.2.1"))?.status == 200)
        let second = try scene.client()
        try second.send(Prelude.line("192.0.2.1") + Self.get)
        #expect(try second.response().status == 200)
        #expect(try answer(Prelude.line("192.0.2.1")) == nil)
        #expect(try answer(Prelude.line("192.0.2.2"))?.status == 200)
        second.close()
        try eventually("there is room again") {
          try answer(Prelude.line("192.0.2.1"))?.status == 200
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `clients of IPv6 are counted by their network of 64 bits`(backend: Backend) throws {
      let settings = Self.settings("required", "connections: {perAddress: 2}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        func open(_ address: String) throws -> RawClient? {
          let client = try scene.client()
          client.trySend(Prelude.line(address) + Self.get)
          return (try? client.response().status) == 200 ? client : nil
        }
        let one = try #require(try open("2001:db8:0:1::1"))
        let two = try #require(try open("2001:db8:0:1:ffff::2"))
        #expect(try open("2001:db8:0:1:8000::3") == nil)
        #expect(try open("2001:db8:0:2::1") != nil)
        let refused = "spillway_connections_refused_total{reason=\"connections-per-address\"}"
        #expect(try scene.metric(refused) == 1)

        one.close()
        try eventually("there is room for another of its addresses") {
          try open("2001:db8:0:1:8000::3") != nil
        }
        withExtendedLifetime(two) {}
      }
    }

    @Test(arguments: Backend.allCases)
    func `only trusted peers may say who the client is`(backend: Backend) throws {
      for mode in ["off", "optional", "required"] {
        try Scene.play(backend, .echoingTarget(), settings: Self.settings(mode)) { scene in
          for prelude in [Prelude.line("192.0.2.7"), Prelude.header([192, 0, 2, 7])] {
            let source: UInt32 = mode == "off" ? 0x7F00_0001 : 0x7F00_0002
            guard
              let socket = try? Socket.connected(
                to: scene.edge.port("public"),
                source: source
              )
            else { continue }
            let client = scene.adopt(RawClient(socket))
            client.trySend(prelude + Self.get)
            let answer = try? client.response()
            #expect(answer?.status == (mode == "required" ? nil : 400), "\(mode)")
          }
          #expect(scene.upstream.requests.isEmpty)
          let refused =
            "spillway_connections_refused_total{reason=\"untrusted-proxy\"}"
          let count = try scene.metric(refused)
          #expect(count == (mode == "required" ? 2 : 0))
          let preludes = try scene.metric("spillway_proxy_preludes_total")
          #expect(preludes == 0)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `an optional prelude may be left out, a required one not`(backend: Backend) throws {
      for mode in ["optional", "required"] {
        try Scene.play(backend, .echoingTarget(), settings: Self.settings(mode)) { scene in
          let http1 = try scene.client()
          http1.trySend(Self.get)
          let http2 = try scene.client()
          http2.trySend(HTTP2Frames.hello + HTTP2Frames.headers(1, HTTP2Frames.get))
          if mode == "optional" {
            #expect(try http1.response().status == 200)
            #expect(scene.upstream.requests.last?["x-forwarded-for"] == "127.0.0.1")
            let frames = try http2.some()
            #expect(!frames.isEmpty)
            #expect(try Self.count(scene, "absent") == 2)
          } else {
            #expect(http1.isClosedSilently())
            #expect(http2.isClosedSilently())
            #expect(try Self.count(scene, "missing") == 2)
          }
        }
      }
    }

    // MARK: - Nonsense

    static let nonsense: [([UInt8], String)] = [
      (Array("PROXY TCP4 192.0.2.256 127.0.0.1 1 2\r\n".utf8), "malformed-line"),
      (Array("PROXY TCP4 192.0.2.7 127.0.0.1 1 65536\r\n".utf8), "malformed-line"),
      (Array("PROXY UDP4 192.0.2.7 127.0.0.1 1 2\r\n".utf8), "malformed-line"),
      (Array("PROXY TCP4  192.0.2.7 127.0.0.1 1 2\r\n".utf8), "malformed-line"),
      (Array("PROXY TCP4 192.0.2.7 127.0.0.1 1 2\n".utf8), "malformed-line"),
      (Array("PROXY UNKNOWN \(String(repeating: "x", count: 100))\r\n".utf8), "too-long"),
      (Prelude.binary(version: 0x31, [192, 0, 2, 7]), "unsupported-version"),
      (Prelude.binary(version: 0x22, [192, 0, 2, 7]), "unsupported-command"),
      (Prelude.binary(family: 0x12, [UInt8](repeating: 0, count: 12)), "unsupported-family"),
      (Prelude.binary([1, 2]), "short-addresses"),
      (Prelude.header([192, 0, 2, 7], tlvs: [4, 0, 9, 1]), "malformed-extension"),
      (
        Prelude.header([192, 0, 2, 7], tlvs: Prelude.tlv(3, [1, 2, 3, 4])), "wrong-checksum"
      ),
      (Prelude.binary([UInt8](repeating: 0, count: 5_000)), "too-long"),
    ]

    @Test(arguments: Backend.allCases)
    func `a malformed prelude is cut off without an answer, and counted`(
      backend: Backend
    ) throws {
      try Scene.play(backend, .echoingTarget(), settings: Self.settings("optional")) { scene in
        for (prelude, reason) in Self.nonsense {
          let before = try Self.count(scene, reason)
          let client = try scene.client()
          client.trySend(prelude + Self.get)
          #expect(client.isClosedSilently(), "\(reason)")
          #expect(try Self.count(scene, reason) == before + 1, "\(reason)")
        }
        #expect(scene.upstream.requests.isEmpty)
        #expect(try scene.metric("spillway_local_replies_total") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a prelude that does not come has the time of a head`(backend: Backend) throws {
      let settings = Self.settings("required", "limits: {headTimeout: 200ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        for part in [[], Array(Prelude.line("192.0.2.7").prefix(20)), Prelude.signature] {
          let client = try scene.client()
          try client.send(part)
          #expect(client.isClosedSilently())
        }
        #expect(try Self.count(scene, "timeout") == 3)
        #expect(try scene.metric("spillway_timeouts_total{kind=\"head\"}") == 3)

        // What comes behind a whole one has what is left of the same time.
        let client = try scene.client()
        try client.send(Prelude.line("192.0.2.7"))
        #expect(client.isClosedSilently())

        let left = try scene.client()
        try left.send(Array(Prelude.line("192.0.2.7").prefix(20)))
        left.finish()
        #expect(left.isClosedSilently())
        #expect(try Self.count(scene, "abandoned") == 1)
      }
    }
  }
}
