import Foundation
import TLS
import Testing

extension WireTests {
  /// Certificates that are replaced while clients are connected.
  struct CertificateReloadTests {
    /// Files of their own, which a test may replace.
    private static func files() throws -> WireAuthority.Files {
      let base = WireAuthority.shared.folder + "/" + UUID().uuidString
      let files = WireAuthority.Files(certificate: base + ".pem", key: base + ".key")
      try replace(files, by: WireAuthority.shared.server)
      return files
    }

    private static func replace(
      _ files: WireAuthority.Files,
      by others: WireAuthority.Files
    ) throws {
      for (old, new) in [(files.certificate, others.certificate), (files.key, others.key)] {
        let text = try Data(contentsOf: URL(fileURLWithPath: new))
        try text.write(to: URL(fileURLWithPath: old), options: .atomic)
      }
    }

    private static func reloads(_ scene: Scene, _ outcome: String) throws -> Double {
      try scene.metric("spillway_tls_certificate_reloads_total{outcome=\"\(outcome)\"}")
    }

    private static func isBelieved(_ scene: Scene, by authority: WireAuthority) throws -> Bool {
      let (client, tunnel) = try scene.secureClient(try authority.client())
      client.trySend("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      _ = try client.rest()
      return tunnel.isOpen && tunnel.fault == nil
    }

    @Test(arguments: Backend.allCases)
    func `replaced files serve new clients, and no connection is dropped`(
      backend: Backend
    ) throws {
      let files = try Self.files()
      try Scene.play(backend, .echoingTarget(), settings: .secure(files)) { scene in
        let (kept, _) = try scene.secureClient()
        #expect(try kept.exchange().status == 200)

        try Self.replace(files, by: WireAuthority.stranger.server)
        try eventually("it is read") { try Self.reloads(scene, "applied") >= 1 }
        try eventually("new clients see it") {
          try Self.isBelieved(scene, by: WireAuthority.stranger)
        }

        #expect(try !Self.isBelieved(scene, by: WireAuthority.shared))
        #expect(try kept.exchange().status == 200)
      }
    }

    @Test(arguments: Backend.allCases)
    func `files that cannot be used are refused and counted, the old ones go on`(
      backend: Backend
    ) throws {
      let files = try Self.files()
      try Scene.play(backend, .echoingTarget(), settings: .secure(files)) { scene in
        try Data("no certificate".utf8).write(to: URL(fileURLWithPath: files.certificate))
        try eventually("it is refused") { try Self.reloads(scene, "refused") >= 1 }

        #expect(try Self.isBelieved(scene, by: WireAuthority.shared))
        try Self.replace(files, by: WireAuthority.stranger.server)
        try eventually("the next one is taken") { try Self.reloads(scene, "applied") >= 1 }
      }
    }

    @Test(arguments: Backend.allCases)
    func `a reload that is refused for an address does not hide new certificates`(
      backend: Backend
    ) throws {
      let files = try Self.files()
      try Scene.play(backend, .echoingTarget(), settings: .secure(files)) { scene in
        let taken = try Socket.listening()
        defer { taken.close() }
        try Self.replace(files, by: WireAuthority.stranger.server)

        #expect(throws: (any Error).self) {
          try scene.reload {
            $0.listeners = ["name: other, address: \"127.0.0.1:\(taken.localPort)\""]
          }
        }

        try eventually("new clients see it") {
          try Self.isBelieved(scene, by: WireAuthority.stranger)
        }
      }
    }

    @Test(arguments: Backend.allCases)
    func `TLS can be taken from a listener and given to it`(backend: Backend) throws {
      try Scene.play(backend, .echoingTarget(), settings: .secure()) { scene in
        let (kept, _) = try scene.secureClient()
        #expect(try kept.exchange().status == 200)
        try scene.reload { $0.listener = "" }
        try eventually("clear text is served") {
          try scene.answer(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        }
        #expect(try kept.exchange().status == 200)
        try scene.reload { _ in }
        try eventually("TLS is served") {
          try scene.answer(to: "GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 400
        }
        #expect(try Self.isBelieved(scene, by: .shared))
      }
    }
  }
}
