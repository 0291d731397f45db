import Configuration
import Reactor
import Telemetry
import Testing
import Units

@testable import Edge
@testable import Upstream

/// What discovered services may have of the directory of endpoints.
@Suite struct DiscoveredRoomTests {
  private static func edge(_ services: Int) throws -> EdgeInstance {
    let list = (0..<services).map { "{name: s\($0), discovery: {file: /nowhere/s\($0)}}" }
    let text = """
      workers: 1
      admin: {address: "127.0.0.1:0"}
      accessLog: {output: "off"}
      listeners: [{name: public, address: "127.0.0.1:0"}]
      services: [\(list.joined(separator: ", ")), {name: plain, endpoints: ["plain.test:80"]}]
      routes: [{name: all, match: {}, upstream: {service: s0}, policies: {auth: none}}]
      """
    let loaded = try ConfigurationSource.parse(text, file: "edge.yaml")
    let edge = try EdgeInstance(
      loaded,
      sockets: InheritedSockets(),
      options: EdgeServer.Options()
    )
    let server = edge.server
    server.discovery.commit(
      server.discovery.plan(loaded.settings, after: Settings(), server.reach, at: EdgeServer.now)
    )
    return edge
  }

  /// Has services list the same names, each of which stands for as many addresses as it may.
  private static func fill(_ edge: EdgeInstance, names: Int) {
    for source in edge.server.discovery.sources {
      let list = (0..<names).map { ListedEndpoint(.host("n\($0).test", port: 80)) }
      edge.server.discovery.hear(.list(list), from: source)
    }
    for name in 0..<names {
      edge.server.shared.names.post(NameQuestion("n\(name).test"), isNews: true) {
        $0.addresses = (0..<NameResolver.maximumAddresses).map {
          IPBytes(high: 0x2001_0DB8_0000_0000, low: UInt64(name << 16 | $0))
        }
      }
    }
    edge.server.shared.names.post(NameQuestion("plain.test"), isNews: true) {
      $0.addresses = [IPBytes(high: 1, low: 1)]
    }
  }

  /// Endpoints of each service in what is served.
  private static func counts(_ edge: EdgeInstance) -> [Int] {
    edge.server.running.withLock { $0.snapshot.serviceRanges.map(\.range.count) }
  }

  private static func metric(_ name: String, _ edge: EdgeInstance) -> Double {
    let text = String(decoding: edge.server.registry.exposition(.text), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
    return line?.split(separator: " ").last.flatMap { Double($0) } ?? -1
  }

  @Test func `one service has so much room and no more, and what is left out is counted`() throws {
    let edge = try Self.edge(1)
    defer { edge.stop() }
    Self.fill(edge, names: 300)

    #expect(edge.server.publishAnswers())

    #expect(Self.metric("spillway_dns_publish_failures_total", edge) == 0)
    #expect(Self.counts(edge).first == DiscoveredRoom.perService)
    #expect(Self.counts(edge).contains(1))
    let leftOut = Self.metric("spillway_discovery_left_out{service=\"s0\"", edge)
    #expect(leftOut == Double(300 * NameResolver.maximumAddresses - DiscoveredRoom.perService))
  }

  @Test func `all together leave half of the directory to others, and none takes another's`() throws
  {
    let edge = try Self.edge(9)
    defer { edge.stop() }
    Self.fill(edge, names: 300)

    #expect(edge.server.publishAnswers())

    #expect(Self.metric("spillway_dns_publish_failures_total", edge) == 0)
    let share = DiscoveredRoom.together / 9
    #expect(Self.counts(edge).prefix(9).allSatisfy { $0 == share })
    #expect(Self.counts(edge).contains(1))
  }

  @Test(
    arguments: [
      ([], 4_096), ([1, 2, 3], 4_096), ([5_000], 4_096), ([4_096, 4_096, 4_096, 4_096], 4_096),
      ([100, 9_000, 9_000, 9_000, 9_000], 4_071),
      ([16_000, 16_000, 16_000, 16_000, 16_000], 3_276),
      ([Int](repeating: 64, count: 4_096), 4),
    ] as [([Int], Int)]
  )
  func `those who want most give way first`(_ wanted: [Int], _ share: Int) {
    #expect(DiscoveredRoom.share(wanted) == share)
  }
}
