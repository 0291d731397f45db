import Foundation
import Synchronization
import Testing
import Units

extension WireTests {
  /// Leaving without losing a request: readiness first, then announced closes, then a deadline.
  struct DrainTests {
    @Test(arguments: Backend.allCases)
    func `readiness fails first while requests go on, then connections are told to close`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(root: ["drain: {grace: 3s, deadline: 30s}"])
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let kept = try scene.client()
        #expect(try kept.exchange().status == 200)
        #expect(try scene.admin("/readyz").status == 200)

        scene.edge.drain()
        try eventually("readiness fails") { try scene.admin("/readyz").status == 503 }
        #expect(try scene.admin("/healthz").status == 200)
        #expect(try scene.client().exchange().status == 200, "new clients still come in the grace")

        let told = try kept.exchange()
        #expect(told.status == 200)
        #expect(told.saysClose)
        #expect(kept.isClosedSilently())
        try eventually("it has drained", within: .seconds(60)) { scene.edge.hasDrained }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a request in flight finishes, its upload too`(backend: Backend) throws {
      // With admission an upload reaches the service once it is whole, or 16 KiB of it are there.
      let settings = EdgeSettings(root: ["drain: {grace: 100ms, deadline: 10s}"]).withoutAdmission
      let gate = Gate()
      let upstream = try ScriptedUpstream { peer, request in
        gate.wait()
        try peer.respond(200, request.text)
      }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let waiting = try scene.client()
        try waiting.post("/", "waiting")
        let uploading = try scene.client()
        try uploading.send(
          "POST / HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 9\r\n\r\nuplo"
        )
        try eventually("both run") { scene.upstream.requests.count == 2 }

        scene.edge.drain()
        try eventually("readiness fails") { try scene.admin("/readyz").status == 503 }
        try uploading.send("ading")
        gate.open()

        let first = try waiting.response()
        #expect(first.text == "waiting")
        #expect(first.saysClose)
        #expect(try uploading.response().text == "uploading")
        try eventually("it has drained", within: .seconds(10)) { scene.edge.hasDrained }
      }
    }

    @Test(arguments: Backend.allCases)
    func `what has not ended at the deadline is cut off`(backend: Backend) throws {
      let settings = EdgeSettings(root: ["drain: {grace: 100ms, deadline: 500ms}"])
      let upstream = try ScriptedUpstream { peer, _ in try peer.hang() }
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        try client.request()
        try eventually("it runs") { scene.upstream.requests.count == 1 }

        scene.edge.drain()

        // With 503 or without a word, but it ends, on both sides.
        _ = try? client.response()
        _ = try client.rest()
        try eventually("the upstream was told") { scene.upstream.cancellations == 1 }
        try eventually("it has drained", within: .seconds(10)) { scene.edge.hasDrained }
      }
    }

    @Test(arguments: Backend.allCases)
    func `silent clients that come at the last moment do not hold a drain`(
      backend: Backend
    ) throws {
      let settings = EdgeSettings(
        listener: "limits: {headTimeout: 60s}",
        root: ["drain: {grace: 100ms, deadline: 40s}"]
      )
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let port = try scene.edge.port("public")
        let isOver = Atomic(false)
        let held = Locked<[Socket]>([])
        try concurrently(2) { _ in
          // Some fall between the first look at the queue and the last.
          for _ in 0..<900 where !isOver.load(ordering: .relaxed) {
            guard let client = try? Socket.connected(to: port) else { break }
            held.withLock { $0.append(client) }
            usleep(500)
          }
        } while: {
          defer { isOver.store(true, ordering: .relaxed) }
          scene.edge.drain()
          try eventually("it has drained", within: .seconds(20)) { scene.edge.hasDrained }
        }
        for client in held.withLock({ $0 }) { client.close() }
      }
    }

    @Test(arguments: Backend.allCases)
    func `idle connections are closed when the grace ends`(backend: Backend) throws {
      // A client that is new may be about to speak: it keeps the time that a head has.
      let settings = EdgeSettings(
        listener: "limits: {headTimeout: 1s}",
        root: ["drain: {grace: 200ms, deadline: 10s}"]
      )
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let idle = try scene.client()
        #expect(try idle.exchange().status == 200)
        let silent = try scene.client()

        scene.edge.drain()

        #expect(idle.isClosedSilently())
        #expect(silent.isClosedSilently())
        try eventually("it has drained", within: .seconds(10)) { scene.edge.hasDrained }
      }
    }
  }
}
