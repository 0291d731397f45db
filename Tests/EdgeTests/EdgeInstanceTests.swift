import Configuration
import Glibc
import Testing

@testable import Edge

struct EdgeInstanceTests {
  private static func loaded(admin: UInt16) throws -> LoadedConfiguration {
    let text = """
      workers: 2
      admin: {address: "127.0.0.1:\(admin)"}
      accessLog: {output: "off"}
      listeners: [{name: public, address: "127.0.0.1:0"}]
      routes: [{name: all, match: {}, respond: {status: 200}, policies: {auth: none}}]
      """
    return try ConfigurationSource.parse(text, file: "edge.yaml")
  }

  @Test func `an admin address that is taken leaves no listener bound`() throws {
    let taken = try AdminSocket.listen("127.0.0.1:0")
    defer { close(taken) }
    let loaded = try Self.loaded(admin: AdminSocket.port(of: taken))
    let sockets = InheritedSockets()

    #expect(throws: EdgeError.self) {
      try EdgeInstance(loaded, sockets: sockets, options: EdgeServer.Options())
    }

    #expect(sockets.taken == [])
  }
}
