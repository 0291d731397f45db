import Synchronization
import Testing

extension WireTests {
  /// The last bytes of a message, when something else happens while they are on their way.
  struct TailTests {
    private static let size = 3_000_000
    private static let ask =
      "GET / HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n"
    private static let agree =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n"

    private static let otherRoute =
      "name: other, match: {path: /other}, respond: {status: 204}, policies: {auth: none}"

    private final class Count: Sendable { let value = Atomic(0) }

    /// Answers with `size` bytes; the second half waits for the gate.
    private static func halves(_ gate: Gate) throws -> ScriptedUpstream {
      try ScriptedUpstream { peer, _ in
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
        try peer.send([UInt8](repeating: 0x61, count: size / 2))
        gate.wait()
        try peer.send([UInt8](repeating: 0x62, count: size / 2))
      }
    }

    @Test(arguments: Backend.allCases)
    func `a response that began before a drain and ends after the grace arrives whole`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let settings = EdgeSettings(
        routes: [Self.otherRoute],
        root: ["drain: {grace: 100ms, deadline: 20s}"]
      )
      try Scene.play(backend, Self.halves(gate), settings: settings) { scene in
        let client = try scene.client()
        try client.request()
        let response = try client.head()

        let idle = try scene.client()
        #expect(try idle.exchange("GET", "/other").status == 204)

        scene.edge.drain()
        #expect(idle.isClosedSilently(), "the grace is over")
        gate.open()

        #expect(response.status == 200)
        #expect(try client.rest(within: .seconds(30)).count == Self.size)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the end of idle time does not cut what a slow reader has yet to read`(
      backend: Backend
    ) throws {
      let gate = Gate()
      gate.open()
      let settings = EdgeSettings(
        listener: "limits: {keepAliveIdle: 200ms, bodyIdle: 10s}",
        routes: [Self.otherRoute]
      )
      try Scene.play(backend, Self.halves(gate), settings: settings) { scene in
        let client = try scene.client(receiveBuffer: 8_192)
        try client.request()
        _ = try client.head()
        var count = 0
        // Until the edge has the end of it, and is left with what the kernel does not take.
        while try scene.metric("spillway_requests_total{route=\"all\"}") == 0 {
          count += try client.some(atMost: 32_768).count
        }
        let other = try scene.client()
        #expect(try other.exchange("GET", "/other").status == 204)
        #expect(other.isClosedSilently(), "its idle time is over, and it began later")

        count += try client.rest(within: .seconds(30)).count

        #expect(count == Self.size)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the end of an upload reaches a service that ended its side of a tunnel first`(
      backend: Backend
    ) throws {
      let gate = Gate()
      let received = Count()
      let upstream = try ScriptedUpstream { peer, _ in
        try peer.send(Self.agree)
        peer.finish()
        gate.wait()
        var count = 0
        while true {
          let some = try peer.some()
          guard !some.isEmpty else { break }
          count += some.count
        }
        received.value.store(count, ordering: .relaxed)
      }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        try client.send(Self.ask)
        #expect(try client.response().status == 101)
        #expect(client.isClosedSilently(), "the service's end is passed on")

        client.sendInBackground([UInt8](repeating: 0x63, count: Self.size))
        gate.open()
        try client.flush()
        client.finish()

        try eventually("the service has all of it") {
          received.value.load(ordering: .relaxed) == Self.size
        }
      }
    }
  }
}
