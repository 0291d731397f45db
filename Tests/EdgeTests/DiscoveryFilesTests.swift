import Configuration
import Glibc
import Logging
import Telemetry
import Testing
import Units

@testable import Edge
@testable import Upstream

/// Files of endpoints that hold whoever reads them, as those on a disk that is away do.
@Suite struct DiscoveryFilesTests {
  /// A file that answers once it is let.
  private final class SlowFile: Sendable {
    private let isOpen = Locked(false)
    private let reads = Locked(0)

    var readsBegun: Int { reads.withLock { $0 } }

    func open() { isOpen.withLock { $0 = true } }

    func read() -> DiscoveryWord {
      reads.withLock { $0 += 1 }
      while !isOpen.withLock({ $0 }) { usleep(1_000) }
      return .list([ListedEndpoint(.host("10.0.0.7", port: 80))])
    }
  }

  private static func text(_ service: String) -> String {
    """
    workers: 1
    admin: {address: "127.0.0.1:0"}
    accessLog: {output: "off"}
    listeners: [{name: public, address: "127.0.0.1:0"}]
    services: [{name: shop, \(service)}]
    routes: [{name: all, match: {}, upstream: {service: shop}, policies: {auth: none}}]
    """
  }

  private static func edge(_ service: String, _ file: SlowFile) throws -> EdgeInstance {
    var options = EdgeServer.Options()
    options.readEndpoints = { _, _ in file.read() }
    return try EdgeInstance(
      ConfigurationSource.parse(text(service), file: "edge.yaml"),
      sockets: InheritedSockets(),
      options: options
    )
  }

  /// Runs `body` on a thread of its own and waits for its end, for a minute at most.
  private static func ends(_ body: @escaping @Sendable () -> Void) -> Bool {
    let hasEnded = Locked(false)
    let thread = BackgroundThread(name: "test") {
      body()
      hasEnded.withLock { $0 = true }
    }
    wait { hasEnded.withLock { $0 } }
    guard hasEnded.withLock({ $0 }) else { return false }
    thread?.join()
    return true
  }

  private static func isUp(_ edge: EdgeInstance) -> Bool {
    edge.server.discovery.entry(of: "shop")?.list.isUp == true
  }

  @Test func `a start does not wait for a file that hangs, and hears of it later`() throws {
    let file = SlowFile()
    let edge = try Self.edge("discovery: {file: /nowhere/list}", file)
    defer { edge.stop() }

    #expect(Self.ends { try? edge.start() })
    #expect(edge.readiness.isReady && file.readsBegun > 0 && !Self.isUp(edge))
    #expect(
      edge.server.discovery.entry(of: "shop")?.list.problem?.contains("is not read within") == true
    )
    file.open()

    wait { Self.isUp(edge) }
    wait { edge.server.running.withLock { $0.snapshot.placeCount } == 1 }
  }

  @Test func `a reload does not, others publish meanwhile, and the end does not wait either`()
    throws
  {
    let file = SlowFile()
    let edge = try Self.edge("endpoints: [\"10.0.0.1:80\"]", file)
    try edge.start()
    let next = try ConfigurationSource.parse(
      Self.text("discovery: {file: /nowhere/list}"),
      file: "edge.yaml"
    )
    let isReloaded = Locked(false)
    let reload = BackgroundThread(name: "test") {
      _ = try? edge.reload(next)
      isReloaded.withLock { $0 = true }
    }
    wait { file.readsBegun > 0 }

    // While the reload waits: had it the lock, this would wait as well.
    #expect(Self.ends { try? edge.server.republish() })
    wait { isReloaded.withLock { $0 } }
    reload?.join()

    // What it had serves on.
    #expect(edge.server.running.withLock { $0.snapshot.placeCount } == 1)
    #expect(edge.server.loaded.settings.services[0].discovery != nil)
    #expect(!Self.isUp(edge))
    #expect(Self.ends { edge.stop() })
    file.open()
  }
}
