import Foundation
import TLS
import Testing

extension WireTests {
  /// OCSP responses that are stapled from a file (RFC 6066 section 8, RFC 8446 section 4.4.2.1).
  struct StapleTests {
    private static let authority = WireAuthority.shared

    /// What a client is given that asks, by a handshake of `version`.
    private static func staple(
      _ scene: Scene,
      _ version: TLSVersion,
      asks: Bool = true
    ) throws -> [UInt8]? {
      let context = try authority.client {
        $0.asksForStaple = asks
        $0.maximumVersion = version
      }
      let (client, tunnel) = try scene.secureClient(context)
      client.trySend("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(try client.response().status == 200)
      return tunnel.staple
    }

    /// A server's files with a staple, where it lies and what it is.
    private static func stapled() throws -> (WireAuthority.Files, path: String, content: [UInt8]) {
      var files = authority.server
      let path = authority.staple(for: files)
      files.staple = path
      return (files, path, try content(path))
    }

    private static func content(_ path: String) throws -> [UInt8] {
      Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    @Test(arguments: Backend.allCases)
    func `a client that asks gets what the file holds, and what it is replaced by`(
      backend: Backend
    ) throws {
      let (files, path, first) = try Self.stapled()
      let second = try Self.content(Self.authority.staple(for: files))
      try #require(first != second)
      try Scene.play(backend, .echoingTarget(), settings: .secure(files)) { scene in
        for version in TLSVersion.allCases {
          #expect(try Self.staple(scene, version) == first)
          #expect(try Self.staple(scene, version, asks: false) == nil)
        }

        try Data(second).write(to: URL(fileURLWithPath: path), options: .atomic)
        try eventually("new clients get the new one") {
          try Self.staple(scene, .tls13) == second
        }

        #expect(try Self.staple(scene, .tls12) == second)
        let reloads = "spillway_tls_certificate_reloads_total{outcome=\"applied\"}"
        #expect(try scene.metric(reloads) == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a replaced response for another certificate is refused, the one before goes on`(
      backend: Backend
    ) throws {
      let (files, path, first) = try Self.stapled()
      let other = Self.authority.issue(WireAuthority.host)
      let foreign = try Self.content(Self.authority.staple(for: other))
      try Scene.play(backend, .echoingTarget(), settings: .secure(files)) { scene in
        try Data(foreign).write(to: URL(fileURLWithPath: path), options: .atomic)
        let reloads = "spillway_tls_certificate_reloads_total{outcome=\"refused\"}"
        try eventually("it is refused") { try scene.metric(reloads) >= 1 }

        #expect(try Self.staple(scene, .tls13) == first)
      }
    }
  }
}
