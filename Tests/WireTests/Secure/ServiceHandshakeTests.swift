import Foundation
import TLS
import Testing

extension WireTests {
  /// TLS towards services: handshakes that are slow, broken or cut short.
  struct ServiceHandshakeTests {
    @Test(arguments: Backend.allCases)
    func `a handshake that does not go on is given up after the connect timeout`(
      backend: Backend
    ) throws {
      // It is connected to, by the kernel, and nobody ever answers.
      let silent = try Socket.listening()
      defer { silent.close() }
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      var settings = EdgeSettings.secureService(
        front,
        more: "balance: round-robin, connections: {connectTimeout: 2s}"
      )
      settings.endpoints = ["127.0.0.1:\(silent.localPort)", front.endpoint]
      try Scene.play(backend, upstream, settings: settings) { scene in
        for _ in 0..<3 {
          let client = try scene.client()
          try client.post("/late", "body")
          #expect(try client.response().text == "/late")
        }
        #expect(try ServiceIdentityTests.failures(scene, "timeout") >= 1)
        #expect(try scene.metric("spillway_upstream_tls_handshakes_active") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `with no other endpoint a slow handshake is a connect timeout`(backend: Backend) throws {
      let silent = try Socket.listening()
      defer { silent.close() }
      let upstream = try ScriptedUpstream.echoingTarget()
      var settings = EdgeSettings.secureService(more: "connections: {connectTimeout: 200ms}")
      settings.endpoints = ["127.0.0.1:\(silent.localPort)"]
      try Scene.play(backend, upstream, settings: settings) { scene in
        let answer = try scene.client().exchange()
        #expect(answer.status == 504)
        #expect(answer.problem?["reason"] as? String == "connect-timeout")
      }
    }

    @Test(arguments: Backend.allCases, ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "\u{15}\u{3}"])
    func `a service that does not speak TLS is named as such`(
      backend: Backend,
      words: String
    ) throws {
      let listener = try Socket.listening()
      let thread = Thread {
        while let peer = (try? listener.accepted(by: Deadline(after: .seconds(60)))) ?? nil {
          _ = try? peer.receive(atMost: 4_096, by: Deadline())
          try? peer.send(Array(words.utf8), by: Deadline())
          peer.close()
        }
        listener.close()
      }
      thread.start()
      defer { listener.interrupt() }
      var settings = EdgeSettings.secureService()
      settings.endpoints = ["127.0.0.1:\(listener.localPort)"]
      try Scene.play(backend, try .echoingTarget(), settings: settings) { scene in
        let answer = try scene.client().exchange()
        #expect(answer.status == 502)
        #expect(answer.problem?["reason"] as? String == "upstream-tls")
        #expect(answer["proxy-status"]?.contains("tls_protocol_error") == true)
        let reasons = ["broken", "unsupported-version", "decode-error"]
        let counted = try reasons.map { try ServiceIdentityTests.failures(scene, $0) }
        #expect(counted.reduce(0, +) == 1)
      }
    }

    @Test(arguments: Backend.allCases, [TLSVersion.tls12, .tls13])
    func `a session is resumed with the endpoint that gave it`(
      backend: Backend,
      version: TLSVersion
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream) { $0.tls = { $0.maximumVersion = version } }
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: .secureService(front)) { scene in
        let client = try scene.client()
        for round in 0..<3 {
          #expect(try client.exchange("GET", "/x").status == 200)
          upstream.closeConnections()
          try eventually("the connection is gone") {
            try scene.metric("spillway_connections{side=\"upstream\"}") == 0
          }
          #expect(front.tunnels.count == round + 1)
        }
        #expect(front.tunnels.map(\.isResumed) == [false, true, true])
        let name = "spillway_upstream_tls_handshakes_total"
        #expect(try scene.metric("\(name){service=\"backend\",kind=\"resumed\"}") == 2)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a ticket between two requests ends nothing and answers nothing`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      var settings = EdgeSettings.secureService(front)
      settings.routes = [
        "name: here, match: {path: /here}, respond: {status: 204}, policies: {auth: none}"
      ]
      try Scene.play(backend, upstream, settings: settings) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/x").status == 200)
        for number in 0..<10 {
          let tunnel = try #require(front.tunnels.first)
          tunnel.sendTicket()
          try eventually("it is sent") { tunnel.hasSentTicket }
          // A whole turn of the worker: what lay in the socket was read in it.
          #expect(try client.exchange("GET", "/here").status == 204)
          // One that may not be repeated asks the connection first.
          try client.post("/\(number)", "body")
          #expect(try client.response().text == "/\(number)")
        }
        #expect(front.tunnels.count == 1)
        #expect(try scene.metric("spillway_upstream_stale_connections_total") == 0)
        #expect(try scene.metric("spillway_upstream_unasked_bytes_total") == 0)
      }
    }

    @Test(arguments: Backend.allCases)
    func `a ticket that lies in the socket when a request comes does no harm`(
      backend: Backend
    ) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      let front = try TLSFront(before: upstream)
      defer { front.stop() }
      try Scene.play(backend, upstream, settings: .secureService(front)) { scene in
        let client = try scene.client()
        #expect(try client.exchange("GET", "/x").status == 200)
        for number in 0..<30 {
          for tunnel in front.tunnels { tunnel.sendTicket() }
          try client.post("/\(number)", "body")
          #expect(try client.response().text == "/\(number)")
        }
        // Not sure of it, the edge may have taken another one, but it closed none.
        #expect(scene.upstream.openConnections == front.tunnels.count)
        #expect(try scene.metric("spillway_upstream_stale_connections_total") == 0)
      }
    }
  }
}
