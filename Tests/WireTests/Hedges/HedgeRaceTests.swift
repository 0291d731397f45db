import Foundation
import Testing
import Units

extension WireTests {
  /// Two attempts of one request: who wins, and what becomes of the other.
  struct HedgeRaceTests {
    @Test(arguments: Backend.allCases)
    func `a request that hangs is answered by a second attempt elsewhere`(
      backend: Backend
    ) throws {
      let path = NSTemporaryDirectory() + "spillway-hedges-\(UUID().uuidString).log"
      defer { try? FileManager.default.removeItem(atPath: path) }
      var settings = HedgeScene.settings()
      settings.accessLog = "\"file:\(path)\""
      let script = HedgeScene.script { peer, _, attempt in
        attempt == 1 ? try peer.hang() : try peer.respond(200, "2")
      }
      try HedgeScene.play(backend, script, settings: settings) { scene in
        let before = try HedgeScene.count(scene, "won")
        let old = try scene.client().exchange("GET", "/old")
        let new = try scene.http2().exchange("GET", "/new")
        let head = try scene.client().exchange("HEAD", "/head")

        #expect(old.status == 200 && old.text == "2")
        #expect(new.status == 200 && new.text == "2")
        #expect(head.status == 200)
        for target in ["/old", "/new", "/head"] {
          // A service that is slow to read finds the first attempt after the answer is out.
          try eventually("each endpoint has one") {
            scene.upstreams.allSatisfy { $0.requests.count { $0.target == target } == 1 }
          }
          #expect(HedgeScene.attempts(scene, at: target) == [1, 2])
        }
        #expect(try HedgeScene.count(scene, "won") == before + 3)
        try eventually("the first attempts are ended") { HedgeScene.cancellations(scene) >= 3 }
        #expect(try RetryScene.retries(scene) == 0)
        try eventually("it is logged") {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          let lines = text.split(separator: "\n")
          return ["/old", "/new", "/head"].allSatisfy { target in
            lines.contains {
              $0.contains("\"path\":\"\(target)\"") && $0.contains("\"hedged\":true")
                && $0.contains("\"attempts\":2")
            }
          }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `the first attempt wins when it is answered first, and the second is ended`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let script = HedgeScene.script { peer, _, attempt in
        guard attempt == 1 else { return try peer.hang() }
        gate.wait()
        try peer.respond(200, "1")
      }
      try HedgeScene.play(backend, script) { scene in
        defer { gate.open() }
        let before = try HedgeScene.count(scene, "lost")
        let client = try scene.client()
        try client.request("GET", "/")
        try HedgeScene.expect(2, of: "/", scene)
        gate.open()
        let answer = try client.response()

        #expect(answer.text == "1")
        #expect(try HedgeScene.count(scene, "lost") == before + 1)
        try eventually("the hedge is ended") { HedgeScene.cancellations(scene) >= 1 }
        // The connection is of use as ever.
        #expect(try client.exchange("GET", "/warm").status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `answers that come together are one answer`(backend: Backend) throws {
      let gates = Locked<[String: Gate]>([:])
      let script = HedgeScene.script { peer, request, attempt in
        gates.withLock { $0[request.target] }?.wait()
        try peer.respond(200, "\(attempt)\(request.target)")
      }
      try HedgeScene.play(backend, script) { scene in
        let client = try scene.client()
        // Each hedge is paid by twenty requests.
        for round in 0..<5 {
          let target = "/\(round)"
          let gate = Gate()
          gates.withLock { $0[target] = gate }
          defer { gate.open() }
          try client.request("GET", target)
          try HedgeScene.expect(2, of: target, scene)
          gate.open()
          let answer = try client.response()
          #expect(answer.status == 200)
          #expect(["1\(target)", "2\(target)"].contains(answer.text), "\(answer.text)")
        }
        #expect(try client.exchange("GET", "/warm").status == 200)
      }
    }

    @Test(arguments: Backend.allCases, ["reset", "close", "nonsense", "503"])
    func `a first attempt that fails leaves the second one to answer`(
      backend: Backend,
      fault: String
    ) throws {
      let (failure, answer) = (Gate(), Gate())
      let script = HedgeScene.script { peer, _, attempt in
        guard attempt == 1 else {
          answer.wait()
          return try peer.respond(200, "2")
        }
        failure.wait()
        try Self.fail(peer, fault)
      }
      try HedgeScene.play(
        backend,
        script,
        settings: HedgeScene.settings("timeoutMs: 30000, retries: 2")
      ) { scene in
        defer {
          failure.open()
          answer.open()
        }
        let before = try HedgeScene.count(scene, "took-over")
        let client = try scene.client()
        try client.request("GET", "/")
        try HedgeScene.expect(2, of: "/", scene)
        failure.open()
        try eventually("the first attempt has failed") {
          try HedgeScene.count(scene, "took-over") == before + 1
        }
        answer.open()

        let response = try client.response()
        #expect(response.status == 200 && response.text == "2")
        #expect(HedgeScene.attempts(scene, at: "/") == [1, 2])
        #expect(try RetryScene.retries(scene) == 0, "there was nothing to repeat")
      }
    }

    private static func fail(_ peer: UpstreamPeer, _ fault: String) throws {
      switch fault {
      case "reset": peer.reset()
      case "close": peer.close()
      case "nonsense":
        try peer.send("SSH-2.0-OpenSSH\r\n\r\n")
        peer.close()
      default: try peer.respond(Int(fault) ?? 500, "x")
      }
    }

    @Test(arguments: Backend.allCases, ["reset", "close", "nonsense", "503"])
    func `a second attempt that fails leaves the first one to answer`(
      backend: Backend,
      fault: String
    ) throws {
      let gate = Gate()
      let script = HedgeScene.script { peer, _, attempt in
        guard attempt == 1 else { return try Self.fail(peer, fault) }
        gate.wait()
        try peer.respond(200, "1")
      }
      try HedgeScene.play(
        backend,
        script,
        settings: HedgeScene.settings("timeoutMs: 30000, retries: 2")
      ) { scene in
        defer { gate.open() }
        let before = try HedgeScene.count(scene, "failed")
        let client = try scene.client()
        try client.request("GET", "/")
        try eventually("the hedge has failed") {
          try HedgeScene.count(scene, "failed") == before + 1
        }
        gate.open()

        let response = try client.response()
        #expect(response.status == 200 && response.text == "1")
        #expect(try RetryScene.retries(scene) == 0)
      }
    }

    @Test(arguments: Backend.allCases, [0, 1, 2])
    func `when both fail the rules of retries decide, once`(
      backend: Backend,
      retries: Int
    ) throws {
      for first in [1, 2] {
        let gates = [Gate(), Gate()]
        let script = HedgeScene.script { peer, _, attempt in
          if attempt <= 2 { gates[attempt - 1].wait() }
          let isLast = attempt == retries + 2 && retries > 0
          try peer.respond(isLast ? 200 : 503, "\(attempt)")
        }
        try HedgeScene.play(
          backend,
          script,
          settings: HedgeScene.settings("timeoutMs: 30000, retries: \(retries)")
        ) { scene in
          defer { for gate in gates { gate.open() } }
          let result = first == 1 ? "took-over" : "failed"
          let before = try HedgeScene.count(scene, result)
          let client = try scene.client()
          try client.request("GET", "/")
          try HedgeScene.expect(2, of: "/", scene)
          gates[first - 1].open()
          try eventually("one has failed") { try HedgeScene.count(scene, result) > before }
          gates[2 - first].open()
          let answer = try client.response()

          #expect(answer.status == (retries > 0 ? 200 : 503))
          #expect(
            answer.text == (retries > 0 ? "\(retries + 2)" : "\(3 - first)"),
            "the last one's"
          )
          #expect(HedgeScene.attempts(scene, at: "/") == Array(1...(retries + 2)))
          #expect(try RetryScene.retries(scene, "succeeded") == min(1, retries))
          #expect(try RetryScene.retries(scene, "retry-limit") == 0)
        }
      }
    }

    @Test(arguments: Backend.allCases, [200, 204, 301, 404, 429, 500])
    func `what no retry would replace wins as it is`(backend: Backend, status: Int) throws {
      let script = HedgeScene.script { peer, _, attempt in
        guard attempt > 1 else { return try peer.hang() }
        try status == 204
          ? peer.send("HTTP/1.1 204 No\r\n\r\n") : peer.respond(status, "2")
      }
      try HedgeScene.play(backend, script) { scene in
        let before = try HedgeScene.count(scene, "won")
        let answer = try scene.client().exchange("GET", "/")

        #expect(answer.status == status)
        #expect(try HedgeScene.count(scene, "won") == before + 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `hints of one attempt do not win, and nobody is told of them`(backend: Backend) throws {
      let gate = Gate()
      let hinted = Locked(false)
      let script = HedgeScene.script { peer, _, attempt in
        guard attempt == 1 else {
          for _ in 0..<3 { try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") }
          hinted.withLock { $0 = true }
          return try peer.hang()
        }
        gate.wait()
        try peer.send("HTTP/1.1 103 Early Hints\r\nLink: </y>\r\n\r\n")
        try peer.respond(200, "1")
      }
      try HedgeScene.play(backend, script) { scene in
        defer { gate.open() }
        let client = try scene.client()
        try client.request("GET", "/")
        try HedgeScene.expect(2, of: "/", scene)
        try eventually("its hints are sent") { hinted.withLock { $0 } }
        // An exchange behind them on the one worker: they have been read by now.
        #expect(try scene.client().exchange("GET", "/warm").status == 200)
        gate.open()
        let answer = try client.response()

        #expect(answer.text == "1" && answer.interim.isEmpty)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a winner that breaks behind its head is not replaced`(backend: Backend) throws {
      let script = HedgeScene.script { peer, _, attempt in
        guard attempt > 1 else { return try peer.hang() }
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.close()
      }
      try HedgeScene.play(
        backend,
        script,
        settings: HedgeScene.settings("timeoutMs: 30000, retries: 2")
      ) { scene in
        let answer = try scene.client().exchange("GET", "/")

        #expect(answer.status == 200 && answer.text == "half" && !answer.isComplete)
        try eventually("the other is ended") { HedgeScene.cancellations(scene) >= 1 }
        #expect(HedgeScene.attempts(scene, at: "/") == [1, 2])
      }
    }
  }
}
