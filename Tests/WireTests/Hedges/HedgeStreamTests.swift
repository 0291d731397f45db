import HTTPCodec
import TLS
import Testing
import Units

extension WireTests {
  /// Second attempts at services of HTTP/2.
  struct HedgeStreamTests {
    /// Called for each request but `/warm`, with the number of its attempt.
    private typealias Script = @Sendable (HTTP2Peer, HTTP2Upstream.Request, Int) throws -> Void

    private static func script(_ body: @escaping Script) -> Script { body }

    /// A service that answers `/warm` at once, and others as `script` says.
    private static func service(_ script: @escaping Script) throws -> HTTP2Upstream {
      try HTTP2Upstream { peer, request, moment in
        guard moment == .end else { return }
        guard request.target != "/warm" else { return try peer.respond(request, 200) }
        try script(peer, request, HedgeScene.attempt(request))
      }
    }

    private static func requests(_ scene: Scene, at target: String) -> [HTTP2Upstream.Request] {
      scene.services.flatMap(\.requests).filter { $0.target == target }
    }

    private static func play(
      _ backend: Backend,
      _ script: @escaping Script,
      settings: EdgeSettings = HedgeScene.settings(),
      _ play: (Scene) throws -> Void
    ) throws {
      try Scene.play(backend, h2c: service(script), service(script), settings: settings) { scene in
        try HedgeScene.warm(scene)
        try play(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the stream of the loser is reset with CANCEL and its connection stays`(
      backend: Backend
    ) throws {
      let script = Self.script { peer, request, attempt in
        if attempt > 1 { try peer.respond(request, 200, body: [UInt8(ascii: "2")]) }
      }
      try Self.play(backend, script) { scene in
        let before = scene.services.reduce(0) { $0 + $1.acceptedConnections }
        #expect(try scene.client().exchange("GET", "/old").text == "2")
        #expect(try scene.http2().exchange("GET", "/new").text == "2")

        for target in ["/old", "/new"] {
          try eventually("the first attempt is cancelled") {
            Self.requests(scene, at: target).contains {
              HedgeScene.attempt($0) == 1 && $0.reset == .cancel
            }
          }
          #expect(Self.requests(scene, at: target).count == 2)
        }
        #expect(try scene.client().exchange("GET", "/warm").status == 200)
        #expect(scene.services.reduce(0) { $0 + $1.acceptedConnections } == before)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the stream of a hedge that loses is reset with CANCEL`(backend: Backend) throws {
      let held = Locked<[ObjectIdentifier: HTTP2Upstream.Request]>([:])
      let script = Self.script { peer, request, attempt in
        if request.target == "/" {
          // The first attempt is answered when its connection brings another request.
          if attempt == 1 { held.withLock { $0[ObjectIdentifier(peer)] = request } }
          return
        }
        try peer.respond(request, 200)
        let first = held.withLock { $0[ObjectIdentifier(peer)] }
        if let first { try peer.respond(first, 200, body: [UInt8(ascii: "1")]) }
        held.withLock { $0[ObjectIdentifier(peer)] = nil }
      }
      let settings = HedgeScene.settings(service: "balance: round-robin")
      try Self.play(backend, script, settings: settings) { scene in
        let before = try HedgeScene.count(scene, "lost")
        let client = try scene.client()
        try client.request("GET", "/")
        try eventually("both are there") { Self.requests(scene, at: "/").count == 2 }
        let other = try scene.client()
        try eventually("the first is answered") {
          _ = try other.exchange("GET", "/poke")
          return held.withLock { $0.isEmpty }
        }

        #expect(try client.response().text == "1")
        #expect(try HedgeScene.count(scene, "lost") > before)
        try eventually("the hedge is cancelled") {
          Self.requests(scene, at: "/").contains {
            HedgeScene.attempt($0) == 2 && $0.reset == .cancel
          }
        }
      }
    }

    @Test(
      arguments: Backend.allCases,
      [H2ErrorCode.refusedStream, .internalError, .cancel]
    )
    func `a hedge that is reset leaves the first attempt to be answered`(
      backend: Backend,
      code: H2ErrorCode
    ) throws {
      let held = Locked<[ObjectIdentifier: HTTP2Upstream.Request]>([:])
      let script = Self.script { peer, request, attempt in
        if request.target == "/" {
          guard attempt == 1 else { return try peer.reset(request, code) }
          return held.withLock { $0[ObjectIdentifier(peer)] = request }
        }
        try peer.respond(request, 200)
        let first = held.withLock { $0[ObjectIdentifier(peer)] }
        if let first { try peer.respond(first, 200, body: [UInt8(ascii: "1")]) }
        held.withLock { $0[ObjectIdentifier(peer)] = nil }
      }
      try Self.play(
        backend,
        script,
        settings: HedgeScene.settings(
          "timeoutMs: 30000, retries: 2",
          service: "balance: round-robin"
        )
      ) { scene in
        let before = try HedgeScene.count(scene, "failed")
        let client = try scene.client()
        try client.request("GET", "/")
        try eventually("the hedge has failed") {
          try HedgeScene.count(scene, "failed") == before + 1
        }
        let other = try scene.client()
        try eventually("the first is answered") {
          _ = try other.exchange("GET", "/poke")
          return held.withLock { $0.isEmpty }
        }

        #expect(try client.response().text == "1")
        #expect(Self.requests(scene, at: "/").count == 2)
        #expect(try RetryScene.retries(scene) == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `of a service that chooses one attempt may be a stream and one a connection`(
      backend: Backend
    ) throws {
      let old = try HedgeScene.service { peer, _, attempt in
        attempt == 1 ? try peer.hang() : try peer.respond(200, "2")
      }
      let new = try Self.service { peer, request, attempt in
        if attempt > 1 { try peer.respond(request, 200, body: [UInt8(ascii: "2")]) }
      }
      let fronts = [try TLSFront(http1: old), try TLSFront(h2: new)]
      defer { for front in fronts { front.stop() } }
      var settings = HedgeScene.settings()
      settings.service =
        EdgeSettings.secureService(speaks: "auto", more: settings.service).service
      settings.endpoints = fronts.map(\.endpoint)
      try Scene.play(backend, old, behind: new, settings: settings) { scene in
        try HedgeScene.warm(scene)
        let client = try scene.client()
        let won = try HedgeScene.count(scene, "won")
        // Each hedge is paid by twenty requests; whoever is asked first is drawn.
        for round in 0..<5 {
          #expect(try client.exchange("GET", "/\(round)").text == "2")
        }
        #expect(try HedgeScene.count(scene, "won") == won + 5)
        try eventually("those that lost are ended") {
          let first = new.requests.filter {
            $0.target != "/warm" && HedgeScene.attempt($0) == 1
          }
          let opened = old.requests.count { $0.target != "/warm" && HedgeScene.attempt($0) == 1 }
          // One may have been given up before its service had read of it.
          return first.allSatisfy { $0.reset == .cancel } && first.count + opened <= 5
            && old.cancellations >= opened
        }
      }
    }
  }
}
