import Edge
import Foundation
import TLS
import Testing
import Units

extension WireTests {
  /// Clients that begin handshakes to keep others from theirs.
  struct HandshakeSlotTests {
    /// An edge with few slots, and what it counts.
    private final class Narrow {
      let upstream: ScriptedUpstream
      let edge: EdgeUnderTest
      let port: UInt16
      private var clients: [RawClient] = []

      init(_ backend: Backend, _ change: (inout HandshakeBounds) -> Void) throws {
        var bounds = HandshakeBounds()
        bounds.running = 1
        bounds.waiting = 1
        bounds.patience = .seconds(3_600)
        bounds.leastPatience = .seconds(3_600)
        change(&bounds)
        upstream = try ScriptedUpstream.echoingTarget()
        edge = try EdgeUnderTest(
          configuration: EdgeSettings.secure().yaml(endpoints: [upstream.endpoint]),
          backend: backend,
          handshakes: bounds
        )
        port = try edge.port("public")
      }

      func stop() {
        for client in clients { client.close() }
        edge.stop()
        upstream.stop()
      }

      func client(_ bytes: [UInt8]) throws -> RawClient {
        let client = try RawClient(port: port)
        clients.append(client)
        client.trySend(bytes)
        return client
      }

      /// A client that means it.
      func polite() throws -> RawClient {
        let tunnel = try TLSTunnel(port: port, context: try WireAuthority.shared.client())
        let client = RawClient(tunnel.plain)
        clients.append(client)
        try client.request()
        return client
      }

      func metric(_ name: String) throws -> Double {
        let client = try RawClient(port: edge.adminPort)
        defer { client.close() }
        try client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return try Exposition(try client.response().text).sum(name) ?? 0
      }

      func failures(_ reason: String) throws -> Double {
        try metric("spillway_tls_handshake_failures_total{reason=\"\(reason)\"}")
      }
    }

    @Test(arguments: Backend.allCases)
    func `a part of a ClientHello takes no handshake from others`(backend: Backend) throws {
      let narrow = try Narrow(backend) { _ in }
      defer { narrow.stop() }
      let hello = try HandshakeTests.hello()
      for count in [1, 5, 9, 60, hello.count - 1] {
        _ = try narrow.client(Array(hello.prefix(count)))
      }

      #expect(try narrow.polite().response().status == 200)
      #expect(try narrow.metric("spillway_tls_handshakes_active") == 0)
      #expect(try narrow.metric("spillway_tls_handshakes_waited_total") == 0)
    }

    @Test(arguments: Backend.allCases)
    func `of clients that only begin the oldest makes room`(backend: Backend) throws {
      let narrow = try Narrow(backend) { $0.greeting = 2 }
      defer { narrow.stop() }
      let begun = try (0..<6).map { _ in try narrow.client([22, 3]) }

      for client in begun.prefix(4) { #expect(client.isClosedSilently()) }
      #expect(try narrow.failures("displaced") == 4)
      // In two pieces, behind all of them.
      let hello = try HandshakeTests.hello()
      let halved = try narrow.client(Array(hello.prefix(100)))
      #expect(begun[4].isClosedSilently())
      halved.trySend(Array(hello[100...]))
      #expect(try !halved.some().isEmpty, "it was answered")
      halved.close()
      #expect(try narrow.polite().response().status == 200)
    }

    @Test(arguments: Backend.allCases)
    func `a handshake that stands still makes room for who waits`(backend: Backend) throws {
      let narrow = try Narrow(backend) {
        $0.patience = .milliseconds(100)
        $0.leastPatience = .milliseconds(100)
      }
      defer { narrow.stop() }
      let holder = try narrow.client(try HandshakeTests.hello())
      try eventually("it began") { try narrow.metric("spillway_tls_handshakes_active") == 1 }

      #expect(try narrow.polite().response().status == 200)
      _ = try? holder.rest()
      #expect(holder.end != nil, "it was closed")
      #expect(try narrow.failures("displaced") == 1)
    }

    @Test(arguments: Backend.allCases)
    func `bytes that dribble in do not keep a handshake's place`(backend: Backend) throws {
      let narrow = try Narrow(backend) {
        $0.patience = .milliseconds(500)
        $0.leastPatience = .milliseconds(500)
      }
      defer { narrow.stop() }
      // The header of a record that holds all that is allowed, and then a byte now and then.
      let holder = try narrow.client(try HandshakeTests.hello() + [23, 3, 3, 0x40, 0])
      try eventually("it began") { try narrow.metric("spillway_tls_handshakes_active") == 1 }
      let waiter = try narrow.polite()
      try eventually("it is closed") {
        usleep(1_000)
        return !holder.trySend([0])
      }

      #expect(try waiter.response().status == 200)
      #expect(try narrow.failures("displaced") == 1)
    }

    @Test(arguments: Backend.allCases)
    func `a client that leaves while it waits gives up its place`(backend: Backend) throws {
      let narrow = try Narrow(backend) { _ in }
      defer { narrow.stop() }
      let hello = try HandshakeTests.hello()
      let holder = try narrow.client(hello)
      try eventually("it began") { try narrow.metric("spillway_tls_handshakes_active") == 1 }
      let ways: [(RawClient) -> Void] = [{ $0.close() }, { $0.reset() }, { $0.finish() }]
      for (number, leaves) in ways.enumerated() {
        let waiter = try narrow.client(hello)
        try eventually("it waits") { try narrow.metric("spillway_tls_handshakes_waiting") == 1 }
        leaves(waiter)
        try eventually("its place is free, and its connection") {
          try narrow.metric("spillway_tls_handshakes_waiting") == 0
            && narrow.metric("spillway_client_connections") == 1
        }
        #expect(try narrow.failures("abandoned") == Double(number + 1))
      }

      // The place goes to who means it, as soon as there is a handshake for it.
      let polite = try narrow.polite()
      try eventually("it waits") { try narrow.metric("spillway_tls_handshakes_waiting") == 1 }
      holder.close()
      #expect(try polite.response().status == 200)
    }

    @Test(arguments: Backend.allCases)
    func `a ClientHello whose client has left is not answered`(backend: Backend) throws {
      let narrow = try Narrow(backend) { _ in }
      defer { narrow.stop() }
      let client = try narrow.client([])
      client.socket.sendLast(try HandshakeTests.hello())
      try eventually("it is counted") { try narrow.failures("abandoned") == 1 }

      // What was sent before the end would be read.
      #expect((try? client.rest()) ?? [] == [])
      try eventually("nothing is left of it") {
        try narrow.metric("spillway_tls_handshakes_active") == 0
          && narrow.metric("spillway_client_connections") == 0
      }
    }

    @Test(arguments: Backend.allCases)
    func `a client that waits and talks all the same is not read without end`(
      backend: Backend
    ) throws {
      let narrow = try Narrow(backend) { _ in }
      defer { narrow.stop() }
      let hello = try HandshakeTests.hello()
      _ = try narrow.client(hello)
      try eventually("it began") { try narrow.metric("spillway_tls_handshakes_active") == 1 }
      let waiter = try narrow.client(hello)
      try eventually("it waits") { try narrow.metric("spillway_tls_handshakes_waiting") == 1 }
      let part = [UInt8](repeating: 23, count: 65_536)
      var sent = 0
      while sent < 64 << 20, (try? waiter.send(part, within: .milliseconds(200))) != nil {
        sent += part.count
      }

      #expect(sent < 64 << 20, "all of it was taken")
      #expect(try narrow.metric("spillway_buffer_blocks{state=\"used\"}") < 64)
    }

    @Test(arguments: Backend.allCases)
    func `nobody is displaced while nobody waits`(backend: Backend) throws {
      let narrow = try Narrow(backend) {
        $0.running = 2
        $0.patience = .zero
        $0.leastPatience = .zero
      }
      defer { narrow.stop() }
      _ = try narrow.client(try HandshakeTests.hello())
      try eventually("it began") { try narrow.metric("spillway_tls_handshakes_active") == 1 }
      for _ in 0..<3 {
        let client = try narrow.polite()
        #expect(try client.response().status == 200)
        client.close()
      }

      #expect(try narrow.failures("displaced") == 0)
      #expect(try narrow.metric("spillway_tls_handshakes_active") == 1)
    }
  }
}
