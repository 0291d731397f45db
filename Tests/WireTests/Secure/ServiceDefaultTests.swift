import Foundation
import TLS
import Testing

extension WireTests {
  /// TLS towards services: what holds where a configuration says nothing, and the least version.
  struct ServiceDefaultTests {
    private static let authority = WireAuthority.shared
    private static let local = authority.issue("localhost")
    private static let bundle = "/etc/ssl/certs/ca-certificates.crt"
    private static let hasSystemAuthorities = FileManager.default.isReadableFile(atPath: bundle)

    @Test(.enabled(if: hasSystemAuthorities), arguments: Backend.allCases, ["https", "h2", "auto"])
    func `without a word on TLS only the system's authorities are believed`(
      backend: Backend,
      wireProtocol: String
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(Self.local, before: upstream)
      defer { front.stop() }
      // By name, as nothing but the authority shall be wrong; it has to be resolved first.
      var settings = EdgeSettings(
        endpoints: ["localhost:\(front.port)"],
        service: "protocol: \(wireProtocol)"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        var answer = try scene.client().exchange()
        // Until the name is resolved, and where it has an address that nobody listens at.
        try eventually("its certificate is refused") {
          answer = try scene.client().exchange()
          return answer.problem?["reason"] as? String == "upstream-certificate"
        }
        #expect(answer.status == 502)
        #expect(try ServiceIdentityTests.failures(scene, "unknown-authority") >= 1)
        #expect(try scene.metric("spillway_upstream_tls_unverified{service=\"backend\"}") == 0)
        #expect(upstream.requests.isEmpty)

        // The same service is served once its authority is named.
        settings.service = "protocol: https, tls: {authorities: \(Self.authority.bundle)}"
        try scene.reload { $0 = settings }
        try eventually("it is believed") {
          try scene.client().exchange("GET", "/x").status == 200
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service that speaks less than the least version is refused`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream) { $0.tls = { $0.maximumVersion = .tls12 } }
      defer { front.stop() }
      let believed = "authorities: \(Self.authority.bundle), serverName: edge.test"
      let strict = EdgeSettings.secureService(front, tls: believed + ", minimumVersion: \"1.3\"")
      try Scene.play(backend, upstream, settings: strict) { scene in
        let answer = try scene.client().exchange()
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-tls-refused")
        #expect(try ServiceIdentityTests.failures(scene, "peer-refuses-version") == 1)
        #expect(upstream.requests.isEmpty)

        // Without a word it is 1.2.
        try scene.reload { $0 = .secureService(front, tls: believed) }
        try eventually("it is served") { try scene.client().exchange("GET", "/x").status == 200 }
        #expect(front.tunnels.last?.version == .tls12)
      }
    }
  }
}
