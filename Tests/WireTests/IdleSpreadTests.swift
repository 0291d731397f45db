import Glibc
import Testing

extension WireTests {
  /// Connections that fall idle together do not end together, as they would come back together.
  struct IdleSpreadTests {
    private static let count = 32
    /// Far more than what one millisecond, a timer's step, could put out of order.
    private static let apart = 16
    private static let settings = EdgeSettings(listener: "limits: {keepAliveIdle: 2s}")

    /// Whether, of connections that fell idle in this order, one ended while another was open that
    /// had fallen idle long before.
    ///
    /// `hasEnded` reads what came on the one with this index.
    private static func isSpread(
      _ sockets: [Socket],
      _ hasEnded: (Int) throws -> Bool
    ) throws -> Bool {
      var open = Array(sockets.indices)
      let deadline = Deadline()
      while let oldest = open.first {
        guard !deadline.hasPassed else { throw WireFailure("idle connections do not end") }
        var entries = open.map {
          pollfd(fd: sockets[$0].descriptor, events: Int16(POLLIN), revents: 0)
        }
        poll(&entries, nfds_t(entries.count), deadline.milliseconds)
        let news = zip(open, entries).filter { $0.1.revents != 0 }.map(\.0)
        let ended = try news.filter(hasEnded)
        open.removeAll(where: ended.contains)
        if open.first == oldest, ended.contains(where: { $0 - oldest >= apart }) { return true }
      }
      return false
    }

    /// A machine that stands still for the whole spread sees all of them end at once.
    private static func eventuallySpread(_ round: () throws -> Bool) throws {
      for _ in 0..<5 {
        if try round() { return }
      }
      Issue.record("connections end in the order they fell idle in")
    }

    @Test(arguments: Backend.allCases)
    func `idle connections of HTTP/1.1 end spread over time`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: Self.settings) { scene in
        try Self.eventuallySpread {
          let clients = try (0..<Self.count).map { _ in try scene.client() }
          for client in clients { #expect(try client.exchange().status == 200) }
          return try Self.isSpread(clients.map(\.socket)) { _ in true }
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `idle connections of HTTP/2 are told to go spread over time`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: Self.settings) { scene in
        try Self.eventuallySpread {
          let clients = try (0..<Self.count).map { _ in try scene.http2() }
          for client in clients { #expect(try client.exchange().status == 200) }
          return try Self.isSpread(clients.map(\.socket)) { index in
            try clients[index].turn()
            return !clients[index].farewells.isEmpty || clients[index].end != nil
          }
        }
      }
    }
  }
}
