import TLS
import Testing
import Units

struct ClientCertificateTests {
  private static let authority = TestAuthority.shared
  private static let partner = authority.issue(
    "partner",
    alternativeNames: "DNS:partner.example.com,URI:spiffe://example.com/partner,"
      + "email:ops@partner.example.com,IP:10.1.2.3,IP:2001:db8::1",
    subject: "/C=DE/O=Partner, Inc./CN=partner"
  )
  private static let expired = authority.issue("expired", days: -1)
  private static let foreign = TestAuthority.stranger.issue("foreign")

  private func connect(
    _ mode: TLSServerSettings.ClientCertificates,
    _ files: CertificateFiles?,
    _ version: TLSVersion = .tls13
  ) throws -> (client: Peer, server: Peer) {
    let server = try Contexts.server { $0.clientCertificates = mode }
    let client = try Contexts.client {
      $0.certificate = files
      $0.maximumVersion = version
    }
    return Contexts.connected(server, client)
  }

  @Test(arguments: TLSVersion.allCases)
  func `a client is asked as the mode says`(_ version: TLSVersion) throws {
    let bundle = Self.authority.bundle
    typealias Mode = TLSServerSettings.ClientCertificates
    let cases: [(Mode, CertificateFiles?, TLSFault?, Bool)] = [
      (.off, Self.partner, nil, false),
      (.off, nil, nil, false),
      (.optional(authorities: bundle), nil, nil, false),
      (.optional(authorities: bundle), Self.partner, nil, true),
      (.optional(authorities: bundle), Self.foreign, .unknownAuthority, false),
      (.required(authorities: bundle), Self.partner, nil, true),
      (.required(authorities: bundle), nil, .noClientCertificate, false),
      (.required(authorities: bundle), Self.foreign, .unknownAuthority, false),
      (.required(authorities: bundle), Self.expired, .certificateExpired, false),
    ]

    for (mode, files, fault, isKnown) in cases {
      let pair = try connect(mode, files, version)

      #expect(pair.server.session.fault == fault, "\(mode)")
      #expect(pair.server.session.isOpen == (fault == nil))
      #expect((pair.server.session.peerIdentity() != nil) == isKnown)
      if fault == .unknownAuthority || fault == .certificateExpired {
        #expect(pair.client.session.fault == .peerRefusesCertificate)
      }
    }
  }

  @Test func `the identity of a client is what its certificate says`() throws {
    let pair = try connect(.required(authorities: Self.authority.bundle), Self.partner)
    let identity = try #require(pair.server.session.peerIdentity())

    let printed = TestAuthority.openssl(
      "x509",
      "-in",
      Self.partner.certificate,
      "-noout",
      "-fingerprint",
      "-sha256",
      "-serial"
    ).split(separator: "\n").compactMap { $0.split(separator: "=").last.map(String.init) }
    #expect(identity.subject == "CN=partner,O=Partner\\, Inc.,C=DE")
    #expect(identity.issuer == "CN=Spillway Test Authority")
    #expect(identity.dnsNames == ["partner.example.com"])
    #expect(identity.uris == ["spiffe://example.com/partner"])
    #expect(identity.emails == ["ops@partner.example.com"])
    #expect(identity.addresses == ["10.1.2.3", "2001:db8:0:0:0:0:0:1"])
    #expect(identity.fingerprint == printed[0].replacing(":", with: "").lowercased())
    #expect(identity.serial == printed[1])
    #expect(identity.notAfter > 1_700_000_000)
  }

  @Test(arguments: TLSVersion.allCases)
  func `a resumed session keeps its identity`(_ version: TLSVersion) throws {
    let server = try Contexts.server {
      $0.clientCertificates = .required(authorities: Self.authority.bundle)
    }
    let client = try Contexts.client {
      $0.certificate = Self.partner
      $0.maximumVersion = version
    }
    let sessions = ClientSessionCache()

    let first = Contexts.connected(server, client, sessions: sessions)
    let second = Contexts.connected(server, client, sessions: sessions)

    #expect(second.server.session.isResumed)
    #expect(second.server.session.peerIdentity() != nil)
    #expect(second.server.session.peerIdentity() == first.server.session.peerIdentity())
  }

  @Test(arguments: TLSVersion.allCases)
  func `a session that began under other rules is not resumed`(_ version: TLSVersion) throws {
    let tickets = Contexts.tickets()
    let open = try Contexts.server(tickets: tickets)
    let optional = try Contexts.server(tickets: tickets) {
      $0.clientCertificates = .optional(authorities: Self.authority.bundle)
    }
    let closed = try Contexts.server(tickets: tickets) {
      $0.clientCertificates = .required(authorities: Self.authority.bundle)
    }
    let client = try Contexts.client { $0.maximumVersion = version }

    for first in [open, optional] {
      let sessions = ClientSessionCache()
      let before = Contexts.connected(first, client, sessions: sessions)
      #expect(before.server.session.isOpen)
      let after = Contexts.connected(closed, client, sessions: sessions)
      #expect(after.server.session.fault == .noClientCertificate)
    }
  }

  @Test(arguments: TLSVersion.allCases)
  func `certificates over the bound are refused`(_ version: TLSVersion) throws {
    let server = try Contexts.server {
      $0.clientCertificates = .optional(authorities: Self.authority.bundle)
      $0.maximumPeerChain = ByteCount(300)
    }
    let client = try Contexts.client {
      $0.certificate = Self.partner
      $0.maximumVersion = version
    }

    let pair = Contexts.connected(server, client)

    #expect(pair.server.session.fault == .handshakeTooLong)
  }

  @Test(arguments: TLSVersion.allCases)
  func `a session is not resumed once its certificate has run out`(
    _ version: TLSVersion
  ) async throws {
    let files = Self.authority.expiring(Self.authority.issue("brief"), seconds: 2)
    let server = try Contexts.server {
      $0.clientCertificates = .required(authorities: Self.authority.bundle)
    }
    let client = try Contexts.client {
      $0.certificate = files
      $0.maximumVersion = version
    }
    let sessions = ClientSessionCache()

    let first = Contexts.connected(server, client, sessions: sessions)
    try await Task.sleep(for: .seconds(4))
    let second = Contexts.connected(server, client, sessions: sessions)

    #expect(first.server.session.isOpen)
    #expect(second.server.session.fault == .certificateExpired)
  }
}
