import Foundation
import Synchronization
import TLS
import Testing

extension WireTests {
  /// Services that break TLS in every phase, and clients that leave in every phase.
  struct ServiceStormTests {
    @Test(arguments: Backend.allCases, [TLSVersion.tls12, .tls13])
    func `wherever a service breaks off, every request ends and nothing is left`(
      backend: Backend,
      version: TLSVersion
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, String(repeating: "x", count: 700))
      }
      let front = try TLSFront(before: upstream) { $0.tls = { $0.maximumVersion = version } }
      let breaker = try BreakingFront(before: front.port)
      defer {
        breaker.stop()
        front.stop()
      }
      var settings = EdgeSettings.secureService().withoutAdmission
      settings.endpoints = ["127.0.0.1:\(breaker.port)"]
      try Scene.play(backend, upstream, settings: settings) { scene in
        let port = try scene.edge.port("public")
        let unanswered = Atomic(0)
        try concurrently(4) { worker in
          for round in 0..<60 {
            guard let client = try? RawClient(port: port) else { return }
            let method = round % 2 == 0 ? "GET" : "POST"
            let body = round % 2 == 0 ? "" : "Content-Length: 4\r\n"
            client.trySend("\(method) / HTTP/1.1\r\nHost: a\r\n\(body)\r\n")
            if round % 2 == 1 { client.trySend("body") }
            // One in five does not wait for what comes.
            if (round + worker) % 5 == 0 {
              client.reset()
              continue
            }
            let answer = try? client.response()
            if answer == nil || ![200, 502, 504].contains(answer?.status ?? 0) {
              unanswered.add(1, ordering: .relaxed)
            }
            client.close()
          }
        }
        #expect(unanswered.load(ordering: .relaxed) == 0)
        let failures = "spillway_upstream_tls_handshake_failures_total"
        #expect(try scene.metric(failures) > 0)
        #expect(try scene.metric("spillway_upstream_tls_handshakes_total") > 0)
        #expect(try scene.metric("\(failures){reason=\"internal-error\"}") == 0)
        try eventually("no handshake is left") {
          try RawClient(port: port).close()
          return try scene.metric("spillway_upstream_tls_handshakes_active") == 0
        }
      }
    }
  }
}
