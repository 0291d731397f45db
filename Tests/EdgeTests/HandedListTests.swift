import Configuration
import Foundation
import Glibc
import Testing

@testable import Edge
@testable import Upstream

/// Lists of a process before that do not fit beside what the configuration names now.
@Suite struct HandedListTests {
  private static let text = """
    workers: 1
    admin: {address: "127.0.0.1:0"}
    accessLog: {output: "off"}
    listeners: [{name: public, address: "127.0.0.1:0"}]
    services:
      - {name: fixed, endpoints: ["fixed.invalid:80", "other.invalid:80"]}
      - {name: shop, discovery: {file: /nowhere/list}}
    routes: [{name: all, match: {}, upstream: {service: shop}, policies: {auth: none}}]
    """

  /// An edge that was handed a list of so many names, and whose name server answers nothing.
  private static func edge(names: Int) throws -> EdgeInstance {
    let list = (0..<names).map { ListedEndpoint(.host("h\($0).invalid", port: 80)) }
    var state = LearnedState(savedAt: Int64(Date().timeIntervalSince1970), services: [])
    state.lists = [LearnedState.List(service: "shop", heardAt: 1, endpoints: list)]
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try state.text.write(to: file, atomically: true, encoding: .utf8)
    defer { unlink(file.path) }
    var options = EdgeServer.Options()
    options.nameServers = "127.0.0.1:1"
    options.handedState = open(file.path, O_RDONLY | O_CLOEXEC)
    return try EdgeInstance(
      ConfigurationSource.parse(text, file: "edge.yaml"),
      sockets: InheritedSockets(),
      options: options
    )
  }

  @Test func `a list that was handed over is served while its registry is away`() throws {
    let list = [ListedEndpoint(.host("10.0.0.7", port: 80), weight: 3)]
    var state = LearnedState(savedAt: Int64(Date().timeIntervalSince1970), services: [])
    state.lists = [LearnedState.List(service: "shop", heardAt: 1, endpoints: list)]
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    try state.text.write(to: file, atomically: true, encoding: .utf8)
    defer { unlink(file.path) }
    var options = EdgeServer.Options()
    options.nameServers = "127.0.0.1:1"
    options.handedState = open(file.path, O_RDONLY | O_CLOEXEC)
    let text = Self.text.replacing(
      "{file: /nowhere/list}",
      with: "{etcd: {service: registry, prefix: /shop/}}"
    ).replacing(
      "services:\n",
      with: "services:\n  - {name: registry, endpoints: [\"127.0.0.1:1\"]}\n"
    )
    let edge = try EdgeInstance(
      ConfigurationSource.parse(text, file: "edge.yaml"),
      sockets: InheritedSockets(),
      options: options
    )
    defer { edge.stop() }

    try edge.start()

    wait { edge.server.discovery.entry(of: "shop")?.list.count(.unavailable) ?? 0 >= 1 }
    let entry = edge.server.discovery.entry(of: "shop")
    #expect(entry?.serving == list)
    #expect(entry?.list.isUp == false)
    #expect(edge.server.discovery.served.map(\.endpoints) == [list])
  }

  @Test(arguments: [1_022, 1_023])
  func `a list that was handed over is served where it fits, and keeps no edge from its start`(
    names: Int
  ) throws {
    let edge = try Self.edge(names: names)
    defer { edge.stop() }

    try edge.start()

    let fits = names + 2 <= NameResolver.maximumNames
    #expect(edge.readiness.isReady)
    let served = edge.server.discovery.entry(of: "shop")?.serving.count
    #expect(served == (fits ? names : 0))
  }
}
