import TLS
import Testing

struct NameTests {
  private static let authority = TestAuthority.shared
  private static let fallback = authority.issue(
    "default",
    alternativeNames: "DNS:default.example.org"
  )
  private static let exact = authority.issue("exact", alternativeNames: "DNS:a.example.com")
  private static let wild = authority.issue("wild", alternativeNames: "DNS:*.example.com")
  private static let rsa = authority.issue(
    "rsa",
    .rsa(bits: 2_048),
    alternativeNames: "DNS:a.example.com,DNS:only-rsa.example.net"
  )

  /// The subject of the certificate that a client gets which believes any name.
  private func subject(
    _ server: TLSServerContext,
    host: String,
    _ change: (inout TLSClientSettings) -> Void = { _ in }
  ) throws -> String? {
    let client = try Contexts.client { settings in
      settings.names = [
        "default.example.org", "a.example.com", "b.example.com", "only-rsa.example.net",
      ]
      change(&settings)
    }
    let pair = Contexts.connected(server, client, host: host)
    #expect(pair.server.session.isOpen, "\(pair.server.last), \(pair.client.last)")
    return pair.client.session.peerIdentity()?.subject
  }

  @Test(arguments: [
    ("a.example.com", "CN=exact"), ("A.EXAMPLE.com", "CN=exact"), ("a.example.com.", "CN=exact"),
    ("b.example.com", "CN=wild"),
    ("default.example.org", "CN=default"), ("unknown.example.org", "CN=default"),
    ("x.b.example.com", "CN=default"), ("example.com", "CN=default"), ("10.0.0.1", "CN=default"),
  ])
  func `the certificate is chosen by the name asked for`(_ host: String, _ expected: String) throws
  {
    let server = try Contexts.server([Self.fallback, Self.wild, Self.exact])

    let subject = try subject(server, host: host)

    #expect(subject == expected)
  }

  @Test func `a client gets the kind of key that it can use`() throws {
    let server = try Contexts.server([Self.fallback, Self.exact, Self.rsa])

    for version in TLSVersion.allCases {
      let modern = try subject(server, host: "a.example.com") { $0.maximumVersion = version }
      #expect(modern == "CN=exact")
    }
    let old = try subject(server, host: "a.example.com") { settings in
      settings.maximumVersion = .tls12
      settings.ciphers.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"
    }
    #expect(old == "CN=rsa")
    #expect(try subject(server, host: "only-rsa.example.net") == "CN=rsa")
  }

  @Test func `an exact name of one kind and a wildcard of another serve together`() throws {
    let server = try Contexts.server([Self.fallback, Self.wild, Self.rsa])

    let modern = try subject(server, host: "a.example.com")
    let old = try subject(server, host: "a.example.com") { settings in
      settings.maximumVersion = .tls12
      settings.ciphers.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"
    }

    #expect(modern == "CN=wild" && old == "CN=rsa")
  }

  @Test func `an unknown name is refused where that is asked for`() throws {
    let server = try Contexts.server([Self.exact]) { $0.refusesUnknownNames = true }

    let refused = Contexts.connected(server, try Contexts.client(), host: "other.example.com")
    let served = Contexts.connected(server, try Contexts.client(), host: "a.example.com")
    let nameless = RawClient()
    let peer = Peer(TLSSession(server: server))
    nameless.connect(to: peer)

    #expect(refused.server.session.fault == .unknownName)
    #expect(refused.client.session.fault == .peerRefusesHandshake)
    #expect(served.server.session.isOpen)
    #expect(peer.session.isOpen && peer.session.serverName == nil)
  }

  @Test func `a certificate that is never chosen is warned about`() throws {
    let twin = Self.authority.issue("twin", alternativeNames: "DNS:a.example.com")

    let server = try Contexts.server([Self.exact, twin])

    #expect(server.warnings.map(\.reason) == [.neverChosen])
    #expect(server.warnings.map(\.file) == [twin.certificate])
  }

  @Test func `to verify nobody in particular is no session`() throws {
    #expect(TLSSession(client: try Contexts.client(), host: "") == nil)
    let blank = try Contexts.client { $0.names = [""] }
    #expect(TLSSession(client: blank, host: Contexts.host) == nil)
    // Without a name to ask for, names to compare with are enough.
    let listed = try Contexts.client { $0.names = [Contexts.host] }
    let pair = Contexts.connected(try Contexts.server(), listed, host: "")
    #expect(pair.client.session.isOpen)
    #expect(pair.server.session.serverName == nil)
  }
}
