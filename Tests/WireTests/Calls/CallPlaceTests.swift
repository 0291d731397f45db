import Edge
import Foundation
import Testing
import Units

extension WireTests {
  /// Where calls of the edge's own stand beside requests of clients: what they share, and what not.
  struct CallPlaceTests {
    @Test(arguments: Backend.allCases)
    func `no byte of a client leads where calls lead`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echo()
      var settings = EdgeSettings(hasDefaultRoute: false)
      settings.services = ["name: registry, endpoints: [\"\(upstream.endpoint)\"]"]
      settings.routes = [
        "name: public, match: {path: /public}, respond: {status: 200}, policies: {auth: none}"
      ]
      try Scene.play(backend, upstream, settings: settings) { scene in
        #expect(try scene.call("GET", "/mine", service: "registry").status == 200)
        let before = scene.upstream.requests.count
        for host in ["registry", "internal", "backend", "", scene.upstream.endpoint] {
          for target in ["/", "/mine", "/internal", "/registry", "http://registry/mine", "*"] {
            for more in ["", "X-Spillway-Service: registry\r\n", "X-Spillway-Internal: 1\r\n"] {
              let method = target == "*" ? "OPTIONS" : "GET"
              let answer = try scene.answer(
                to:
                  "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(more)Connection: close\r\n\r\n"
              )
              #expect(answer.status >= 400, "\(host) \(target) \(more)")
            }
          }
        }
        let client = try scene.http2()
        for path in ["/", "/mine", "/internal"] {
          #expect(try client.exchange("GET", path, [("x-service", "registry")]).status == 404)
        }

        #expect(scene.upstream.requests.count == before)
        #expect(try scene.metric("spillway_requests_total{route=\"internal\"}") == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `logs and metrics tell calls from requests, and count both for the service`(
      backend: Backend
    ) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      let settings = EdgeSettings(accessLog: "\"file:\(path)\"")
      try Scene.play(backend, .echo(), settings: settings) { (scene: Scene) throws in
        _ = try scene.client().exchange("GET", "/client")
        _ = try scene.call("GET", "/call?token=secret")

        var lines: [[String: Any]] = []
        try eventually("both are logged") {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          lines = text.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
          }
          return lines.count == 2
        }
        let line = try #require(lines.first { $0["path"] as? String == "/call" })
        #expect(line["route"] as? String == "internal")
        #expect(line["listener"] as? String == "internal")
        #expect(line["upstream"] as? String == "backend")
        #expect(line["status"] as? Int == 200)
        try eventually("both are counted") {
          let metrics = try scene.metrics()
          return try metrics.sum("spillway_requests_total{route=\"internal\",code=\"200\"}") == 1
            && metrics.sum("spillway_requests_total{route=\"all\",code=\"200\"}") == 1
            && metrics.sum("spillway_upstream_duration_seconds_count{service=\"backend\"}") == 2
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `clients that take every connection, and requests that are shed, leave calls alone`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: OverloadScene.held)
      var settings = OverloadScene.settings(inFlight: 10)
      settings.listener = "connections: {maximum: 1}"
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.http2()
        let tokens = try OverloadScene.hold(scene, holder, 10, of: 10)
        #expect(try holder.exchange("GET", "/important").status == 503)
        // It may be refused while it connects.
        let refused = try? scene.client()
        refused?.trySend("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect((try? refused?.response()) == nil)

        for number in 0..<20 { #expect(try scene.call("GET", "/\(number)").text == "/\(number)") }

        #expect(try scene.metric("spillway_client_connections") == 1)
        gate.open()
        for token in tokens { #expect(try holder.answer(token).status == 200) }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a watch holds no permit, before its head either, and counts among the open streams`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        request.target == "/watch" ? try peer.hang() : try peer.respond(200, request.target)
      }
      let service = "admission: {limit: {kind: fixed, inFlight: 1}, openStreams: 2}"
      try Scene.play(backend, upstream, settings: EdgeSettings(service: service)) { scene in
        let watches = [scene.watch(), scene.watch()]
        for watch in watches { try watch.sent() }
        try eventually("both wait") { scene.upstream.requests.count == 2 }

        #expect(try scene.client().exchange("GET", "/next").status == 200)
        try eventually("they are open streams") { try scene.metric("spillway_open_streams") == 2 }
        let third = try scene.watch().finished()
        #expect(third.failure?.contains("(shed-open-streams)") == true, "\(third.events)")
        let label = "{service=\"backend\",kind=\"internal\"}"
        try eventually("it is counted") {
          try scene.metric("spillway_open_streams_refused_total" + label) == 1
        }

        for watch in watches { watch.call.cancel() }
        try eventually("none is open") { try scene.metric("spillway_open_streams") == 0 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `as many calls are under way as may be, and places come back`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, request in
        request.target == "/watch" ? try peer.hang() : try peer.respond(200, request.target)
      }
      // One call for each twenty descriptors.
      let settings = EdgeSettings().withoutAdmission
      try Scene.play(backend, upstream, settings: settings, descriptors: 400) { scene in
        for _ in 0..<3 {
          let watches = (0..<20).map { _ in scene.watch() }
          let refused = try scene.watch().finished()
          #expect(refused.failure?.contains("20 calls of the edge itself are under way") == true)
          for watch in watches { watch.call.cancel() }
          try eventually("there is room again") { try scene.call("GET", "/next").isWhole }
        }
        try eventually("no worker has any") { try scene.heldCalls() == 0 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `hundreds of calls at once end, each with its own answer, and leave no descriptor`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        if request.target != "/first" { gate.wait() }
        try peer.respond(200, request.target)
      }
      let settings = EdgeSettings(
        service: "connections: {maximum: 400, connectTimeout: 30s}",
        workers: 2
      ).withoutAdmission
      var times = CallTimes()
      times.answer = .seconds(60)
      times.patience = .seconds(60)
      try Scene.play(backend, upstream, settings: settings, calls: times) { scene in
        #expect(try scene.call("GET", "/first").isWhole)
        let calls = (0..<300).map {
          scene.begin(ServiceRequest(service: "backend", target: "/\($0)"))
        }
        let own = calls.compactMap { Self.inode($0.call.descriptor) }
        #expect(Set(own).count == 300)
        // They send when they are gone on with.
        for call in calls { try call.sent() }
        try eventually("all wait") { scene.upstream.requests.count == 301 }
        #expect(try scene.heldCalls() == 300)
        gate.open()
        for (number, call) in calls.enumerated() {
          #expect(try call.finished().text == "/\(number)")
        }

        try eventually("no worker has any") { try scene.heldCalls() == 0 }
        #expect(Set(own).isDisjoint(with: Self.openSockets()))
      }
    }

    private static func inode(_ descriptor: Int32) -> UInt64? {
      var status = stat()
      return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    /// The inodes of the sockets that this process has open.
    private static func openSockets() -> Set<UInt64> {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
      return Set(
        names.compactMap { name in
          guard
            let link = try? FileManager.default.destinationOfSymbolicLink(
              atPath: "/proc/self/fd/\(name)"
            ),
            link.hasPrefix("socket:[")
          else { return nil }
          return UInt64(link.dropFirst(8).dropLast())
        }
      )
    }
  }
}
