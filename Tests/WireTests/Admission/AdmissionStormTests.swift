import Glibc
import Synchronization
import Testing
import Units

extension WireTests {
  /// Many at once, over several workers: the limit holds, and every permit comes back.
  @Suite(.serialized) struct AdmissionStormTests {
    /// How many requests a service has at a moment, and the most it ever had.
    private final class Load: Sendable {
      private let now = Atomic(0)
      private let peak = Atomic(0)

      func run(_ body: () throws -> Void) rethrows {
        let count = now.add(1, ordering: .sequentiallyConsistent).newValue
        _ = peak.max(count, ordering: .sequentiallyConsistent)
        // What the service takes for a request; the more of them overlap the better.
        usleep(300)
        // Before the answer: the edge may send the next request as soon as it has it.
        now.subtract(1, ordering: .sequentiallyConsistent)
        try body()
      }

      var most: Int { peak.load(ordering: .sequentiallyConsistent) }
    }

    @Test(arguments: Backend.allCases)
    func `workers share one limit, and none is granted above it`(backend: Backend) throws {
      let load = Load()
      let upstream = try ScriptedUpstream { peer, request in
        try load.run { try peer.respond(200, request.target) }
      }
      let settings = AdmissionScene.settings(limit: 3, capacity: 256, workers: 3)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let port = try scene.edge.port("public")
        let failures = Locked<[String]>([])
        let served = Atomic(0)
        let peak = Atomic(0.0.bitPattern)
        let isDone = Atomic(false)
        try concurrently(24) { index in
          defer { if index == 0 { isDone.store(true, ordering: .releasing) } }
          do {
            let client = try RawClient(port: port)
            defer { client.close() }
            for number in 0..<60 {
              let path = "/\(["critical", "normal", "best-effort"][index % 3])/\(index)/\(number)"
              let answer = try client.exchange("GET", path)
              if answer.status == 200, answer.text == path {
                served.add(1, ordering: .relaxed)
              } else if answer.status != 503 {
                throw WireFailure("\(path) got \(answer)")
              }
            }
          } catch {
            failures.withLock { $0.append("\(error)") }
          }
        } while: {
          while !isDone.load(ordering: .acquiring) {
            let inFlight = try scene.metric("spillway_concurrency_inflight")
            _ = peak.max(inFlight.bitPattern, ordering: .relaxed)
          }
        }

        #expect(failures.withLock { $0 } == [])
        #expect(load.most <= 3)
        #expect(Double(bitPattern: peak.load(ordering: .relaxed)) <= 3)
        #expect(served.load(ordering: .relaxed) > 24)
        #expect(upstream.requests.count == served.load(ordering: .relaxed))
        try AdmissionScene.expectNothingHeld(scene)
      }
    }

    /// One client's next move, drawn from its seed.
    private static func act(_ port: UInt16, _ random: inout SplitMix64) throws {
      if Bool.random(using: &random) { return try actOnStreams(port, &random) }
      let client = try RawClient(port: port)
      defer { client.close() }
      let path = ["/critical", "/normal", "/best-effort"].randomElement(using: &random) ?? "/"
      let request = Array(
        "POST \(path) HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 4\r\n\r\nbody".utf8
      )
      let cut = Int.random(in: 0...request.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        client.trySend(Array(request[..<cut]))
        client.reset()
      case 1:
        client.trySend(request)
        client.close()
      case 2:
        client.trySend(request + request + request)
        client.reset()
      default:
        for _ in 0..<3 {
          try client.send(request)
          let status = try client.response().status
          guard [200, 502, 503].contains(status) else { throw WireFailure("got \(status)") }
        }
      }
    }

    private static func actOnStreams(_ port: UInt16, _ random: inout SplitMix64) throws {
      let client = try HTTP2Client(Socket.connected(to: port, receiveBuffer: nil))
      defer { client.close() }
      var polite: [Int32] = []
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        let token = try client.request("GET", Bool.random(using: &random) ? "/critical" : "/normal")
        if Int.random(in: 0..<3, using: &random) == 0 {
          try client.reset(token)
        } else {
          polite.append(token)
        }
      }
      guard Int.random(in: 0..<3, using: &random) > 0 else { return client.socket.reset() }
      for token in polite {
        let status = try client.answer(token).status
        guard [200, 502, 503].contains(status) else { throw WireFailure("a stream got \(status)") }
      }
    }

    @Test(arguments: Backend.allCases, ["enforce", "shadow"])
    func `after a storm of cancels, resets and kills every permit is back`(
      backend: Backend,
      mode: String
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let upstream = try ScriptedUpstream { peer, request in
        switch request.ordinal % 7 {
        case 3: peer.reset()
        case 5:
          try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut")
          peer.close()
        case 6:
          try peer.respond(200, "last", "Connection: close")
          peer.close()
        default: try peer.respond(200, request.target)
        }
      }
      var settings = AdmissionScene.settings(limit: 2, capacity: 8, mode: mode, workers: 2)
      // What is learned while all of it breaks must do no harm either.
      settings.service = settings.service.replacing(
        "kind: fixed, inFlight: 2",
        with: "kind: latency-gradient, maximum: 3"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        let port = try scene.edge.port("public")
        let failures = try storm(seed: seed, rounds: 40) { try Self.act(port, &$0) }

        #expect(
          failures.filter { $0.contains("got") } == [],
          "seed \(seed)"
        )
        try AdmissionScene.expectNothingHeld(scene)
        try eventually("the edge serves on") {
          try scene.client().exchange("GET", "/critical").status == 200
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that dies takes no permit with it`(backend: Backend) throws {
      let upstream = try ScriptedUpstream { peer, _ in try peer.hang() }
      let settings = AdmissionScene.settings(limit: 4, capacity: 8)
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.http2()
        let tokens = try AdmissionScene.burst(client, (0..<6).map { "/critical/\($0)" })
        try eventually("as many as may are there") { upstream.requests.count == 4 }
        #expect(try scene.metric("spillway_concurrency_inflight") == 4)

        try upstream.goAway()

        for token in tokens {
          let status = try client.answer(token).status
          #expect(status == 502 || status == 503)
        }
        try AdmissionScene.expectNothingHeld(scene)
      }
    }
  }
}
