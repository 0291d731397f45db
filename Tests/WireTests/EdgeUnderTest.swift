import Configuration
import Edge
import Glibc
import Reactor
import Synchronization
import Telemetry

/// What the reactor stands on; every socket test runs on both.
enum Backend: CaseIterable, Sendable {
  case epoll
  case ioUring
}

/// The edge that the wire tests judge, started in this process.
///
/// The one file that knows how the edge is started; the tests know only what stands here.
final class EdgeUnderTest {
  /// False while there is no edge to start.
  static let isAvailable = true

  /// The port of the admin listener.
  let adminPort: UInt16
  private let server: EdgeServer
  private let admin: AdminServer
  private let readiness = ReadinessState()
  private var version = 1
  private var isStopped = false

  init(configuration: String, backend: Backend) throws {
    let loaded = try ConfigurationSource.parse(configuration, file: "wire.yaml")
    var options = EdgeServer.Options()
    options.backend = backend == .epoll ? .epoll : .ioUring
    server = try EdgeServer(
      loaded,
      sockets: InheritedSockets(environment: [:], processID: 0),
      rings: Doorbell(),
      options: options
    )
    let endpoints = AdminEndpoints()
    endpoints.registerStandard(metrics: server.registry, readiness: readiness)
    readiness.register(in: server.registry)
    admin = try AdminServer(address: "127.0.0.1:0", endpoints: endpoints)
    adminPort = admin.port
    try server.start()
    readiness.adopt(
      ConfigurationVersion(number: 1, loadedAt: 0, checksum: loaded.checksum)
    )
  }

  /// The port that the listener of this name got.
  func port(_ listener: String) throws -> UInt16 {
    guard let port = server.port(ofListener: listener) else { throw WireFailure("no port") }
    return port
  }

  /// Adopts another configuration; throws when it was refused.
  func reload(_ configuration: String) throws {
    version += 1
    let loaded = try ConfigurationSource.parse(configuration, file: "wire.yaml", version: version)
    try server.reload(loaded)
    readiness.adopt(
      ConfigurationVersion(number: UInt64(version), loadedAt: 0, checksum: loaded.checksum)
    )
  }

  /// Starts to drain and returns at once.
  func drain() {
    readiness.drain()
    server.beginDrain()
  }

  /// Whether the drain has come to its end.
  var hasDrained: Bool { server.isDrained }

  /// Stops at once and frees everything.
  func stop() {
    guard !isStopped else { return }
    isStopped = true
    server.stop()
    admin.stop()
  }
}
