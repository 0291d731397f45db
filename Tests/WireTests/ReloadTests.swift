import Foundation
import Synchronization
import Testing
import Units

extension WireTests {
  /// A new configuration while requests run.
  struct ReloadTests {
    private static func answering(_ body: String) -> String {
      "name: local, match: {path: /local}, respond: {status: 200, body: \"\(body)\"}, "
        + "policies: {auth: none}"
    }

    @Test(arguments: Backend.allCases)
    func `a reload changes routes for the next request and keeps connections`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(routes: [Self.answering("old")])
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/local").text == "old")
        let before = try scene.admin("/admin/config-version").text

        try scene.reload { $0.routes = [Self.answering("new")] }

        #expect(try client.exchange("GET", "/local").text == "new")
        #expect(try client.exchange("GET", "/up").text == "/up")
        #expect(try scene.admin("/admin/config-version").text != before)
        #expect(try scene.metric("spillway_config_reloads_total{outcome=\"applied\"}") >= 1)
        #expect(scene.upstream.acceptedConnections == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request in flight ends as it began`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        try client.request("GET", "/slow")
        try eventually("it runs") { scene.upstream.requests.count == 1 }

        try scene.reload { settings in
          settings.hasDefaultRoute = false
          settings.routes = [Self.answering("new")]
        }
        gate.open()

        #expect(try client.response().text == "/slow")
        #expect(try client.exchange("GET", "/slow").status == 404)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a bad configuration is refused and the old one goes on`(backend: Backend) throws {
      let settings = EdgeSettings(routes: [Self.answering("old")])
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/local").text == "old")
        let before = try scene.admin("/admin/config-version").text

        for text in ["", "{", "listeners: []\n", "unknown: field\n", "\0\u{1}"] {
          #expect(throws: (any Error).self) { try scene.edge.reload(text) }
        }
        #expect(throws: (any Error).self) {
          try scene.reload { $0.policies = "timeoutMs: 30001" }
        }

        #expect(try client.exchange("GET", "/local").text == "old")
        #expect(try scene.admin("/admin/config-version").text == before)
        #expect(try scene.admin("/readyz").status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `endpoints that leave are let go and new ones are used`(backend: Backend) throws {
      let next = try ScriptedUpstream { peer, _ in try peer.respond(200, "next") }
      try Scene.play(backend, .echoingTarget(), next) { scene in
        try scene.reload { $0.endpoints = [scene.upstreams[0].endpoint] }
        #expect(try scene.client().exchange("GET", "/first").text == "/first")

        try scene.reload { $0.endpoints = [scene.upstreams[1].endpoint] }
        #expect(try scene.client().exchange("GET", "/second").text == "next")
        try eventually("the old one's connection was closed") {
          scene.upstreams[0].openConnections == 0
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a file that says the same changes nothing and ends a warning`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let before = try scene.admin("/admin/config-version").text
        #expect(throws: (any Error).self) { try scene.edge.reload("nonsense: 1\n") }
        #expect(try scene.admin("/readyz").text.contains("nonsense"))

        try scene.reload { _ in }

        #expect(try scene.admin("/admin/config-version").text == before)
        #expect(try !scene.admin("/readyz").text.contains("nonsense"))
        #expect(try scene.metric("spillway_config_reloads_total{outcome=\"unchanged\"}") == 1)
        #expect(try scene.metric("spillway_config_reloads_total{outcome=\"applied\"}") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the admin server moves to the newest address`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget()) { scene in
        let before = try RawClient(port: scene.edge.adminPort)
        defer { before.close() }
        let port = try Socket.deadPort()

        try scene.reload { $0.admin = "127.0.0.1:\(port)" }

        #expect(scene.edge.adminPort == port)
        #expect(try scene.admin("/readyz").status == 200)
        #expect(try scene.metric("spillway_config_reloads_total{outcome=\"applied\"}") == 1)
        #expect(before.isClosedSilently())
      }
    }

    @Test(arguments: Backend.allCases)
    func `an admin address that cannot be bound refuses the reload`(backend: Backend) throws {
      let taken = try Socket.listening()
      defer { taken.close() }
      try Scene.play(backend, .echoingTarget()) { scene in
        let before = scene.edge.adminPort
        let client = try scene.client()

        #expect(throws: (any Error).self) {
          try scene.reload { settings in
            settings.admin = "127.0.0.1:\(taken.localPort)"
            settings.routes = [Self.answering("new")]
          }
        }

        #expect(scene.edge.adminPort == before)
        #expect(try client.exchange("GET", "/local").text == "/local")
        #expect(try scene.metric("spillway_config_reloads_total{outcome=\"refused\"}") == 1)
        #expect(try scene.admin("/readyz").text.contains("admin: cannot listen on 127.0.0.1"))
      }
    }

    @Test(arguments: Backend.allCases)
    func `the access log goes where the newest configuration says`(backend: Backend) throws {
      let paths = (0..<2).map { "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).\($0).log" }
      defer { for path in paths { unlink(path) } }
      func text(_ index: Int) -> String {
        (try? String(contentsOfFile: paths[index], encoding: .utf8)) ?? ""
      }
      try Scene.play(backend, .echoingTarget()) { scene in
        let client = try scene.client()
        func asks(_ path: String, until isDone: () -> Bool) throws {
          // A worker adopts a configuration between events, so the first request may come before.
          try eventually("\(path) is logged") {
            _ = try client.exchange("GET", path)
            return isDone()
          }
        }

        try scene.reload { $0.accessLog = "\"file:\(paths[0])\"" }
        try asks("/first") { text(0).contains("/first") }
        try scene.reload { $0.accessLog = "\"file:\(paths[1])\"" }
        try asks("/second") { text(1).contains("/second") }
        #expect(throws: (any Error).self) {
          try scene.reload { settings in
            settings.accessLog = "\"file:/nowhere/access.log\""
            settings.routes = [Self.answering("new")]
          }
        }

        #expect(try client.exchange("GET", "/local").text == "/local")
        try asks("/third") { text(1).contains("/third") }
        #expect(!text(0).contains("/third"))
        #expect(try scene.metric("spillway_accesslog_dropped_total") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a hundred reloads lose no request`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: EdgeSettings(workers: 2)) { scene in
        let port = try scene.edge.port("public")
        let isOver = Atomic(false)
        let failures = Locked<[String]>([])
        let served = Atomic(0)
        try concurrently(4) { _ in
          do {
            let client = try RawClient(port: port)
            defer { client.close() }
            while !isOver.load(ordering: .relaxed) {
              let answer = try client.exchange("GET", "/x")
              guard answer.status == 200, answer.text == "/x" else {
                throw WireFailure("\(answer.status)")
              }
              served.add(1, ordering: .relaxed)
            }
          } catch {
            failures.withLock { $0.append("\(error)") }
          }
        } while: {
          defer { isOver.store(true, ordering: .relaxed) }
          for index in 0..<100 {
            try scene.reload { $0.routes = [Self.answering("\(index)")] }
          }
        }

        #expect(failures.withLock { $0 } == [])
        #expect(served.load(ordering: .relaxed) > 0)
      }
    }
  }
}
