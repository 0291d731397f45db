import Foundation
import TLS
import Testing

extension WireTests {
  /// Rules of TLS towards services that change while the edge serves.
  struct ServiceReloadTests {
    private static func replace(_ file: String, by other: String) throws {
      let text = try Data(contentsOf: URL(fileURLWithPath: other))
      try text.write(to: URL(fileURLWithPath: file), options: .atomic)
    }

    private static func status(_ scene: Scene) throws -> Int {
      try scene.client().exchange("GET", "/x").status
    }

    @Test(arguments: Backend.allCases)
    func `authorities that are replaced are believed by new connections only`(
      backend: Backend
    ) throws {
      let file = WireAuthority.shared.folder + "/" + UUID().uuidString + ".pem"
      try Self.replace(file, by: WireAuthority.shared.bundle)
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(
        front,
        tls: "authorities: \(file), serverName: edge.test"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        #expect(try Self.status(scene) == 200)
        try Self.replace(file, by: WireAuthority.stranger.bundle)
        try eventually("the connection that was kept is not used again") {
          try Self.status(scene) == 502
        }
        try Self.replace(file, by: WireAuthority.shared.bundle)
        try eventually("it is believed again") { try Self.status(scene) == 200 }

        try Data("nothing".utf8).write(to: URL(fileURLWithPath: file))
        let refused = "spillway_tls_certificate_reloads_total{outcome=\"refused\"}"
        try eventually("it is refused") { try scene.metric(refused) >= 1 }
        #expect(try Self.status(scene) == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `our own certificate is shown anew once its files are replaced`(backend: Backend) throws {
      let base = WireAuthority.shared.folder + "/" + UUID().uuidString
      func take(_ files: WireAuthority.Files) throws {
        try Self.replace(base + ".pem", by: files.certificate)
        try Self.replace(base + ".key", by: files.key)
      }
      try take(WireAuthority.shared.issue("before"))
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream) {
        $0.tls = { $0.clientCertificates = .required(authorities: WireAuthority.shared.bundle) }
      }
      defer { front.stop() }
      let settings = EdgeSettings.secureService(
        front,
        tls: "authorities: \(WireAuthority.shared.bundle), serverName: edge.test, "
          + "certificate: \(base).pem, key: \(base).key"
      )
      try Scene.play(backend, upstream, settings: settings) { scene in
        #expect(try Self.status(scene) == 200)
        try take(WireAuthority.shared.issue("after"))
        try eventually("it is shown") {
          let status = try Self.status(scene)
          #expect(status == 200)
          return front.tunnels.last?.peer?.dnsNames == ["after"]
        }
        #expect(front.tunnels.first?.peer?.dnsNames == ["before"])

        try take(WireAuthority.stranger.issue("stranger"))
        try eventually("it is refused") { try Self.status(scene) == 502 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a connection that nobody verified is not used once somebody must`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(WireAuthority.stranger.server, before: upstream)
      defer { front.stop() }
      let settings = EdgeSettings.secureService(front, tls: "insecure: true")
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/x").status == 200)
        try scene.reload { $0 = .secureService(front) }
        try eventually("the new rules hold") { try Self.status(scene) == 502 }
        #expect(try client.exchange("GET", "/x").status == 502)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a service goes from clear to TLS and back`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/x").status == 200)
        try scene.reload { $0 = .secureService(front) }
        try eventually("TLS is spoken") {
          let answer = try client.exchange("GET", "/x")
          #expect(answer.status == 200)
          return front.tunnels.count == 1
        }
        try scene.reload { _ in }
        let before = upstream.acceptedConnections
        try eventually("clear text is spoken") {
          let answer = try client.exchange("GET", "/x")
          #expect(answer.status == 200)
          return upstream.acceptedConnections > before
        }
        #expect(front.tunnels.count == 1)
      }
    }

    @Test(arguments: Backend.allCases)
    func `draining ends connections to services that speak TLS`(backend: Backend) throws {
      let gate = Gate()
      let upstream = try ScriptedUpstream.echoingTarget(behind: gate, at: "/y")
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      var settings = EdgeSettings.secureService(front)
      settings.root = ["drain: {grace: 200ms, deadline: 30s}"]
      try Scene.play(backend, upstream, settings: settings) { scene in
        defer { gate.open() }
        let client = try scene.client()
        #expect(try client.exchange("GET", "/x").status == 200)
        try client.request("GET", "/y")
        try eventually("it runs") { upstream.requests.contains { $0.target == "/y" } }
        scene.edge.drain()
        try eventually("readiness fails") { try scene.admin("/readyz").status == 503 }
        gate.open()
        let told = try client.response()
        #expect(told.status == 200 && told.saysClose)
        try eventually("it has drained", within: .seconds(40)) { scene.edge.hasDrained }
        try eventually("the service was told") { front.tunnels.allSatisfy(\.sawClose) }
      }
    }
  }
}
