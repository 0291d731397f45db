import Edge
import Foundation
import Testing
import Units

extension WireTests {
  /// Calls of the edge's own that end because somebody wants it: their thread, a reload, the process.
  struct CallEndTests {
    /// A service whose watches say one word and then nothing.
    private static func watched() throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, request in
        guard request.target.hasPrefix("/watch") else {
          return try peer.respond(200, request.target)
        }
        try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nword\r\n")
        try peer.hang()
      }
    }

    @Test(arguments: Backend.allCases)
    func `a call that is given up, or let go, ends at the service`(backend: Backend) throws {
      try Scene.play(backend, Self.watched()) { scene in
        let watch = scene.watch()
        try watch.until { $0.text == "word" }

        watch.call.cancel()

        try eventually("the service was told") { scene.upstream.cancellations == 1 }
        #expect(watch.call.descriptor < 0 && watch.call.advance().isEmpty)
        watch.call.cancel()

        do { try scene.watch().until { $0.text == "word" } }
        try eventually("the service was told again") { scene.upstream.cancellations == 2 }
        #expect(try scene.call("GET", "/next").text == "/next")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a call that is given up at once, or amid its body, leaves nothing behind`(
      backend: Backend
    ) throws {
      try Scene.play(backend, Self.watched()) { scene in
        let body = [UInt8](repeating: 1, count: 1 << 20)
        for number in 0..<60 {
          let request = ServiceRequest(
            service: "backend",
            method: "POST",
            target: "/",
            body: number % 2 == 0 ? [] : body
          )
          let call = scene.begin(request)
          for _ in 0..<(number % 3) { _ = call.call.advance() }
          call.call.cancel()
        }
        try eventually("no worker has any") { try scene.heldCalls() == 0 }
        #expect(try scene.call("GET", "/next").text == "/next")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload that takes the service away ends its calls, and no others`(
      backend: Backend
    ) throws {
      let upstream = try Self.watched()
      var settings = EdgeSettings()
      settings.services = ["name: registry, endpoints: [\"\(upstream.endpoint)\"]"]
      try Scene.play(backend, upstream, settings: settings) { scene in
        let leaving = scene.watch(service: "registry")
        let staying = scene.watch()
        try leaving.until { $0.text == "word" }
        try staying.until { $0.text == "word" }

        try scene.reload { $0.services = [] }

        #expect(
          try leaving.finished().failure
            == "service registry: its answer broke off: the configuration has no such service"
        )
        #expect(try scene.call(service: "registry").failure?.contains("no such service") == true)
        #expect(try scene.call("GET", "/next").text == "/next")
        #expect(staying.call.advance().isEmpty && staying.call.descriptor >= 0)
        try scene.reload { $0.services = settings.services }
        #expect(try scene.call("GET", "/back", service: "registry").text == "/back")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a watch that waits for its head for long holds no configuration but the newest`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        request.target == "/watch" ? try peer.hang() : try peer.respond(200, request.target)
      }
      try Scene.play(backend, upstream) { scene in
        let watch = scene.watch()
        try watch.sent()
        try eventually("it waits") { scene.upstream.requests.count == 1 }
        for number in 0..<10 {
          try scene.reload { $0.policies = "timeoutMs: \(4_000 + number)" }
          #expect(try scene.client().exchange("GET", "/\(number)").status == 200)
        }

        try eventually("there is one configuration") { try scene.metric("spillway_snapshots") == 1 }
        #expect(watch.call.advance().isEmpty && watch.call.descriptor >= 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `calls do not hold up a drain, and learn that it is over`(backend: Backend) throws {
      let settings = EdgeSettings(root: ["drain: {grace: 100ms, deadline: 600s}"])
      try Scene.play(backend, Self.watched(), settings: settings) { scene in
        let watch = scene.watch()
        try watch.until { $0.text == "word" }
        let waiting = scene.watch("/watch/more")
        try waiting.until { $0.status == 200 }

        scene.edge.drain()

        try eventually("it has drained", within: .seconds(60)) { scene.edge.hasDrained }
        #expect(
          try watch.finished().failure
            == "service backend: its answer broke off: "
            + "the edge has ended the call, as it does when it stops"
        )
        #expect(try waiting.finished().failure != nil)
        #expect(try scene.call().failure?.contains("no worker runs") == true)
      }
    }

    @Test(arguments: Backend.allCases)
    func `while a request of a client is drained, calls go on`(backend: Backend) throws {
      let settings = EdgeSettings(root: ["drain: {grace: 100ms, deadline: 60s}"])
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/slow")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        try client.request("GET", "/slow")
        try eventually("it is under way") { scene.upstream.requests.count == 1 }
        scene.edge.drain()
        try eventually("readiness fails") { try scene.admin("/readyz").status == 503 }

        for _ in 0..<5 { #expect(try scene.call("GET", "/list").text == "/list") }

        gate.open()
        #expect(try client.response().text == "/slow")
        try eventually("it has drained", within: .seconds(60)) { scene.edge.hasDrained }
      }
    }
  }
}
