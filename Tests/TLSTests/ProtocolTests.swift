import COpenSSL
import TLS
import Testing

struct ProtocolTests {
  @Test(arguments: [
    (
      [ApplicationProtocol.http2, .http1], [ApplicationProtocol.http1, .http2],
      ApplicationProtocol.http2
    ),
    ([.http1, .http2], [.http2, .http1], .http1),
    ([.http2, .http1], [.http1], .http1),
    ([.http2, .http1], [], nil),
    ([], [.http2], nil),
  ])
  func `the application protocol is the server's choice`(
    _ ours: [ApplicationProtocol],
    _ theirs: [ApplicationProtocol],
    _ chosen: ApplicationProtocol?
  ) throws {
    let server = try Contexts.server { $0.applicationProtocols = ours }
    let client = try Contexts.client { $0.applicationProtocols = theirs }

    let pair = Contexts.connected(server, client)

    #expect(pair.server.session.isOpen)
    #expect(pair.server.session.applicationProtocol == chosen)
    #expect(pair.client.session.applicationProtocol == chosen)
  }

  @Test func `a client that speaks nothing of ours is refused`() throws {
    let server = try Contexts.server { $0.applicationProtocols = [.http2] }
    let client = try Contexts.client { $0.applicationProtocols = [.http1] }

    let pair = Contexts.connected(server, client)

    #expect(pair.server.session.fault == .noApplicationProtocol)
    #expect(pair.client.session.fault == .peerRefusesHandshake)
    #expect(pair.server.session.alerts.sent == 120 && pair.client.session.alerts.received == 120)
  }

  @Test func `a client of TLS 1 2 is served unless the minimum is higher`() throws {
    let client = try Contexts.client { $0.maximumVersion = .tls12 }

    let served = Contexts.connected(try Contexts.server(), client)
    let refused = Contexts.connected(try Contexts.server { $0.minimumVersion = .tls13 }, client)

    #expect(served.server.session.version == .tls12)
    #expect(served.server.session.cipherNumber == 0xC02B)
    #expect(refused.server.session.fault == .unsupportedVersion)
    #expect(refused.client.session.fault == .peerRefusesVersion)
  }

  @Test(arguments: [TLS1_VERSION, TLS1_1_VERSION])
  func `clients of older versions are refused`(_ version: Int32) throws {
    let client = RawClient { _ = copenssl_set_versions($0, TLS1_VERSION, version) }
    let server = Peer(TLSSession(server: try Contexts.server()))

    client.connect(to: server)

    #expect(server.session.fault == .unsupportedVersion)
    #expect(server.session.alerts.sent == 70)
  }

  @Test(arguments: [
    "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL-SHA256",
    "ADH-AES128-SHA256",
  ])
  func `clients of weak ciphers are refused`(_ cipher: String) throws {
    let client = RawClient { context in
      _ = copenssl_set_versions(context, TLS1_2_VERSION, TLS1_2_VERSION)
      SSL_CTX_set_cipher_list(context, cipher)
    }
    let server = Peer(TLSSession(server: try Contexts.server()))

    client.connect(to: server)

    #expect(server.session.fault == .noSharedCipher || server.session.fault == .badCertificate)
  }

  @Test func `a client that guesses another group is asked again`() throws {
    let client = try Contexts.client { $0.ciphers.groups = "P-521:P-384" }
    let other = try Contexts.client { $0.ciphers.groups = "P-521" }
    let server = try Contexts.server()

    for piece in [1, 7, 1_000] {
      let pair = Contexts.pair(server, client)
      pair.server.inputPiece = piece
      Peer.connect(pair.client, pair.server)
      #expect(pair.server.session.isOpen)
    }
    let refused = Contexts.connected(server, other)
    #expect(refused.server.session.fault == .noSharedCipher)
    #expect(refused.client.session.fault == .peerRefusesHandshake)
  }

  @Test func `a client that puts ChaCha20 first gets it`() throws {
    let client = try Contexts.client { settings in
      settings.ciphers.suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
    }

    let pair = Contexts.connected(try Contexts.server(), client)

    #expect(pair.server.session.cipherName == "TLS_CHACHA20_POLY1305_SHA256")
  }

  @Test func `settings that OpenSSL does not know are named`() {
    #expect {
      try Contexts.server { $0.ciphers.groups = "Nonsense" }
    } throws: { error in
      (error as? TLSLoadError)?.description == "OpenSSL does not know the groups Nonsense"
    }
    #expect(throws: TLSLoadError.self) { try Contexts.server { $0.ciphers.ciphers = "NONE" } }
    #expect(throws: TLSLoadError.self) { try Contexts.server { $0.ciphers.suites = "TLS_NO" } }
    #expect(throws: TLSLoadError.self) {
      try Contexts.server {
        $0.minimumVersion = .tls13
        $0.maximumVersion = .tls12
      }
    }
  }
}
