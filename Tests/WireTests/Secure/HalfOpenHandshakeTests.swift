import Foundation
import TLS
import Testing

extension WireTests {
  /// Clients that leave in the middle of a handshake.
  struct HalfOpenHandshakeTests {
    /// The random value by which a ServerHello is a HelloRetryRequest (RFC 8446 section 4.1.3).
    private static let retryRandom: [UInt8] = [
      0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8,
      0x91, 0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8,
      0x33, 0x9C,
    ]

    private static func expectNoHandshake(_ scene: Scene) throws {
      let (client, _) = try scene.secureClient()
      #expect(try client.exchange().status == 200)
      try eventually("no handshake is left") {
        let metrics = try scene.metrics()
        return try metrics.sum("spillway_tls_handshakes_active") == 0
          && metrics.sum("spillway_tls_handshakes_waiting") == 0
      }
    }

    @Test(arguments: Backend.allCases)
    func `half-open handshakes leave nothing behind`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let hello = try HandshakeTests.hello()
        let steps: [[UInt8]] = [
          [], [22], Array(hello.prefix(5)), Array(hello.prefix(60)), hello,
          hello + [20, 3, 3, 0, 1, 1], hello + [23, 3, 3, 0, 4, 1, 2, 3, 4], [0xFF, 0xFF],
        ]
        for round in 0..<40 {
          for step in steps {
            let client = try RawClient(port: try scene.edge.port("public"))
            client.trySend(step)
            if round % 2 == 0 { client.reset() } else { client.close() }
          }
        }
        try Self.expectNoHandshake(scene)
      }
    }

    @Test(arguments: Backend.allCases, HalfHandshake.Kind.allCases)
    func `a handshake may be left behind each flight, and in the middle of it`(
      backend: Backend,
      kind: HalfHandshake.Kind
    ) throws {
      let flights = kind == .retry ? 3 : 2
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        for round in 0..<8 {
          for whole in 0..<flights {
            for part in [0, 1] {
              let half = try HalfHandshake(kind, port: try scene.edge.port("public"))
              var next = half.flight()
              for number in 0..<whole {
                let (heard, following) = try half.advance(next)
                next = following
                if number == 0 { try Self.expect(kind, heard) }
              }
              #expect(!next.isEmpty, "the handshake is through after \(whole) flights")
              half.client.trySend(part == 0 ? Array(next.prefix(next.count / 2)) : next)
              if round % 2 == 0 { half.client.reset() } else { half.client.close() }
            }
          }
        }
        try Self.expectNoHandshake(scene)
      }
    }

    /// That the edge's first answer is of the kind that is meant.
    private static func expect(_ kind: HalfHandshake.Kind, _ heard: [UInt8]) throws {
      try #require(heard.count > 43 && heard[0] == 22 && heard[5] == 2, "no ServerHello")
      #expect((Array(heard[11..<43]) == retryRandom) == (kind == .retry))
      // In TLS 1.2 all of the flight is in clear, and ServerHelloDone is its end.
      #expect((heard.suffix(4) == [14, 0, 0, 0]) == (kind == .tls12))
    }
  }
}
