import Foundation
import TLS
import Testing

/// What a client makes of a server.
struct ServerTrustTests {
  private static let authority = TestAuthority.shared
  private static let addressed = authority.issue(
    "addressed",
    alternativeNames: "IP:127.0.0.1,IP:::1,DNS:*.wild.example.com"
  )
  private static let foreign = TestAuthority.stranger.issue(Contexts.host)

  private func pin(of files: CertificateFiles) throws -> KeyPin {
    let key = TestAuthority.openssl("x509", "-in", files.certificate, "-noout", "-pubkey")
    let path = Self.authority.write("\(UUID().uuidString).pub", key)
    let der = path + ".der"
    TestAuthority.openssl("pkey", "-pubin", "-in", path, "-outform", "DER", "-out", der)
    let digest = TestAuthority.openssl("dgst", "-sha256", der)
    return try #require(KeyPin(String(digest.split(separator: " ").last?.prefix(64) ?? "")))
  }

  @Test(arguments: [
    ("127.0.0.1", nil), ("::1", nil), ("10.0.0.1", TLSFault.nameMismatch),
    ("a.wild.example.com", nil), ("a.b.wild.example.com", .nameMismatch),
    ("wild.example.com", .nameMismatch), ("other.example.com", .nameMismatch),
  ])
  func `the certificate must be for the host`(_ host: String, _ fault: TLSFault?) throws {
    let server = try Contexts.server([Self.addressed])

    let pair = Contexts.connected(server, try Contexts.client(), host: host)

    #expect(pair.client.session.fault == fault)
    #expect(pair.client.session.isOpen == (fault == nil))
    if fault != nil { #expect(pair.server.session.fault == .peerRefusesCertificate) }
  }

  @Test func `an address is not sent as a name`() throws {
    let server = try Contexts.server([Self.addressed])

    let pair = Contexts.connected(server, try Contexts.client(), host: "127.0.0.1")

    #expect(pair.server.session.isOpen && pair.server.session.serverName == nil)
  }

  @Test func `a stranger's certificate is refused unless verification is off`() throws {
    let server = try Contexts.server([Self.foreign])

    let careful = Contexts.connected(server, try Contexts.client())
    let context = try Contexts.client { $0.verification = .insecure }
    let careless = Contexts.connected(server, context)

    #expect(careful.client.session.fault == .unknownAuthority)
    #expect(careless.client.session.isOpen)
    #expect(careless.client.session.peerIdentity() == nil, "nothing was verified")
    #expect(context.isInsecure)
  }

  @Test func `names of the settings replace the host`() throws {
    let server = try Contexts.server()
    let names = try Contexts.client { $0.names = ["x.example.com", Contexts.host] }
    let wrong = try Contexts.client { $0.names = ["x.example.com"] }
    let sni = try Contexts.client {
      $0.serverName = Contexts.host
      $0.names = [Contexts.host]
    }

    #expect(Contexts.connected(server, names, host: "10.0.0.1").client.session.isOpen)
    #expect(Contexts.connected(server, wrong).client.session.fault == .nameMismatch)
    let named = Contexts.connected(server, sni, host: "10.0.0.1")
    #expect(named.client.session.isOpen && named.server.session.serverName == Contexts.host)
  }

  @Test(arguments: TLSVersion.allCases)
  func `a pinned key is required in addition`(_ version: TLSVersion) throws {
    let server = try Contexts.server()
    let leaf = try pin(of: Contexts.server)
    let root = try pin(of: .init(certificate: Self.authority.bundle, key: ""))
    let wrong = try pin(of: Self.foreign)
    func fault(_ pins: [KeyPin]) throws -> TLSFault? {
      let client = try Contexts.client {
        $0.pins = pins
        $0.maximumVersion = version
      }
      let pair = Contexts.connected(server, client)
      #expect(pair.client.session.isOpen == (pair.client.session.fault == nil))
      return pair.client.session.fault
    }

    #expect(try fault([leaf]) == nil)
    #expect(try fault([root]) == nil)
    #expect(try fault([wrong, leaf]) == nil)
    #expect(try fault([wrong]) == .pinMismatch)
  }

  @Test func `a pinned key alone is enough where that is said`() throws {
    let server = try Contexts.server([Self.foreign])
    let leaf = try pin(of: Self.foreign)
    let root = try pin(of: .init(certificate: TestAuthority.stranger.bundle, key: ""))
    func session(_ pins: [KeyPin]) throws -> TLSSession {
      let client = try Contexts.client {
        $0.verification = .pinnedKeysOnly
        $0.pins = pins
      }
      return Contexts.connected(server, client, host: "whatever").client.session
    }

    #expect(try session([leaf]).isOpen)
    #expect(try session([leaf]).peerIdentity() != nil)
    #expect(try session([root]).fault == .pinMismatch)
    #expect(try session([]).fault == .pinMismatch)
  }

  @Test func `pins are read in both common forms`() throws {
    let hex = String(repeating: "0a", count: 32)
    let base64 = "sha256/CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo="

    #expect(KeyPin(hex) != nil && KeyPin(hex) == KeyPin(base64))
    for bad in [
      "", "0a", hex + "0", "sha256/" + hex, String(base64.dropLast()),
      "sha256/!" + base64.dropFirst(8),
    ] {
      #expect(KeyPin(bad) == nil, "\(bad)")
    }
  }

  @Test func `the system's authorities are found`() throws {
    let store = try TrustStore.system()

    let server = try Contexts.server()
    let client = try Contexts.client { $0.verification = .authorities(store) }

    #expect(Contexts.connected(server, client).client.session.fault == .unknownAuthority)
    #expect(store.watch.paths == [store.file])
  }
}
