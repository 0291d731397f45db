import Configuration
import Foundation
import Logging
import Reactor
import Telemetry
import Testing
import Units

@testable import Edge
@testable import Upstream

/// What the slow plane counts: stalls of workers, and addresses that could not take effect.
struct SlowPlaneCountTests {
  private static func edge(
    _ backend: Reactor.Backend? = nil,
    endpoint: String,
    logger: Logger? = nil
  ) throws -> EdgeInstance {
    let text = """
      workers: 1
      admin: {address: "127.0.0.1:0"}
      accessLog: {output: "off"}
      listeners: [{name: public, address: "127.0.0.1:0"}]
      services: [{name: many, endpoints: ["\(endpoint)"]}]
      routes: [{name: all, match: {}, upstream: {service: many}, policies: {auth: none}}]
      """
    var options = EdgeServer.Options()
    options.backend = backend
    options.logger = logger
    let loaded = try ConfigurationSource.parse(text, file: "edge.yaml")
    return try EdgeInstance(loaded, sockets: InheritedSockets(), options: options)
  }

  /// The value of one line of a scrape, -1 where there is none.
  private static func metric(_ name: String, _ edge: EdgeInstance) -> Double {
    let text = String(decoding: edge.server.registry.exposition(.text), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
    return line.flatMap { Double($0.dropFirst(name.count + 1)) } ?? -1
  }

  @Test(arguments: Reactor.Backend.allowed)
  func `a worker that hangs is counted, and so is what its clients waited`(
    backend: Reactor.Backend
  ) throws {
    let edge = try Self.edge(backend, endpoint: "127.0.0.1:1")
    try edge.start()
    defer { edge.stop() }
    let watchdog = edge.makeWatchdog(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    #expect(watchdog.start())
    defer { watchdog.stop() }
    let stalls = "spillway_worker_stalls_total"
    let delay = "spillway_worker_loop_delay_seconds_sum"
    // A worker that gets no processor for a second has stalled, too.
    let (stalled, delayed) = (Self.metric(stalls, edge), Self.metric(delay, edge))

    // A real worker that waits for a real lock: that of the counts by address, which an accept takes.
    let client = try edge.server.shared.addresses.withLock { _ in
      let port = try #require(edge.server.port(ofListener: "public"))
      let client = try AdminClient(port: port)
      wait { Self.metric(stalls, edge) > stalled && !watchdog.isProgressing }
      return client
    }

    wait { watchdog.isProgressing }
    // A turn is measured when the next one begins.
    client.send("nonsense\r\n\r\n")
    #expect(client.readToEnd().hasPrefix("HTTP/1.1 400"))
    wait { Self.metric(delay, edge) >= delayed + 1 }
  }

  @Test func `what cannot be published is tried less and less often, and said once`() {
    var arrears = PublishArrears()
    var now = Instant(0)
    var waits: [Int64] = []
    #expect(!arrears.isDue(at: now))
    for round in 0..<8 {
      let isNew = arrears.note(.bound, at: now)
      #expect(isNew == (round == 0))
      let due = arrears.due ?? now
      waits.append((due - now).rawValue / 1_000_000)
      #expect(!arrears.isDue(at: Instant(due.rawValue - 1)) && arrears.isDue(at: due))
      now = due
    }
    #expect(waits == [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
    let isOther = arrears.note(.certificates, at: now)
    let (wasBehind, isBehind) = (arrears.end(), arrears.end())
    #expect(isOther && wasBehind && !isBehind)
    #expect(!arrears.isDue(at: now + .seconds(60)))
  }

  @Test func `addresses that find no room are counted, and the next answer is tried again`() throws
  {
    let lines = LogLines()
    let edge = try Self.edge(endpoint: "many.test:80", logger: Logger(label: "test") { _ in lines })
    defer { edge.stop() }
    let failures = "spillway_dns_publish_failures_total"
    let complaints = {
      lines.kept.withLock { $0 }.filter { $0.contains("cannot be published") }.count
    }
    func addresses(_ count: Int) -> [IPBytes] {
      (1...count).map { IPBytes(high: 0x2001_0DB8_0000_0000, low: UInt64($0)) }
    }
    #expect(!edge.server.publishAnswers())
    #expect(Self.metric(failures, edge) == 0)

    func answer(_ addresses: [IPBytes]) {
      edge.server.shared.names.post(NameQuestion("many.test"), isNews: true) {
        $0.addresses = addresses
      }
    }
    for extra in 1...3 {
      answer(addresses(EndpointDirectory.capacity + extra))
      #expect(edge.server.publishAnswers())
      #expect(Self.metric(failures, edge) == Double(extra))
    }
    #expect(complaints() == 1)
    #expect(edge.server.untilPublishing != nil)

    answer(addresses(3))
    #expect(edge.server.publishAnswers())
    #expect(Self.metric(failures, edge) == 3)
    #expect(edge.server.untilPublishing == nil)
    #expect(lines.kept.withLock { $0.last }?.contains("are published again") == true)
  }
}
