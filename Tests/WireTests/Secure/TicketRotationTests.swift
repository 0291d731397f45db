import Foundation
import TLS
import Testing
import Units

extension WireTests {
  /// Keys of session tickets, which are replaced while the edge serves.
  struct TicketRotationTests {
    @Test(arguments: Backend.allCases)
    func `a ticket is worth nothing once its key was replaced twice`(backend: Backend) throws {
      let upstream = try ScriptedUpstream.echoingTarget()
      defer { upstream.stop() }
      let edge = try EdgeUnderTest(
        configuration: EdgeSettings.secure().yaml(endpoints: [upstream.endpoint]),
        backend: backend,
        ticketRotation: .milliseconds(1)
      )
      defer { edge.stop() }
      func rotations() throws -> Double {
        let client = try RawClient(port: edge.adminPort)
        defer { client.close() }
        try client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let metrics = try Exposition(try client.response().text)
        return try metrics.sum("spillway_tls_ticket_key_rotations_total") ?? -1
      }
      let context = try WireAuthority.shared.client()
      let sessions = ClientSessionCache()
      /// Whether a connection resumed the session of the one before.
      func isResumed() throws -> Bool {
        let tunnel = try TLSTunnel(
          port: try edge.port("public"),
          context: context,
          sessions: sessions
        )
        let client = RawClient(tunnel.plain)
        defer { client.close() }
        #expect(try client.exchange().status == 200)
        return tunnel.isResumed
      }
      #expect(try !isResumed())
      #expect(sessions.count == 1, "there is no ticket")
      let before = try rotations()

      try eventually("the keys have been replaced") { try rotations() >= before + 2 }

      #expect(try !isResumed())
    }
  }
}
