import Configuration
import Glibc
import Reactor
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

  @Test func `the event loop is the better one that the kernel allows`() throws {
    func forbidden(_ backend: Reactor.Backend) -> ReactorError? {
      backend == .ioUring ? ReactorError(call: "io_uring_setup", code: EPERM) : nil
    }

    #expect(try EdgeServer.chooseBackend(nil, refusal: { _ in nil }) == .ioUring)
    #expect(try EdgeServer.chooseBackend(nil, refusal: forbidden) == .epoll)
    #expect(try EdgeServer.chooseBackend(.epoll, refusal: forbidden) == .epoll)
    let error = #expect(throws: EdgeError.self) {
      try EdgeServer.chooseBackend(.ioUring, refusal: forbidden)
    }
    #expect(error?.description.contains("the kernel refuses io_uring") == true)
  }

  @Test func `there is a worker for each core unless the file says how many`() throws {
    let cores = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    var settings = try Self.loaded(admin: 0).settings
    #expect(EdgeServer.workerCount(settings) == 2)

    settings.workers = nil

    #expect(EdgeServer.workerCount(settings) == min(cores, 64))
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
