import Foundation
import Glibc
import Testing

extension WireTests {
  /// Who is refused, and told why, while the edge itself has more to do than it can.
  @Suite(.serialized) struct OverloadRequestTests {
    @Test(arguments: Backend.allCases)
    func `the lowest class is refused first, the highest never, and all come back`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      let settings = OverloadScene.settings(inFlight: 20)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.http2()
        let client = try scene.client()
        func status(_ name: String) throws -> Int { try OverloadScene.status(client, name) }

        var tokens = try OverloadScene.hold(scene, holder, 16, of: 16)
        #expect(try status("best-effort") == 200)
        tokens += try OverloadScene.hold(scene, holder, 1, of: 17)
        #expect(try status("best-effort") == 503)
        #expect(try status("normal") == 200)
        tokens += try OverloadScene.hold(scene, holder, 1, of: 18)
        #expect(try status("normal") == 503)
        #expect(try status("important") == 200)
        try OverloadScene.expectAdmin(scene)
        tokens += try OverloadScene.hold(scene, holder, 2, of: 20)
        #expect(try status("important") == 503)
        #expect(try status("critical") == 200)

        try OverloadScene.expectAdmin(scene)
        #expect(try OverloadScene.pressure(scene, "in-flight") == 1)
        #expect(try OverloadScene.pressure(scene, "memory") < 0.8)
        #expect(try OverloadScene.sheds(scene, "in-flight") == 3)
        let shed = "reason=\"shed-edge-overload\""
        #expect(try scene.metric("spillway_local_replies_total{\(shed)}") == 3)
        for name in ["best-effort", "normal", "important"] {
          let labels = "class=\"\(name)\",decision=\"shed\",mode=\"enforce\",\(shed)"
          #expect(try AdmissionScene.decisions(scene, labels) == 1)
        }
        let told = try OverloadScene.explanation(scene)
        #expect(told["shedding"] as? [String] == ["important", "normal", "best-effort"])
        #expect((told["pressure"] as? [String: Double])?["inFlight"] == 1)
        #expect(told["inFlight"] as? Int == 20)
        #expect(told["mostInFlight"] as? Int == 20)

        gate.open()
        for token in tokens { #expect(try holder.answer(token).status == 200) }
        try eventually("all are served again") {
          try status("best-effort") == 200 && status("normal") == 200 && status("important") == 200
        }
        try eventually("nothing presses") {
          try OverloadScene.pressure(scene, "in-flight") == 0
            && (OverloadScene.explanation(scene)["shedding"] as? [String])?.isEmpty == true
        }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what is refused says why, when to come again, and keeps its connection`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      let settings = OverloadScene.settings(inFlight: 10)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.http2()
        let tokens = try OverloadScene.hold(scene, holder, 10, of: 10)

        let client = try scene.client()
        let refused = try client.exchange("GET", "/normal")
        #expect(refused.status == 503)
        #expect(refused["proxy-status"] == "spillway; error=http_request_denied")
        #expect((1...3).contains(refused["retry-after"].flatMap { Int($0) } ?? 0))
        #expect(!refused.saysClose)
        // A body that the client has announced and is sent is read past.
        try client.post("/normal", "some body")
        #expect(try client.response().status == 503)
        #expect(try client.exchange("GET", "/critical").status == 200)

        let call = [("content-type", "application/grpc")]
        let answer = try holder.exchange("POST", "/best-effort", call)
        #expect(answer.status == 200)
        #expect(answer["grpc-status"] == "14")
        #expect(answer["grpc-message"] == "shed-edge-overload")
        #expect((1_000...2_000).contains(answer["grpc-retry-pushback-ms"].flatMap { Int($0) } ?? 0))
        #expect(answer.body.isEmpty)

        gate.open()
        for token in tokens { #expect(try holder.answer(token).status == 200) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a burst that comes in one piece does not get past the bound`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = OverloadScene.settings(inFlight: 10)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let paths = Array(repeating: "/best-effort", count: 20)
        let tokens = try AdmissionScene.burst(client, paths)

        // Up to eight of ten in flight is no pressure, so the ninth is the last.
        for token in tokens[9...] {
          #expect(try client.answer(token).reason == "shed-edge-overload")
        }
        try eventually("nine are at the service") { upstream.requests.count == 9 }
        gate.open()
        for token in tokens[..<9] { #expect(try client.answer(token).status == 200) }
        #expect(upstream.requests.count == 9)
      }
    }

    @Test(arguments: Backend.allCases)
    func `what other workers have in flight counts`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      let settings = OverloadScene.settings(inFlight: 20, workers: 2)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holders = try (0..<20).map { _ in try scene.client() }
        for holder in holders { try holder.request("GET", OverloadScene.held) }
        try eventually("all of them hang") { upstream.requests.count == 20 }

        // On whichever worker these land; each looks at the others now and then.
        for _ in 0..<8 {
          let client = try scene.client()
          try eventually("it is refused") {
            try OverloadScene.status(client, "important") == 503
          }
          #expect(try OverloadScene.status(client, "critical") == 200)
        }
        try OverloadScene.expectAdmin(scene)

        gate.open()
        for holder in holders { #expect(try holder.response().status == 200) }
        try eventually("they come back") {
          try (0..<8).allSatisfy { _ in
            try OverloadScene.status(scene.client(), "best-effort") == 200
          }
        }
      }
    }

    @Test(arguments: Backend.allCases, ["shadow", "\"off\""])
    func `it holds whatever the admission of the service is told`(
      backend: Backend,
      mode: String
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      var settings = OverloadScene.settings(inFlight: 10)
      settings.service = "admission: {mode: \(mode)}"
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.http2()
        let tokens = try OverloadScene.hold(scene, holder, 10, of: 10)

        let client = try scene.client()
        #expect(try OverloadScene.status(client, "important") == 503)
        #expect(try OverloadScene.status(client, "critical") == 200)
        gate.open()
        for token in tokens { #expect(try holder.answer(token).status == 200) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `tunnels and event streams that last are not in flight`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        guard request.target == "/critical/stream" else {
          return try peer.respond(200, request.target)
        }
        try peer.send(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n2\r\n: \r\n"
        )
        try peer.hang()
      }
      let settings = OverloadScene.settings(inFlight: 10)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let streams = try (0..<10).map { _ in try scene.client() }
        for stream in streams {
          try stream.request("GET", "/critical/stream")
          #expect(try stream.head().status == 200)
        }

        try eventually("none of them presses") {
          try OverloadScene.pressure(scene, "in-flight") == 0
        }
        #expect(try OverloadScene.status(scene.client(), "best-effort") == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a loop that is busy for long sheds the lowest class, and recovers`(
      backend: Backend
    ) throws {
      var settings = AdmissionScene.settings(limit: 10_000)
      settings.overload = "loopDelay: 1ms, memory: 100%"
      settings.routes.append(
        "name: ready, match: {path: /ready}, respond: {status: 200, body: ready}, "
          + "policies: {auth: none}"
      )
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let probe = try scene.client()
        try OverloadScene.flooded(scene, "/ready", by: 4) {
          try eventually("its delay is noticed") {
            _ = try probe.exchange("GET", "/best-effort")
            return try OverloadScene.sheds(scene, "loop-delay") > 0
          }
          #expect(try OverloadScene.status(probe, "critical") == 200)
          try OverloadScene.expectAdmin(scene)
        }

        try eventually("it is at rest again") {
          try probe.exchange("GET", "/best-effort").status == 200
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `memory that runs out sheds before it is gone`(backend: Backend) throws {
      let memory = try MemoryStage()
      let settings = OverloadScene.bounded()
      try Scene.play(backend, .echoingTarget(), settings: settings, memory: memory.source) {
        scene in
        let client = try scene.client()
        #expect(try OverloadScene.status(client, "best-effort") == 200)

        memory.use(0.51)
        try eventually("the lowest class is shed") {
          try OverloadScene.status(client, "best-effort") == 503
        }
        #expect(try OverloadScene.status(client, "normal") == 200)
        memory.use(0.9)
        try eventually("all but the highest class is shed") {
          try OverloadScene.status(client, "important") == 503
        }
        #expect(try OverloadScene.status(client, "critical") == 200)
        #expect(try OverloadScene.pressure(scene, "memory") == 1)
        #expect(try OverloadScene.sheds(scene, "memory") >= 2)
        try OverloadScene.expectAdmin(scene)

        memory.use(0.1)
        try eventually("all are served again") {
          try OverloadScene.status(client, "best-effort") == 200
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `readiness fails above the pressure that it is told, and comes back`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      let settings = OverloadScene.settings(inFlight: 10, more: ", readinessAbove: 90%")
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.http2()
        var tokens = try OverloadScene.hold(scene, holder, 9, of: 9)
        #expect(try scene.admin("/readyz").status == 200)
        tokens += try OverloadScene.hold(scene, holder, 1, of: 10)

        let answer = try scene.admin("/readyz")
        #expect(answer.status == 503)
        #expect(answer.text.contains("overloaded: in-flight 1"))
        #expect(try scene.admin("/healthz").status == 200)
        try scene.reload { $0.overload = "loopDelay: 60s, memory: 100%, inFlight: 10" }
        #expect(try scene.admin("/readyz").status == 200)
        try scene.reload { _ in }
        #expect(try scene.admin("/readyz").status == 503)

        gate.open()
        for token in tokens { #expect(try holder.answer(token).status == 200) }
        try eventually("it is ready") { try scene.admin("/readyz").status == 200 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload moves the bound under requests that are in flight`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      let settings = OverloadScene.settings(inFlight: 100)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.http2()
        let tokens = try OverloadScene.hold(scene, holder, 10, of: 10)
        let client = try scene.client()
        #expect(try OverloadScene.status(client, "best-effort") == 200)

        try scene.reload { $0 = OverloadScene.settings(inFlight: 10) }
        try eventually("the smaller bound holds") {
          try OverloadScene.status(client, "important") == 503
        }
        try scene.reload { _ in }
        try eventually("the larger one does") {
          try OverloadScene.status(client, "best-effort") == 200
        }
        gate.open()
        for token in tokens { #expect(try holder.answer(token).status == 200) }
      }
    }
  }
}
