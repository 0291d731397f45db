import Glibc
import Testing

extension WireTests {
  /// How many connections, from whom, for how long, RFC 9110 section 15.6.4 and the listener's limits.
  struct ConnectionLimitTests {
    /// Whether a new connection is turned away: closed, reset or refused with an answer.
    private static func isTurnedAway(_ scene: Scene, source: UInt32 = 0x7F00_0001) throws -> Bool {
      let port = try scene.edge.port("public")
      // The reset may come before the harness has looked at its connection.
      guard let socket = try? Socket.connected(to: port, source: source) else { return true }
      let client = scene.adopt(RawClient(socket))
      client.trySend("GET /turned-away HTTP/1.1\r\nHost: edge.test\r\n\r\n")
      guard let answer = try? client.response() else { return true }
      return [403, 429, 503].contains(answer.status)
    }

    @Test(arguments: Backend.allCases)
    func `connections above the total are turned away until one ends`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "connections: {maximum: 3}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let held = try (0..<3).map { _ in try scene.client() }
        for client in held { #expect(try client.exchange().status == 200) }

        #expect(try Self.isTurnedAway(scene))
        #expect(!scene.upstream.transcript.contains("turned-away"))
        #expect(try held[0].exchange().status == 200, "those within the bound go on")

        held[1].close()
        try eventually("there is room again") {
          (try? scene.client().exchange().status) == 200
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `connections above the bound of their address are turned away, others are not`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(listener: "connections: {perAddress: 2}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let held = try (0..<2).map { _ in try scene.client() }
        for client in held { #expect(try client.exchange().status == 200) }

        #expect(try Self.isTurnedAway(scene))
        let other = scene.adopt(
          RawClient(try Socket.connected(to: scene.edge.port("public"), source: 0x7F00_0002))
        )
        #expect(try other.exchange().status == 200)

        held[0].reset()
        try eventually("there is room again") {
          (try? scene.client().exchange().status) == 200
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `addresses that are denied or not allowed get nothing`(backend: Backend) throws {
      for listener in ["deny: [127.0.0.0/8]", "allow: [10.0.0.0/8]"] {
        let settings = EdgeSettings(listener: listener)
        try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
          let isTurnedAway = try Self.isTurnedAway(scene)
          #expect(isTurnedAway, "\(listener)")
          #expect(scene.upstream.transcript.isEmpty)
        }
      }
      let settings = EdgeSettings(listener: "allow: [127.0.0.1/32], deny: [127.0.0.2/32]")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let allowed = try scene.client()
        #expect(try allowed.exchange().status == 200)
        for source in [UInt32(0x7F00_0002), 0x7F00_0003] {
          #expect(try Self.isTurnedAway(scene, source: source))
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection ends, announced, after its number of requests`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {requestsPerConnection: 10}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        var answered = 0
        while true {
          let answer = try client.exchange()
          #expect(answer.status == 200)
          answered += 1
          if answer.saysClose || answered == 50 { break }
        }

        #expect((9...10).contains(answered), "\(answered) requests; the bound is 10 with jitter")
        #expect(client.isClosedSilently())
      }
    }

    @Test(arguments: Backend.allCases)
    func `connections that began together carry different numbers of requests`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(listener: "limits: {requestsPerConnection: 100}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let counts = try (0..<8).map { _ in
          let client = try scene.client()
          var answered = 1
          while try !client.exchange().saysClose, answered < 200 { answered += 1 }
          return answered
        }

        #expect(counts.allSatisfy { (81...100).contains($0) }, "\(counts)")
        #expect(Set(counts).count > 1, "\(counts)")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection ends, announced, at its age`(backend: Backend) throws {
      let settings = EdgeSettings(listener: "limits: {maximumAge: 300ms}")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()

        try eventually("it is told to leave") { try client.exchange().saysClose }
        #expect(client.isClosedSilently())
      }
    }

    @Test(arguments: Backend.allCases)
    func `a listener may be a Unix socket`(backend: Backend) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).sock"
      defer { unlink(path) }
      var settings = EdgeSettings()
      settings.listeners = ["name: local, address: \"unix:\(path)\""]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = scene.adopt(RawClient(try Socket.connected(toPath: path)))

        #expect(try client.exchange("GET", "/unix").text == "/unix")
      }
    }
  }
}
