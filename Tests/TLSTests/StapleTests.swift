import Foundation
import TLS
import Testing

struct StapleTests {
  private static let authority = TestAuthority.shared
  private static let ecdsa = withStaple(authority.issue(Contexts.host))
  private static let rsa = withStaple(authority.issue(Contexts.host, .rsa(bits: 2_048)))

  private static func withStaple(_ files: CertificateFiles, minutes: Int = 60) -> CertificateFiles {
    var files = files
    files.staple = authority.staple(for: files, minutes: minutes)
    return files
  }

  private func staple(
    _ server: TLSServerContext,
    _ change: (inout TLSClientSettings) -> Void = { _ in }
  ) throws -> [UInt8]? {
    let client = try Contexts.client { settings in
      settings.asksForStaple = true
      change(&settings)
    }
    let pair = Contexts.connected(server, client)
    #expect(pair.client.session.isOpen, "\(pair.client.last), \(pair.server.last)")
    return pair.client.session.stapledResponse
  }

  private func content(_ path: String?) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: try #require(path))))
  }

  @Test(arguments: TLSVersion.allCases)
  func `a client that asks gets the response for the certificate it sees`(
    _ version: TLSVersion
  ) throws {
    let server = try Contexts.server([Self.ecdsa, Self.rsa])

    let modern = try staple(server) { $0.maximumVersion = version }
    let old = try staple(server) { settings in
      settings.maximumVersion = .tls12
      settings.ciphers.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"
    }
    let unasked = try staple(server) { $0.asksForStaple = false }

    #expect(try modern == content(Self.ecdsa.staple))
    #expect(try old == content(Self.rsa.staple))
    #expect(unasked == nil)
    #expect(server.warnings == [])
  }

  @Test func `a response that has run out is warned about and not stapled`() throws {
    let stale = Self.withStaple(Self.authority.issue(Contexts.host), minutes: -5)

    let server = try Contexts.server([stale])

    #expect(server.warnings.count == 1 && server.warnings.first?.file == stale.staple)
    #expect(try staple(server) == nil)
  }

  @Test func `a response for another certificate is refused`() throws {
    var files = Self.ecdsa
    files.staple = Self.rsa.staple
    let text = try #require(files.staple)

    #expect {
      try Contexts.server([files])
    } throws: { error in
      (error as? TLSLoadError)?.description
        == "\(text): is an OCSP response for another certificate than \(files.certificate)"
    }
    files.staple = files.certificate
    #expect {
      try Contexts.server([files])
    } throws: { error in
      (error as? TLSLoadError)?.reason == .malformedStaple
    }
  }
}
