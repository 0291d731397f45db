import Foundation
import TLS
import Testing

extension WireTests {
  /// TLS towards services: whom the edge believes, and what it says when it does not.
  struct ServiceIdentityTests {
    private static let authority = WireAuthority.shared
    private static let address = authority.issue("address", alternative: "IP:127.0.0.1")
    private static let local = authority.issue("localhost")
    private static let expired = authority.issue(WireAuthority.host, days: -1)
    private static let partner = authority.issue("partner")
    private static let strange = WireAuthority.stranger.server

    static func failures(_ scene: Scene, _ reason: String) throws -> Double {
      let name = "spillway_upstream_tls_handshake_failures_total"
      return try scene.metric("\(name){service=\"backend\",reason=\"\(reason)\"}")
    }

    /// The pin of a certificate's key as operators make it.
    private static func pin(_ files: WireAuthority.Files) throws -> String {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = [
        "-c",
        "openssl x509 -in \(files.certificate) -pubkey -noout | openssl pkey -pubin -outform der"
          + " | openssl dgst -sha256 -binary | openssl base64",
      ]
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let text = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      return "sha256/" + String(decoding: text, as: UTF8.self).prefix { $0 != "\n" }
    }

    @Test(arguments: Backend.allCases)
    func `a service is verified by the name that is configured for it`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: .secureService(front)) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/one").text == "/one")
        #expect(try client.exchange("GET", "/two").text == "/two")

        #expect(front.tunnels.count == 1)
        #expect(front.tunnels.first?.serverName == "edge.test")
        #expect(front.tunnels.first?.chosen == .http1)
        let done = "spillway_upstream_tls_handshakes_total"
        let kind = "{service=\"backend\",kind=\"full\",version=\"TLSv1.3\"}"
        #expect(try scene.metric(done + kind) == 1)
        #expect(try scene.metric("spillway_upstream_tls_unverified{service=\"backend\"}") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an address is verified as such, and not sent as a name`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(Self.address, before: upstream)
      defer { front.stop() }
      let tls = "authorities: \(Self.authority.bundle)"
      try Scene.play(backend, upstream, settings: .secureService(front, tls: tls)) { scene in
        let answer = try scene.client().exchange("GET", "/x")
        #expect(answer.text == "/x")
        #expect(front.tunnels.first?.serverName == nil)
      }
    }

    @Test(arguments: Backend.allCases)
    func `an endpoint that is a name is verified by it`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(Self.local, before: upstream)
      defer { front.stop() }
      var settings = EdgeSettings.secureService(
        front,
        tls: "authorities: \(Self.authority.bundle)"
      )
      settings.endpoints = ["localhost:\(front.port)"]
      try Scene.play(backend, upstream, settings: settings) { scene in
        try eventually("it is served") {
          try scene.client().exchange("GET", "/x").status == 200
        }
        #expect(front.tunnels.allSatisfy { $0.serverName == "localhost" })
      }
    }

    enum Doubt: String, CaseIterable {
      case otherName, otherAddress, otherListedName, strangeAuthority, expired, otherPin

      var files: WireAuthority.Files {
        switch self {
        case .strangeAuthority: strange
        case .expired: ServiceIdentityTests.expired
        default: authority.server
        }
      }

      var tls: String {
        let believed = "authorities: \(authority.bundle)"
        switch self {
        case .otherName: return believed + ", serverName: other.test"
        case .otherAddress: return believed
        case .otherListedName: return believed + ", serverName: edge.test, names: [a.test, b.test]"
        case .strangeAuthority, .expired: return believed + ", serverName: edge.test"
        case .otherPin:
          let pin = "sha256/" + String(repeating: "A", count: 43) + "="
          return believed + ", serverName: edge.test, pins: [\"\(pin)\"]"
        }
      }

      var reason: String {
        switch self {
        case .otherName, .otherAddress, .otherListedName: "name-mismatch"
        case .strangeAuthority: "unknown-authority"
        case .expired: "certificate-expired"
        case .otherPin: "pin-mismatch"
        }
      }
    }

    @Test(arguments: Backend.allCases, Doubt.allCases)
    func `a certificate that proves nothing is refused, and no byte of a request goes there`(
      backend: Backend,
      doubt: Doubt
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(doubt.files, before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: .secureService(front, tls: doubt.tls)) { scene in
        let client = try scene.client()
        try client.post("/", "secret")
        let answer = try client.response()

        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-certificate")
        #expect(answer["proxy-status"]?.contains("tls_certificate_error") == true)
        #expect(try Self.failures(scene, doubt.reason) == 1)
        #expect(try scene.metric("spillway_upstream_connect_failures_total") == 1)
        #expect(upstream.requests.isEmpty)
        try eventually("the service is told why") { front.tunnels.first?.fault != nil }
        #expect(front.tunnels.first?.fault != .truncated)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a refused endpoint sends even a POST on to another one`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let bad = try TLSFront(Self.strange, before: upstream)
      let good = try TLSFront(before: upstream)
      defer {
        bad.stop()
        good.stop()
      }
      var settings = EdgeSettings.secureService(bad, good)
      settings.service += ", balance: round-robin"
      try Scene.play(backend, upstream, settings: settings) { scene in
        for _ in 0..<4 {
          let client = try scene.client()
          try client.post("/safe", "body")
          #expect(try client.response().text == "/safe")
        }
        #expect(try Self.failures(scene, "unknown-authority") >= 1)
        #expect(upstream.requests.count == 4)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a pinned key, listed names or nothing at all can be asked for`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      let stranger = try TLSFront(Self.strange, before: upstream)
      defer {
        front.stop()
        stranger.stop()
      }
      let believed = "authorities: \(Self.authority.bundle)"
      let own = try Self.pin(Self.authority.server)
      let cases: [(TLSFront, String, Double)] = [
        (front, believed + ", serverName: edge.test, pins: [\"\(own)\"]", 0),
        (front, believed + ", names: [other.test, edge.test]", 0),
        (stranger, "insecure: true", 1),
        (stranger, "insecure: true, pins: [\"\(try Self.pin(Self.strange))\"]", 0),
      ]
      let first = EdgeSettings.secureService(front)
      try Scene.play(backend, upstream, settings: first) { scene in
        for (front, tls, unverified) in cases {
          try scene.reload { $0 = .secureService(front, tls: tls) }
          let before = front.tunnels.count
          try eventually("\(tls) is in effect") {
            let answer = try scene.client().exchange("GET", "/x")
            #expect(answer.status == 200, "\(tls)")
            return front.tunnels.count > before
          }
          let gauge = "spillway_upstream_tls_unverified{service=\"backend\"}"
          #expect(try scene.metric(gauge) == unverified)
        }
      }
    }

    @Test(arguments: Backend.allCases, [TLSVersion.tls12, .tls13])
    func `a service that asks for our certificate gets it, or refuses us`(
      backend: Backend,
      version: TLSVersion
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream) {
        $0.tls = {
          $0.clientCertificates = .required(authorities: Self.authority.bundle)
          $0.maximumVersion = version
        }
      }
      defer { front.stop() }
      let believed = "authorities: \(Self.authority.bundle), serverName: edge.test"
      let own = "certificate: \(Self.partner.certificate), key: \(Self.partner.key)"
      let settings = EdgeSettings.secureService(front, tls: "\(believed), \(own)")
      try Scene.play(backend, upstream, settings: settings) { scene in
        #expect(try scene.client().exchange("GET", "/x").text == "/x")
        #expect(front.tunnels.first?.peer?.dnsNames == ["partner"])

        try scene.reload { $0 = .secureService(front, tls: believed) }
        var answer = try scene.client().exchange("GET", "/x")
        try eventually("it is in effect") {
          answer = try scene.client().exchange("GET", "/x")
          return answer.status != 200
        }
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-tls-refused")
        let reasons = ["peer-refuses-certificate", "peer-refuses-handshake"]
        let counted = try reasons.map { try Self.failures(scene, $0) }
        #expect(counted.reduce(0, +) >= 1)
        #expect(upstream.requests.count == 1)
      }
    }
  }
}
