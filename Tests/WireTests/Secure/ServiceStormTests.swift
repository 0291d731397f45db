import Foundation
import Synchronization
import TLS
import Testing
import Units

extension WireTests {
  /// Services that break TLS in every phase, and clients that leave in every phase.
  struct ServiceStormTests {
    /// Passes bytes on in both directions and breaks off after as many as it is told.
    private final class Breaker: Sendable {
      let port: UInt16
      private let listener: Socket
      private let count = Atomic(0)

      init(before port: UInt16) throws {
        let listener = try Socket.listening()
        self.listener = listener
        self.port = listener.localPort
        Thread.detachNewThread { [self] in
          while let peer = (try? listener.accepted(by: Deadline(after: .seconds(60)))) ?? nil {
            let number = count.add(1, ordering: .relaxed).oldValue
            guard let behind = try? Socket.connected(to: port) else { break }
            Thread.detachNewThread { Self.relay(peer, behind, number) }
          }
          listener.close()
        }
      }

      func stop() { listener.interrupt() }

      /// A handshake takes 1 to 2 KB of a service and a response some more.
      private static func relay(_ peer: Socket, _ behind: Socket, _ number: Int) {
        var left = (number * 131) % 2_600
        while left > 0 {
          var entries = [
            pollfd(fd: peer.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: behind.descriptor, events: Int16(POLLIN), revents: 0),
          ]
          guard poll(&entries, 2, 5_000) > 0 else { break }
          if entries[0].revents != 0 {
            guard let bytes = try? peer.receive(atMost: 16_384, by: Deadline()).get(),
              (try? behind.send(bytes, by: Deadline())) != nil
            else { break }
          }
          if entries[1].revents != 0 {
            guard let bytes = try? behind.receive(atMost: left, by: Deadline()).get(),
              (try? peer.send(bytes, by: Deadline())) != nil
            else { break }
            left -= bytes.count
          }
        }
        // Some end in the middle of a record, some with RST, some with a word of their own.
        if number % 3 == 0 { try? peer.send([21, 3, 3, 0, 2, 2, 80], by: Deadline()) }
        if number % 2 == 0 { peer.reset() } else { peer.close() }
        behind.close()
      }
    }

    @Test(arguments: Backend.allCases, [TLSVersion.tls12, .tls13])
    func `wherever a service breaks off, every request ends and nothing is left`(
      backend: Backend,
      version: TLSVersion
    ) throws {
      let upstream = try ScriptedUpstream { peer, request in
        try peer.respond(200, String(repeating: "x", count: 700))
      }
      let front = try TLSFront(before: upstream) { $0.tls = { $0.maximumVersion = version } }
      let breaker = try Breaker(before: front.port)
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
