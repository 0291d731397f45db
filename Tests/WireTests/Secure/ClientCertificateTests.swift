import Foundation
import TLS
import Testing

extension WireTests {
  /// Certificates of clients: who is let in, and what the access log says of them.
  struct ClientCertificateTests {
    private static let authority = WireAuthority.shared
    private static let partner = authority.issue(
      "partner",
      alternative: "DNS:partner.test,URI:spiffe://test/partner,IP:10.1.2.3"
    )
    private static let foreign = WireAuthority.stranger.issue("foreign")
    private static let expired = authority.issue("expired", days: -1)

    private static func settings(_ mode: String, log: String? = nil) -> EdgeSettings {
      var settings = EdgeSettings.secure(
        tls: "clientCertificates: {mode: \(mode), authorities: \(authority.bundle)}"
      )
      if let log { settings.accessLog = "\"file:\(log)\"" }
      return settings
    }

    private static func failures(_ scene: Scene, _ reason: String) throws -> Double {
      try scene.metric("spillway_tls_handshake_failures_total{reason=\"\(reason)\"}")
    }

    @Test(arguments: Backend.allCases, TLSVersion.allCases)
    func `where a certificate is optional, none is served and a bad one is refused`(
      backend: Backend,
      version: TLSVersion
    ) throws {
      let settings = Self.settings("optional")
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        func client(_ files: WireAuthority.Files?) throws -> (RawClient, TLSTunnel) {
          let context = try Self.authority.client(certificate: files) {
            $0.maximumVersion = version
          }
          return try scene.secureClient(context)
        }

        for files in [nil, Self.partner] {
          let (client, tunnel) = try client(files)
          #expect(try client.exchange().status == 200)
          #expect(tunnel.version == version)
        }
        for files in [Self.foreign, Self.expired] {
          let (client, tunnel) = try client(files)
          client.trySend("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(client.isClosedSilently())
          #expect(tunnel.fault == .peerRefusesCertificate)
        }

        #expect(try Self.failures(scene, "unknown-authority") == 1)
        #expect(try Self.failures(scene, "certificate-expired") == 1)
        #expect(scene.upstream.requests.count == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `the access log says who a client is by its certificate`(backend: Backend) throws {
      let path = Self.authority.folder + "/\(UUID().uuidString).log"
      var settings = Self.settings("optional", log: path)
      settings.routes = [
        "name: local, match: {path: /local}, respond: {status: 410}, policies: {auth: none}"
      ]
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let sessions = ClientSessionCache()
        let known = try Self.authority.client(certificate: Self.partner)
        let (client, _) = try scene.secureClient(known, sessions: sessions)
        #expect(try client.exchange("GET", "/1").status == 200)
        #expect(try client.exchange("GET", "/local").status == 410)
        let (again, resumed) = try scene.secureClient(known, sessions: sessions)
        #expect(try again.exchange("GET", "/2").status == 200)
        #expect(resumed.isResumed)
        let http2 = try Self.authority.client([.http2], certificate: Self.partner)
        let tunnel = try TLSTunnel(port: try scene.edge.port("public"), context: http2)
        let session = scene.adopt(try HTTP2Client(tunnel.plain))
        #expect(try session.exchange("GET", "/3").status == 200)
        again.trySend("BROKEN\r\n\r\n")
        _ = try again.response()
        let (stranger, _) = try scene.secureClient()
        #expect(try stranger.exchange("GET", "/4").status == 200)

        func lines() throws -> [[String: Any]] {
          let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return try text.split(separator: "\n").map { line in
            let data = Data(line.utf8)
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
          }
        }
        try eventually("six lines are written") { try lines().count >= 6 }
        let found = try lines()
        for line in found.dropLast() {
          #expect(line["clientSubject"] as? String == "CN=partner", "\(line)")
          let names = line["clientNames"] as? [String]
          #expect(names == ["DNS:partner.test", "URI:spiffe://test/partner", "IP:10.1.2.3"])
        }
        #expect(found.last?["path"] as? String == "/4")
        #expect(found.last?["clientSubject"] is NSNull)
        #expect(found.last?["clientNames"] is NSNull)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a certificate that nobody asked for is in no line`(backend: Backend) throws {
      let path = Self.authority.folder + "/\(UUID().uuidString).log"
      var settings = EdgeSettings.secure()
      settings.accessLog = "\"file:\(path)\""
      try Scene.play(backend, .echoingTarget(), settings: settings) { scene in
        let context = try Self.authority.client(certificate: Self.partner)
        let (client, _) = try scene.secureClient(context)
        #expect(try client.exchange("GET", "/1").status == 200)

        var text = ""
        try eventually("a line is written") {
          text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
          return text.hasSuffix("\n")
        }
        #expect(text.contains("\"clientSubject\":null,\"clientNames\":null"))
      }
    }
  }
}
