import TLS
import Testing

struct TransferTests {
  @Test func `a client and a server agree and exchange data`() throws {
    let (client, server) = Contexts.connected(try Contexts.server(), try Contexts.client())

    client.outgoing = Array("ping".utf8)
    server.outgoing = Array("pong".utf8)
    Peer.exchange(client, server)

    #expect(client.session.isOpen && server.session.isOpen)
    #expect(server.received == Array("ping".utf8) && client.received == Array("pong".utf8))
    #expect(server.session.version == .tls13)
    #expect(server.session.cipherName == "TLS_AES_128_GCM_SHA256")
    #expect(server.session.serverName == Contexts.host)
    #expect(!server.session.isResumed)
  }

  @Test(arguments: [TLSVersion.tls12, .tls13])
  func `every size of input pieces and output rooms gives the same bytes`(
    _ version: TLSVersion
  ) throws {
    let serverContext = try Contexts.server()
    let clientContext = try Contexts.client { $0.maximumVersion = version }
    let up = pattern(3_000)
    let down = pattern(17_000)
    let sizes = Array(1...32) + [100, 255, 256, 1_000, 4_095, 4_096, 4_097, 16_383, 16_384]

    for size in sizes {
      for isInput in [true, false] {
        let (client, server) = Contexts.pair(serverContext, clientContext)
        for peer in [client, server] {
          if isInput { peer.inputPiece = size } else { peer.outputRoom = size }
        }
        client.outgoing = up
        server.outgoing = down
        Peer.exchange(client, server)

        #expect(server.received == up && client.received == down, "\(version), size \(size)")
        #expect(client.session.isOpen && server.session.isOpen)
        #expect(server.session.version == version)
      }
    }
  }
}
