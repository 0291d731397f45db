import Foundation
import Testing

extension WireTests {
  /// Hard caps on the wire, alike for services of HTTP/1.1 and of HTTP/2.
  struct CapTests {
    typealias Spoken = CapScene.Spoken

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `requests beyond the cap wait, and go on one after the other`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      let settings = CapScene.settings("{requests: 1}")
      try CapScene.play(backend, spoken, settings) { scene in
        let line = try CapScene.line(scene, "/1", "/2", "/3")
        let (first, second, third) = (line[0], line[1], line[2])
        #expect(try CapScene.inUse(scene, "requests") == 1)
        #expect(CapScene.arrived(scene) == ["/1"])
        let told = try scene.admin("/admin/services?format=text").text
        #expect(told.contains("1 of 1 requests, 2 of 1024 pending"))
        let json = try scene.admin("/admin/services").text
        #expect(json.contains("\"requests\":{\"inUse\":1,\"limit\":1}"))
        #expect(try scene.metric("spillway_cap_limit{kind=\"requests\"}") == 1)

        try CapScene.finish(first, "/1")
        try CapScene.expect(["/1", "/2"], at: scene)
        try CapScene.expectWaiting(1, scene)
        try CapScene.finish(second, "/2")
        try CapScene.expect(["/1", "/2", "/3"], at: scene)
        try CapScene.finish(third, "/3")
        #expect(try scene.metric("spillway_cap_waits_total{service=\"backend\"}") == 2)
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `beyond those that may wait a request is refused, and told why`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      let settings = CapScene.settings("{requests: 1, pending: 1}")
      try CapScene.play(backend, spoken, settings) { scene in
        let line = try CapScene.line(scene, "/1", "/2")
        let (first, second) = (line[0], line[1])

        let client = try scene.client()
        let answer = try client.exchange("GET", "/3")
        #expect(answer.status == 503)
        #expect(answer["content-type"] == "application/problem+json")
        #expect(answer.text.contains("\"reason\":\"upstream-pending-full\""))
        #expect(answer["proxy-status"] == "spillway; error=connection_limit_reached")
        #expect(answer["retry-after"] != nil)
        let call = try client.exchange("GET", "/4", "Content-Type: application/grpc")
        #expect(call["grpc-status"] == "14")
        #expect(call["grpc-message"] == "upstream-pending-full")
        try eventually("both are counted") {
          try scene.metric("spillway_local_replies_total{reason=\"upstream-pending-full\"}") == 2
            && scene.metric("spillway_cap_refusals_total{reason=\"pending-full\"}") == 2
        }

        try CapScene.finish(first, "/1")
        try CapScene.finish(second, "/2")
        #expect(CapScene.arrived(scene) == ["/1", "/2"])
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `where nobody may wait the cap refuses at once`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      let settings = CapScene.settings("{requests: 1, perEndpoint: {pending: 0}}")
      try CapScene.play(backend, spoken, settings) { scene in
        let first = try CapScene.line(scene, "/1")[0]
        #expect(try scene.client().exchange("GET", "/2").status == 503)
        try CapScene.finish(first, "/1")
        #expect(try scene.client().exchange("GET", "/3").status == 200)
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `a request that waits too long is told so`(backend: Backend, spoken: Spoken) throws {
      let settings = CapScene.settings("{requests: 1}", connect: "100ms")
      try CapScene.play(backend, spoken, settings) { scene in
        let first = try CapScene.line(scene, "/1")[0]
        let answer = try scene.client().exchange("GET", "/2")
        #expect(answer.status == 503)
        #expect(answer.text.contains("\"reason\":\"upstream-pending-timeout\""))
        try eventually("it is counted") {
          try scene.metric("spillway_timeouts_total{kind=\"pending\"}") == 1
            && scene.metric("spillway_cap_refusals_total{reason=\"pending-timeout\"}") == 1
        }
        try CapScene.finish(first, "/1")
      }

      var short = CapScene.settings("{requests: 1}")
      short.routes = [
        "name: short, match: {pathPrefix: /short}, upstream: {service: backend}, "
          + "policies: {auth: none, timeoutMs: 100}"
      ]
      try CapScene.play(backend, spoken, short) { scene in
        let first = try CapScene.line(scene, "/1")[0]
        #expect(try scene.client().exchange("GET", "/short").status == 504)
        try CapScene.finish(first, "/1")
        #expect(CapScene.arrived(scene) == ["/1"])
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `a request waits for a connection or a stream`(backend: Backend, spoken: Spoken) throws {
      let settings = CapScene.settings("{connections: 1, pending: 2}")
      try CapScene.play(backend, spoken, settings, streams: 1) { scene in
        if spoken == .h2c {
          // What the service allows is known from its SETTINGS.
          #expect(try scene.client().exchange("GET", "/0").status == 200)
        }
        let before = spoken == .h2c ? ["/0"] : []
        let line = try CapScene.line(scene, "/1", "/2", "/3", after: before)
        let (first, second, third) = (line[0], line[1], line[2])
        let answer = try scene.client().exchange("GET", "/4")
        #expect(answer.status == 503)
        #expect(answer.text.contains("upstream-pending-full"))
        #expect(try CapScene.inUse(scene, "connections") == 1)
        try CapScene.finish(first, "/1")
        try CapScene.expect(before + ["/1", "/2"], at: scene)
        try CapScene.finish(second, "/2")
        try CapScene.finish(third, "/3")
        let accepted =
          scene.upstreams.map(\.acceptedConnections) + scene.services.map(\.acceptedConnections)
        #expect(accepted == [1])
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `an endpoint that has as much as it may is passed over, and waited for when all have`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      // With a policy of its own the choice goes another way.
      for more in ["balance: p2c", "balance: least-requests", "balance: ring-hash, breaker: {}"] {
        let settings = CapScene.settings("{perEndpoint: {requests: 1}}", more)
        try CapScene.play(backend, spoken, settings, endpoints: 2) { scene in
          let first = try CapScene.hold(scene, "/1")
          try eventually("it came") { CapScene.arrived(scene).count == 1 }
          let second = try CapScene.hold(scene, "/2")
          try eventually("both are busy") { CapScene.arrived(scene).count == 2 }
          let counts =
            scene.upstreams.map(\.requests.count) + scene.services.map(\.requests.count)
          #expect(counts == [1, 1])
          let third = try CapScene.hold(scene, "/3")
          try CapScene.expectWaiting(1, scene)
          let busy = scene.upstreams.map(\.endpoint) + scene.services.map(\.endpoint)
          for endpoint in busy {
            #expect(try CapScene.inUse(scene, "requests", endpoint: endpoint) == 1)
          }
          try CapScene.finish(second, "/2")
          try eventually("the third has its place") { CapScene.arrived(scene).count == 3 }
          try CapScene.finish(first, "/1")
          try CapScene.finish(third, "/3")
          try eventually("nothing counts") {
            try busy.allSatisfy { try CapScene.inUse(scene, "requests", endpoint: $0) == 0 }
          }
        }
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `an endpoint has no more connections than it may`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      let settings = CapScene.settings("{perEndpoint: {connections: 1}}")
      try CapScene.play(backend, spoken, settings, endpoints: 2, streams: 1) { scene in
        if spoken == .h2c {
          // Until both have said how many streams they take each is believed to take many.
          try eventually("both are known") {
            _ = try scene.client().exchange("GET", "/0")
            return scene.services.allSatisfy { !$0.requests.isEmpty }
          }
        }
        let before = CapScene.arrived(scene).count
        let first = try CapScene.hold(scene, "/1")
        try eventually("it came") { CapScene.arrived(scene).count == before + 1 }
        let second = try CapScene.hold(scene, "/2")
        try eventually("both are busy") { CapScene.arrived(scene).count == before + 2 }
        let third = try CapScene.hold(scene, "/3")
        try CapScene.expectWaiting(1, scene)
        try CapScene.finish(first, "/1")
        try eventually("the third came") { CapScene.arrived(scene).count == before + 3 }
        try CapScene.finish(second, "/2")
        try CapScene.finish(third, "/3")
        let accepted =
          scene.upstreams.map(\.acceptedConnections) + scene.services.map(\.acceptedConnections)
        #expect(accepted == [1, 1])
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `a client that leaves gives up its place in line`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      let settings = CapScene.settings("{requests: 1}")
      try CapScene.play(backend, spoken, settings) { scene in
        let line = try CapScene.line(scene, "/1", "/2", "/3")
        let (first, second, third) = (line[0], line[1], line[2])
        let session = try scene.http2()
        let stream = try session.request("POST", "/4", body: [], isLast: false)
        try CapScene.expectWaiting(3, scene)
        try session.reset(stream)
        try CapScene.expectWaiting(2, scene)
        second.reset()
        try CapScene.expectWaiting(1, scene)
        // So does one that is under way.
        first.reset()
        try CapScene.expect(["/1", "/3"], at: scene)
        try CapScene.finish(third, "/3")
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `nobody waits for longer because another worker serves`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      var settings = CapScene.settings("{requests: 1, connections: 1}")
      settings.workers = 2
      try CapScene.play(backend, spoken, settings) { scene in
        // The kernel spreads connections by their ports, so both workers have some in line.
        let targets = (0..<24).map { "/\($0)" }
        let clients = try targets.map { target in
          let client = try CapScene.hold(scene, target)
          try eventually("it waits or is served") {
            let waiting = try CapScene.inUse(scene, "pending")
            return waiting + CapScene.arrived(scene).count == (Int(target.dropFirst()) ?? 0) + 1
          }
          return client
        }
        for index in targets.indices {
          try eventually("its turn has come") { CapScene.arrived(scene).count == index + 1 }
          let target = try #require(CapScene.arrived(scene).last)
          try CapScene.finish(clients[try #require(Int(target.dropFirst()))], target)
        }
        #expect(CapScene.arrived(scene).sorted() == targets.sorted())
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `a retry holds nothing while it waits for its time`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      var settings = CapScene.settings(
        "{requests: 1, perEndpoint: {requests: 1}}",
        "retryBudget: {ratio: 1, minimumPerSecond: 1000}"
      )
      settings.policies = "timeoutMs: 30000, retries: 1, retryOn: [503]"
      func check(_ scene: Scene) throws {
        for _ in 0..<5 { #expect(try scene.client().exchange("GET", "/").status == 200) }
        try CapScene.expectNothing(scene)
        #expect(try RetryScene.retries(scene, "succeeded") == 5)
      }
      switch spoken {
      case .http1:
        let service = try ScriptedUpstream { peer, request in
          try peer.respond(RetryScene.attempt(request) < 2 ? 503 : 200, "x")
        }
        try Scene.play(backend, service, settings: settings, check)
      case .h2c:
        let service = try HTTP2Upstream { peer, request, moment in
          guard moment == .end else { return }
          try peer.respond(request, HedgeScene.attempt(request) < 2 ? 503 : 200, body: [])
        }
        try Scene.play(backend, h2c: service, settings: settings, check)
      }
    }

    @Test(arguments: Backend.allCases, Spoken.allCases)
    func `caps come and go with reloads, and those in line go on`(
      backend: Backend,
      spoken: Spoken
    ) throws {
      let settings = CapScene.settings("{requests: 1}")
      try CapScene.play(backend, spoken, settings) { scene in
        let line = try CapScene.line(scene, "/1", "/2")
        let (first, second) = (line[0], line[1])
        let protocols = spoken == .h2c ? "protocol: h2c, " : ""
        try scene.reload { $0.service = protocols + "admission: {mode: \"off\"}" }
        try eventually("nothing is capped") {
          try scene.client().exchange("GET", "/3").status == 200
        }
        try scene.reload { $0.policies = "timeoutMs: 29000" }
        try CapScene.finish(first, "/1")
        try CapScene.finish(second, "/2")
        #expect(try scene.client().exchange("GET", "/4").status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service without caps refuses as it did`(backend: Backend) throws {
      let settings = EdgeSettings(service: "connections: {maximum: 1}").withoutAdmission
      try Scene.play(backend, .echo(), settings: settings) { scene in
        let first = try CapScene.line(scene, "/1")[0]
        let answer = try scene.client().exchange("GET", "/2")
        #expect(answer.status == 503)
        #expect(answer.text.contains("connection-limit"))
        #expect(try scene.metrics().sum("spillway_cap_limit") == nil)
        try CapScene.finish(first, "/1")
      }
    }
  }
}
