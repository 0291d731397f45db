import Foundation
import TLS
import Testing

struct LoadTests {
  private static let authority = TestAuthority.shared
  private static let good = Contexts.server
  private static let other = authority.issue("other.example.com")

  private func fault(_ files: CertificateFiles) -> TLSLoadError? {
    do {
      _ = try Contexts.server([files])
      return nil
    } catch { return error as? TLSLoadError }
  }

  @Test func `a file that cannot be used is named with the reason`() throws {
    let missing = Self.authority.path("missing.pem")
    let text = Self.authority.write("text.pem", "hello\n")
    let broken = Self.authority.write(
      "broken.pem",
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    let encrypted = Self.authority.path("encrypted.key")
    TestAuthority.openssl(
      "pkey",
      "-in",
      Self.good.key,
      "-aes128",
      "-passout",
      "pass:secret",
      "-out",
      encrypted
    )
    func with(certificate: String? = nil, key: String? = nil) -> CertificateFiles {
      CertificateFiles(
        certificate: certificate ?? Self.good.certificate,
        key: key ?? Self.good.key
      )
    }
    let folder = Self.authority.folder
    let cases: [(CertificateFiles, String)] = [
      (with(certificate: missing), "\(missing): cannot be read: No such file or directory"),
      (with(key: missing), "\(missing): cannot be read: No such file or directory"),
      (with(certificate: folder), "\(folder): cannot be read: Is a directory"),
      (with(certificate: text), "\(text): holds no certificate in PEM form"),
      (with(certificate: broken), "\(broken): holds a certificate that cannot be parsed"),
      (with(certificate: Self.good.key), "\(Self.good.key): holds no certificate in PEM form"),
      (with(key: text), "\(text): holds no private key in PEM form"),
      (
        with(key: Self.good.certificate),
        "\(Self.good.certificate): holds no private key in PEM form"
      ),
      (
        with(key: encrypted),
        "\(encrypted): holds a private key with a passphrase; store it without one"
      ),
      (
        with(key: Self.other.key),
        "\(Self.other.key): does not hold the key of \(Self.good.certificate)"
      ),
    ]

    for (files, words) in cases { #expect(fault(files)?.description == words) }
    #expect {
      try Contexts.server([])
    } throws: { error in
      (error as? TLSLoadError)?.reason == .noCertificates
    }
    #expect {
      try Contexts.server { $0.clientCertificates = .optional(authorities: text) }
    } throws: { error in
      (error as? TLSLoadError)?.description == "\(text): holds no certificate in PEM form"
    }
  }

  @Test func `a weak key is refused`() {
    let weak = Self.authority.issue("weak", .rsa(bits: 1_024))

    #expect(
      fault(weak)?.description
        == "\(weak.key): has a key that clients refuse: RSA with 1024 bits"
    )
  }

  @Test func `an expired certificate is a warning`() throws {
    let expired = Self.authority.issue(Contexts.host, days: -1)

    let server = try Contexts.server([expired])

    #expect(server.warnings.count == 1)
    #expect(server.warnings.first?.description.contains("expired at Unix time") == true)
    let pair = Contexts.connected(server, try Contexts.client())
    #expect(pair.client.session.fault == .certificateExpired)
    #expect(pair.server.session.fault == .peerRefusesCertificate)
  }

  @Test func `key and certificate may share a file, and chains are sent`() throws {
    let text = try [Self.good.certificate, Self.authority.bundle, Self.good.key]
      .map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
    let file = Self.authority.write("all.pem", text)

    let server = try Contexts.server([CertificateFiles(certificate: file, key: file)])

    #expect(server.warnings == [])
    #expect(server.watch.paths == [file])
    #expect(Contexts.connected(server, try Contexts.client()).server.session.isOpen)
  }

  @Test func `a chain out of order and a certificate without names are warnings`() throws {
    let nameless = Self.authority.issue("nameless", alternativeNames: "")
    let text = try [nameless.certificate, Self.good.certificate]
      .map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
    let chain = Self.authority.write("order.pem", text)

    let server = try Contexts.server([CertificateFiles(certificate: chain, key: nameless.key)])

    #expect(server.warnings.map(\.reason) == [.noNames, .brokenChain])
  }

  @Test func `a watch tells when a file holds something else`() throws {
    let first = Self.authority.issue(Contexts.host)
    let second = Self.authority.issue(Contexts.host)
    let bundle = Self.authority.write(
      "watched-authorities.pem",
      try String(contentsOfFile: Self.authority.bundle, encoding: .utf8)
    )
    let server = try Contexts.server([first]) {
      $0.clientCertificates = .optional(authorities: bundle)
    }
    func copy(_ from: CertificateFiles, to: CertificateFiles) throws {
      for (one, two) in [(from.certificate, to.certificate), (from.key, to.key)] {
        try Data(contentsOf: URL(fileURLWithPath: one))
          .write(to: URL(fileURLWithPath: two), options: .atomic)
      }
    }

    #expect(server.watch.paths == [first.certificate, first.key, bundle])
    #expect(!server.watch.isOutdated())
    try copy(first, to: first)
    #expect(!server.watch.isOutdated(), "the same content is no news")
    try copy(second, to: first)
    #expect(server.watch.isOutdated())
    let reloaded = try Contexts.server([first]) {
      $0.clientCertificates = .optional(authorities: bundle)
    }
    #expect(!reloaded.watch.isOutdated() && reloaded.watch != server.watch)
    try FileManager.default.removeItem(atPath: first.key)
    #expect(!reloaded.watch.isOutdated(), "a file between two steps of a tool is no news")
  }

  @Test func `open sessions outlive their context`() throws {
    var server: TLSServerContext? = try Contexts.server()
    let pair = Contexts.connected(try #require(server), try Contexts.client())
    let late = Contexts.pair(try #require(server), try Contexts.client())
    server = nil

    pair.client.outgoing = [1, 2, 3]
    Peer.exchange(pair.client, pair.server)
    Peer.connect(late.client, late.server)

    #expect(pair.server.received == [1, 2, 3])
    #expect(late.server.session.isOpen)
  }
}
