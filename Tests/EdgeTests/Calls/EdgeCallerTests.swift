import CLinux
import Configuration
import Glibc
import Logging
import Reactor
import Testing
import Units

@testable import Edge

/// Calls before workers run, after they have stopped, and while they stand still.
struct EdgeCallerTests {
  private static func edge(_ backend: Reactor.Backend? = nil) throws -> EdgeInstance {
    let text = """
      workers: 1
      admin: {address: "127.0.0.1:0"}
      accessLog: {output: "off"}
      listeners: [{name: public, address: "127.0.0.1:0"}]
      services: [{name: registry, endpoints: ["127.0.0.1:1"]}]
      routes: [{name: all, match: {}, respond: {status: 200}, policies: {auth: none}}]
      """
    var options = EdgeServer.Options()
    options.backend = backend
    // The upkeep thread looks, too: nothing may be over by itself.
    options.calls.patience = .seconds(600)
    let loaded = try ConfigurationSource.parse(text, file: "edge.yaml")
    return try EdgeInstance(loaded, sockets: InheritedSockets(), options: options)
  }

  private static let request = ServiceRequest(service: "registry", target: "/")

  /// Sleeps until a call has ended, and says why.
  private static func failure(of call: any ServiceCall) -> String? {
    while call.descriptor >= 0 {
      var entry = pollfd(fd: call.descriptor, events: call.events, revents: 0)
      guard poll(&entry, 1, 60_000) > 0 else { return nil }
      if case .failed(let words)? = call.advance().last { return words }
    }
    return nil
  }

  @Test func `before workers run and after they have stopped a call says so`() throws {
    let edge = try Self.edge()
    let words = "service registry: no worker runs: the edge has not begun to serve, or has stopped"
    #expect(Self.failure(of: edge.server.caller.begin(Self.request)) == words)

    try edge.start()
    let refused = Self.failure(of: edge.server.caller.begin(Self.request))
    #expect(refused?.contains("(connect-failed)") == true, "\(refused ?? "nothing")")
    edge.stop()

    #expect(Self.failure(of: edge.server.caller.begin(Self.request)) == words)
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a worker that stands still ends no thread that waits for it`(
    backend: Reactor.Backend
  ) throws {
    let edge = try Self.edge(backend)
    try edge.start()
    defer { edge.stop() }
    let server = edge.server
    let watchdog = edge.makeWatchdog(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    #expect(watchdog.start())
    defer { watchdog.stop() }

    // A worker that waits for a lock: that of the counts by address, which an accept takes.
    let client = try server.shared.addresses.withLock { _ in
      let port = try #require(server.port(ofListener: "public"))
      let client = try AdminClient(port: port)
      wait { !watchdog.isProgressing }
      let calls = (0..<5).map { _ in server.caller.begin(Self.request) }
      let now = EdgeServer.now
      server.calls.expire(at: now)
      for call in calls { #expect(call.advance().isEmpty, "its time is not up") }

      server.calls.expire(at: now + .seconds(1_200))

      let words =
        "service registry: no worker took the call in time: those that there are stand still"
      for call in calls { #expect(Self.failure(of: call) == words) }
      return client
    }
    _ = client

    // The worker finds that nobody waits for them any more.
    wait { server.shared.reserveClient(SharedState.callPlace, 1) }
    server.shared.returnClient(SharedState.callPlace)
    let next = Self.failure(of: server.caller.begin(Self.request))
    #expect(next?.contains("(connect-failed)") == true)
  }

  @Test func `time ends a call that a worker has, and a stream later than its last word`() throws {
    var ends: [Int32] = [-1, -1]
    let isPair = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0
    #expect(isPair)
    defer { for end in ends { close(end) } }
    func isOver() -> Bool {
      var entry = pollfd(fd: ends[1], events: Int16(POLLIN), revents: 0)
      return poll(&entry, 1, 0) == 1
    }
    let times = CallTimes()
    let watch = CallWatch(times)
    let ticket = CallTicket()
    let name = watch.add(ends[0], ticket, isStream: true, at: Instant(0))
    ticket.take()

    watch.expire(at: Instant(0) + times.patience + .seconds(1))
    #expect(!isOver(), "a worker has it")
    watch.move(name, at: Instant(0) + .seconds(600))
    watch.expire(at: Instant(0) + times.longest(isStream: true) + .seconds(1))
    #expect(!isOver() && ticket.ending == nil, "it has said something since")

    watch.expire(at: Instant(0) + .seconds(600) + times.longest(isStream: true))

    #expect(isOver() && ticket.ending == .overdue)
    ticket.end(.reply(.connectFailed))
    #expect(ticket.ending == .overdue, "the first word stays")
  }

  @Test func `a process has calls by its descriptors`() {
    #expect(CallBounds.calls(descriptors: 1_000_000) == 1_024)
    #expect(CallBounds.calls(descriptors: 20_000) == 1_000)
    #expect(CallBounds.calls(descriptors: 10) == 1)
  }
}
