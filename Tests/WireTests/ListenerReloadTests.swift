import Testing

extension WireTests {
  /// Listeners that a reload moves, swaps, renames or takes away.
  struct ListenerReloadTests {
    private static func serves(_ port: UInt16) -> Bool {
      guard let client = try? RawClient(port: port) else { return false }
      defer { client.close() }
      return (try? client.exchange("GET", "/x").status) == 200
    }

    private static func listener(_ name: String, _ port: UInt16, _ more: String = "") -> String {
      "name: \(name), address: \"127.0.0.1:\(port)\"" + (more.isEmpty ? "" : ", \(more)")
    }

    private static let denied = "deny: [127.0.0.0/8]"

    @Test(arguments: Backend.allCases)
    func `listeners that swap addresses take their rules with them`(backend: Backend) throws {
      let (one, two) = (try Socket.deadPort(), try Socket.deadPort())
      var settings = EdgeSettings()
      settings.listeners = [Self.listener("closed", one, Self.denied), Self.listener("open", two)]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        #expect(!Self.serves(one) && Self.serves(two))

        try scene.reload {
          $0.listeners = [Self.listener("closed", two, Self.denied), Self.listener("open", one)]
        }

        try eventually("the rules moved") { Self.serves(one) && !Self.serves(two) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a listener that moved still hears of changes`(backend: Backend) throws {
      let (one, two) = (try Socket.deadPort(), try Socket.deadPort())
      var settings = EdgeSettings()
      settings.listeners = [Self.listener("main", one)]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        try scene.reload { $0.listeners = [Self.listener("main", two)] }
        try eventually("it moved") { Self.serves(two) && !Self.serves(one) }

        try scene.reload { $0.listeners = [Self.listener("main", two, Self.denied)] }

        try eventually("it is closed") { !Self.serves(two) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a listener that was renamed has the rules of its new name`(backend: Backend) throws {
      let port = try Socket.deadPort()
      var settings = EdgeSettings()
      settings.listeners = [Self.listener("before", port)]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        #expect(Self.serves(port))

        try scene.reload { $0.listeners = [Self.listener("after", port, Self.denied)] }
        try eventually("it is closed") { !Self.serves(port) }
        try scene.reload { $0.listeners = [Self.listener("after", port)] }

        try eventually("it is open again") { Self.serves(port) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a listener may come back as soon as it is gone`(backend: Backend) throws {
      let port = try Socket.deadPort()
      var settings = EdgeSettings(workers: 2)
      settings.listeners = [Self.listener("main", port)]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        for _ in 0..<5 {
          try scene.reload { $0.listeners = [] }
          try scene.reload { $0.listeners = [Self.listener("main", port)] }
          try eventually("it serves again") { Self.serves(port) }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `listeners that come and go use nothing up`(backend: Backend) throws {
      let ports = [try Socket.deadPort(), try Socket.deadPort()]
      func text(_ round: Int) -> String {
        var settings = EdgeSettings(endpoints: ["127.0.0.1:1"], hasDefaultRoute: false)
        settings.listeners = [Self.listener("moving", ports[round % 2])]
        settings.routes = [
          "name: local, match: {pathPrefix: /}, respond: {status: 200}, policies: {auth: none}"
        ]
        return settings.yaml(endpoints: [])
      }
      // There are two timers for each socket.
      let edge = try EdgeUnderTest(configuration: text(0), backend: backend, sockets: 8)
      defer { edge.stop() }
      for round in 1...30 {
        try edge.reload(text(round))
        try eventually("it serves after move \(round)") { Self.serves(ports[round % 2]) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `connections count for the listener that took them, whatever has its address now`(
      backend: Backend
    ) throws {
      let (one, two) = (try Socket.deadPort(), try Socket.deadPort())
      let bound = "connections: {maximum: 1}"
      var settings = EdgeSettings()
      settings.listeners = [Self.listener("a", one, bound), Self.listener("b", two, bound)]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let held = scene.adopt(try RawClient(port: one))
        #expect(try held.exchange("GET", "/x").status == 200)

        try scene.reload {
          $0.listeners = [Self.listener("b", one, bound), Self.listener("a", two, bound)]
        }
        try eventually("a is full on its new address") { Self.serves(one) && !Self.serves(two) }
        #expect(try held.exchange("GET", "/x").status == 200)
        held.close()

        try eventually("a has room again") { Self.serves(two) }
        var last: RawClient?
        try eventually("b has its one connection") {
          last?.close()
          last = try? RawClient(port: one)
          return (try? last?.exchange("GET", "/x").status) == 200
        }
        defer { last?.close() }
        #expect(!Self.serves(one), "and no more than that")
        last?.close()
        try eventually("none is left") {
          try ["a", "b"].allSatisfy {
            try scene.metric("spillway_connections{side=\"downstream\",peer=\"\($0)\"}") == 0
          }
        }
      }
    }
  }
}
