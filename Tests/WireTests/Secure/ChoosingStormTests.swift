import Foundation
import Glibc
import Synchronization
import TLS
import Testing
import Units

extension WireTests {
  /// Many clients at once before services that break TLS, change their protocol or are reloaded.
  struct ChoosingStormTests {
    /// What came of the requests of all clients.
    private final class Tally: Sendable {
      private let lines = Locked<[String]>([])
      private let good = Atomic(0)

      var complaints: [String] { lines.withLock { $0 } }
      var served: Int { good.load(ordering: .relaxed) }

      func complain(_ line: String) { lines.withLock { $0.append(line) } }

      /// Whether `text` answers what was asked; other statuses than 200 are for services that break.
      func judge(_ status: Int, _ text: String, _ wanted: String, allows others: [Int]) {
        if status == 200, text == wanted {
          good.add(1, ordering: .relaxed)
        } else if !others.contains(status) {
          complain("\(status) \(text.prefix(60)) for \(wanted.prefix(60))")
        }
      }
    }

    /// One client of HTTP/1.1 with a few requests, which it may leave alone with.
    private static func old(
      _ port: UInt16,
      _ random: inout SplitMix64,
      _ tally: Tally,
      _ others: [Int]
    )
      throws
    {
      let client = try RawClient(port: port)
      defer { client.close() }
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let target = "/\(UInt32.random(in: 0 ... .max, using: &random))"
        let body = String(repeating: "x", count: Int.random(in: 0...3_000, using: &random))
        switch Int.random(in: 0..<8, using: &random) {
        case 0:
          try client.request("GET", target)
          return client.reset()
        case 1: try client.send(chunked(target, body))
        case 2, 3: try client.post(target, body)
        default:
          try client.request("GET", target)
          let answer = try client.response()
          tally.judge(answer.status, answer.text, "GET \(target) ", allows: others)
          if answer.saysClose { return }
          continue
        }
        let answer = try client.response()
        tally.judge(answer.status, answer.text, "POST \(target) \(body)", allows: others)
        if answer.saysClose { return }
      }
    }

    private static func chunked(_ target: String, _ body: String) -> String {
      let size = String(body.utf8.count, radix: 16)
      let chunk = body.isEmpty ? "" : "\(size)\r\n\(body)\r\n"
      return
        "POST \(target) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk)0\r\n\r\n"
    }

    /// One client of HTTP/2 with a few streams, some of which it resets.
    private static func new(
      _ port: UInt16,
      _ random: inout SplitMix64,
      _ tally: Tally,
      _ others: [Int]
    )
      throws
    {
      let client = try HTTP2Client(Socket.connected(to: port, receiveBuffer: nil))
      defer { client.close() }
      var asked: [(token: Int32, wanted: String)] = []
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        let target = "/\(UInt32.random(in: 0 ... .max, using: &random))"
        let body = [UInt8](repeating: 0x79, count: Int.random(in: 0...3_000, using: &random))
        let length = Bool.random(using: &random) ? [("content-length", "\(body.count)")] : []
        let token = try client.request("POST", target, length, body: body)
        if Int.random(in: 0..<6, using: &random) == 0 {
          try client.reset(token)
        } else {
          asked.append((token, "POST \(target) \(String(decoding: body, as: UTF8.self))"))
        }
      }
      guard Int.random(in: 0..<8, using: &random) > 0 else { return client.socket.reset() }
      for (token, wanted) in asked {
        let answer = try client.answer(token)
        // A service that breaks off may leave a response without its end.
        guard answer.isComplete else {
          if others.isEmpty { tally.complain("cut off: \(wanted.prefix(60))") }
          continue
        }
        tally.judge(answer.status, answer.text, wanted, allows: others)
      }
    }

    private static func crowd(
      _ port: UInt16,
      _ seed: UInt64,
      rounds: Int,
      _ tally: Tally,
      allows others: [Int],
      while body: () throws -> Void = {}
    ) throws {
      try concurrently(6) { index in
        var random = SplitMix64(seed: seed &+ UInt64(index))
        for _ in 0..<rounds {
          do {
            try index % 2 == 0
              ? old(port, &random, tally, others) : new(port, &random, tally, others)
          } catch {
            // A response that was cut off ends the client's connection, too.
            if others.isEmpty { tally.complain("\(error)") }
          }
        }
      } while: {
        try body()
      }
    }

    private static func expectNothingLeft(_ scene: Scene) throws {
      try eventually("no handshake and no stream is left") {
        // Gauges are set after a turn; one without any event would wait for ever.
        try RawClient(port: scene.edge.port("public")).close()
        return try scene.metric("spillway_upstream_tls_handshakes_active") == 0
          && scene.metric("spillway_upstream_h2_streams") == 0
          && scene.metric("spillway_exchanges_active") == 0
      }
      let reason = "spillway_upstream_tls_handshake_failures_total{reason=\"internal-error\"}"
      #expect(try scene.metric(reason) == 0)
      let open = try scene.metric("spillway_connections{side=\"upstream\"}")
      #expect(try scene.metric("spillway_upstream_connections_active") == open)
      #expect(try scene.metric("spillway_upstream_pool_connections") == open)
    }

    @Test(arguments: Backend.allCases, ["h2", "auto"])
    func `wherever a service breaks off, every request ends and nothing is left`(
      backend: Backend,
      spoken: String
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let (upstream, service) = (try ScriptedUpstream.echo(), try HTTP2Upstream.echo())
      let front = try TLSFront(h2: service)
      let breaker = try BreakingFront(before: front.port)
      defer {
        breaker.stop()
        front.stop()
      }
      var settings = EdgeSettings.secureService(speaks: spoken)
      settings.endpoints = ["127.0.0.1:\(breaker.port)"]
      settings.workers = 2
      try Scene.play(backend, upstream, behind: service, settings: settings.withoutAdmission) {
        scene in
        let tally = Tally()
        let (http1, http2) = (upstream.port, service.port)
        let isOver = Atomic(false)
        try concurrently(1) { _ in
          // A service that chooses is another each time.
          guard spoken == "auto" else { return }
          var isOld = false
          while !isOver.load(ordering: .relaxed) {
            isOld.toggle()
            try? front.become(isOld ? .http1 : .http2, before: isOld ? http1 : http2)
            usleep(3_000)
          }
        } while: {
          defer { isOver.store(true, ordering: .relaxed) }
          try Self.crowd(
            try scene.edge.port("public"),
            seed,
            rounds: 25,
            tally,
            allows: [502, 503, 504]
          )
        }
        #expect(tally.complaints == [], "seed \(seed)")
        #expect(try scene.metric("spillway_upstream_tls_handshake_failures_total") > 0)
        #expect(try scene.metric("spillway_upstream_tls_handshakes_total") > 0)
        try Self.expectNothingLeft(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that comes back as the other again and again mixes nothing up`(
      backend: Backend
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let (upstream, service) = (try ScriptedUpstream.echo(), try HTTP2Upstream.echo())
      let front = try TLSFront(h2: service)
      defer { front.stop() }
      // No time runs out on a slow machine: what is allowed is what a restart breaks.
      var settings = EdgeSettings.secureService(
        front,
        speaks: "auto",
        more: "connections: {connectTimeout: 30s}"
      )
      settings.policies = "timeoutMs: 30000"
      settings.workers = 2
      try Scene.play(backend, upstream, behind: service, settings: settings.withoutAdmission) {
        scene in
        let tally = Tally()
        try Self.crowd(
          try scene.edge.port("public"),
          seed,
          rounds: 40,
          tally,
          allows: [502]
        ) {
          for round in 0..<30 {
            let isOld = round % 2 == 0
            try front.become(isOld ? .http1 : .http2, before: isOld ? upstream.port : service.port)
            usleep(10_000)
            upstream.closeConnections()
            service.closeConnections()
          }
        }
        #expect(tally.complaints == [], "seed \(seed)")
        #expect(tally.served > 0)
        let client = try scene.client()
        for spoken in [ApplicationProtocol.http1, .http2] {
          try front.become(spoken, before: spoken == .http1 ? upstream.port : service.port)
          upstream.closeConnections()
          service.closeConnections()
          try eventually("it is followed") {
            _ = try client.exchange("GET", "/x")
            return front.tunnels.last?.chosen == spoken
          }
        }
        try Self.expectNothingLeft(scene)
      }
    }

    @Test(arguments: Backend.allCases)
    func `reloads from one protocol to another under load lose no request`(
      backend: Backend
    ) throws {
      let seed = UInt64.random(in: 0 ... .max)
      let (upstream, service) = (try ScriptedUpstream.echo(), try HTTP2Upstream.echo())
      let front = try TLSFront(before: upstream) { $0.http2 = service.port }
      defer { front.stop() }
      func settings(_ spoken: String) -> EdgeSettings {
        var settings = EdgeSettings.secureService(
          front,
          speaks: spoken,
          more: "connections: {connectTimeout: 30s}"
        )
        settings.policies = "timeoutMs: 30000"
        settings.workers = 2
        return settings.withoutAdmission
      }
      try Scene.play(backend, upstream, behind: service, settings: settings("https")) { scene in
        let tally = Tally()
        try Self.crowd(
          try scene.edge.port("public"),
          seed,
          rounds: 30,
          tally,
          allows: []
        ) {
          for spoken in ["h2", "https", "auto", "h2", "auto", "https", "h2", "https"] {
            let before = tally.served
            try scene.reload { $0 = settings(spoken) }
            let deadline = Deadline(after: .milliseconds(500))
            while tally.served < before + 20, !deadline.hasPassed { usleep(1_000) }
          }
        }
        #expect(tally.complaints == [], "seed \(seed)")
        #expect(!upstream.requests.isEmpty && !service.requests.isEmpty)
        try Self.expectNothingLeft(scene)
        let client = try scene.client()
        #expect(try client.exchange("GET", "/x").text == "GET /x ")
        try eventually("sessions of rules that are gone are gone") {
          try scene.metric("spillway_upstream_h2_sessions") == 0
        }
      }
    }
  }
}
