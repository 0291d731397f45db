import TLS
import Units

/// Builders of contexts and pairs of sessions.
enum Contexts {
  static let host = "api.example.com"
  static let server = TestAuthority.shared.issue(host)

  static func tickets() -> TicketKeys { TicketKeys(at: Instant(0)) }

  static func server(
    _ files: [CertificateFiles] = [server],
    tickets: TicketKeys = tickets(),
    _ change: (inout TLSServerSettings) -> Void = { _ in }
  ) throws -> TLSServerContext {
    var settings = TLSServerSettings(certificates: files)
    change(&settings)
    return try TLSServerContext(settings, tickets: tickets)
  }

  static func client(
    _ change: (inout TLSClientSettings) -> Void = { _ in }
  ) throws -> TLSClientContext {
    let store = try TrustStore(file: TestAuthority.shared.bundle)
    var settings = TLSClientSettings(verification: .authorities(store))
    change(&settings)
    return try TLSClientContext(settings)
  }

  /// A client and a server that have not spoken yet.
  static func pair(
    _ server: TLSServerContext,
    _ client: TLSClientContext,
    host: String = host,
    sessions: ClientSessionCache? = nil
  ) -> (client: Peer, server: Peer) {
    (
      Peer(TLSSession(client: client, host: host, sessions: sessions)),
      Peer(TLSSession(server: server))
    )
  }

  /// A client and a server after their handshake, whatever became of it.
  static func connected(
    _ server: TLSServerContext,
    _ client: TLSClientContext,
    host: String = host,
    sessions: ClientSessionCache? = nil
  ) -> (client: Peer, server: Peer) {
    let pair = pair(server, client, host: host, sessions: sessions)
    Peer.connect(pair.client, pair.server)
    return pair
  }
}

/// Bytes that show where a piece is missing or doubled.
func pattern(_ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}
