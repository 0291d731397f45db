import Foundation
import Glibc
import Testing

extension WireTests {
  /// What clients are told that a service has no capacity for.
  @Suite(.serialized) struct AdmissionRefusalTests {
    @Test(arguments: Backend.allCases)
    func `what the queue does not hold is refused at once, and told why`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = AdmissionScene.settings(limit: 1, capacity: 2)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let tokens = try AdmissionScene.burst(client, ["/a", "/b", "/c", "/d"])

        let refused = try client.answer(tokens[3])
        #expect(refused.status == 503)
        #expect(refused.reason == "shed-queue-full")
        #expect(refused["proxy-status"] == "spillway; error=http_request_denied")
        let seconds = try #require(refused["retry-after"].flatMap { Int($0) })
        #expect((1...60).contains(seconds))
        // The other two wait as long as their class may, and no longer.
        for token in tokens[1...2] {
          #expect(try client.answer(token).reason == "shed-queue-timeout")
        }
        gate.open()
        #expect(try client.answer(tokens[0]).text == "/a")
        #expect(upstream.requests.map(\.target) == ["/a"])
        let service = "service=\"backend\",class=\"normal\",mode=\"enforce\",route=\"all\""
        #expect(try AdmissionScene.decisions(scene, service + ",decision=\"admitted\"") == 1)
        #expect(try AdmissionScene.decisions(scene, service + ",reason=\"shed-queue-full\"") == 1)
        #expect(
          try AdmissionScene.decisions(scene, service + ",reason=\"shed-queue-timeout\"") == 2
        )
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a refused client of HTTP/1_1 keeps its connection`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/held")
      let settings = AdmissionScene.settings(limit: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let holder = try scene.client()
        try holder.request("GET", "/held")
        try eventually("it is held") { upstream.requests.count == 1 }
        let client = try scene.client()

        let refused = try client.exchange("GET", "/normal/a", "x-envoy-attempt-count: 2")
        let head = try client.exchange("HEAD", "/normal/b")

        #expect(refused.status == 503)
        #expect(refused.problem?["reason"] as? String == "shed-queue-timeout")
        // The class is the request's own, not its route's.
        #expect(refused.problem?["class"] as? String == "best-effort")
        #expect(refused.problem?["requestId"] as? String == refused["x-request-id"])
        #expect(!refused.saysClose)
        #expect(head.status == 503 && head.body.isEmpty)
        gate.open()
        #expect(try holder.response().text == "/held")
        #expect(try client.exchange("GET", "/normal/c").text == "/normal/c")
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a refused call of gRPC gets a status and pushback, and no body`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = AdmissionScene.settings(limit: 1, capacity: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let call = [("content-type", "application/grpc+proto")]
        let tokens = try AdmissionScene.burst(client, ["/a", "/b", "/c"], call)

        for token in tokens[1...2] {
          let refused = try client.answer(token)
          #expect(refused.status == 200)
          #expect(refused["content-type"] == "application/grpc")
          #expect(refused["grpc-status"] == "14")
          let pushback = try #require(refused["grpc-retry-pushback-ms"].flatMap { Int($0) })
          #expect((1...99_999).contains(pushback))
          #expect(refused.body.isEmpty)
        }
        #expect(try client.answer(tokens[2])["grpc-message"] == "shed-queue-full")
        gate.open()
        #expect(try client.answer(tokens[0]).status == 200)
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an operator is told which numbers a refusal was made on`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      let settings = AdmissionScene.settings(limit: 1, capacity: 1)
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let tokens = try AdmissionScene.burst(client, ["/critical", "/critical", "/critical"])
        #expect(try client.answer(tokens[2]).reason == "shed-queue-full")

        let told = try AdmissionScene.explanation(scene)
        #expect(told["mode"] as? String == "enforce")
        #expect(told["kind"] as? String == "fixed")
        #expect(told["limit"] as? Int == 1)
        #expect(told["inFlight"] as? Int == 1)
        #expect((told["queue"] as? [String: Int])?.count == 4)
        let refusals = try #require(told["lastRefusals"] as? [[String: Any]])
        let full = try #require(refusals.first { $0["reason"] as? String == "shed-queue-full" })
        #expect(full["class"] as? String == "critical")
        #expect(full["route"] as? String == "critical")
        #expect(full["limit"] as? Int == 1)
        #expect(full["inFlight"] as? Int == 1)
        #expect(full["waiting"] as? Int == 1)
        #expect((full["retryAfterMs"] as? Int ?? 0) >= 100)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the access log says which class was shed, why, and how long it waited`(
      backend: Backend
    ) throws {
      let path = "/tmp/spillway-wire-\(UInt32.random(in: 0 ... .max)).log"
      defer { unlink(path) }
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate)
      var settings = AdmissionScene.settings(limit: 1, capacity: 1)
      settings.accessLog = "\"file:\(path)\""
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.http2()
        let retry = [("x-envoy-attempt-count", "2")]
        let tokens = try AdmissionScene.burst(client, ["/held", "/critical", "/critical"], retry)
        let statuses = try tokens[1...2].map { try client.answer($0).status }
        #expect(statuses == [503, 503])
        gate.open()
        #expect(try client.answer(tokens[0]).status == 200)

        func lines() -> [[String: Any]] {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return text.split(separator: "\n").compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any]
          }
        }
        try eventually("three lines are written") { lines().count == 3 }
        let entries = lines()
        let shed = Dictionary(grouping: entries) { $0["shedReason"] as? String ?? "" }
        let full = try #require(shed["shed-queue-full"]?.first)
        let late = try #require(shed["shed-queue-timeout"]?.first)
        let served = try #require(shed[""]?.first)
        #expect(served["status"] as? Int == 200)
        #expect(full["class"] as? String == "important")
        #expect(full["queueMs"] is NSNull)
        #expect(late["class"] as? String == "important")
        #expect(late["queueMs"] as? Double ?? 0 > 0)
        #expect(served["class"] as? String == "best-effort")
        #expect(served["shedReason"] is NSNull)
      }
    }
  }
}
