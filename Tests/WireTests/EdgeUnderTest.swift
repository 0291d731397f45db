import Configuration
import Edge
import Foundation
import Reactor
import Synchronization
import Units

/// What the reactor stands on; every socket test runs on both, where the kernel allows them.
enum Backend: CaseIterable, Sendable {
  case epoll
  case ioUring

  /// Those that the kernel allows, or the one that `WIRE_TESTS_REACTOR` names of them.
  static let allCases: [Backend] = {
    guard Reactor.Backend.allowed.contains(.ioUring) else { return [.epoll] }
    return switch getenv("WIRE_TESTS_REACTOR").map({ String(cString: $0) }) {
    case "epoll": [.epoll]
    case "io_uring": [.ioUring]
    default: [.epoll, .ioUring]
    }
  }()
}

/// The edge that the wire tests judge, started in this process.
///
/// The one file that knows how the edge is started; the tests know only what stands here. Sendable
/// for the thread that drains, which touches nothing but the edge and an atomic.
final class EdgeUnderTest: @unchecked Sendable {
  /// False while there is no edge to start.
  static let isAvailable = true

  private let edge: EdgeInstance
  private let isDrained = Atomic(false)
  private var drainThread: Thread?
  private var version = 1
  private var isStopped = false

  /// `sockets` and `blocks` are the bounds of a worker's reactor, `ticketRotation` is how long a key
  /// of tickets seals, `snapshots` the bound of the configurations it holds, `descriptors` those that the process may have, `memory` where it reads
  /// how much is in use, `nameServers` those in place of the system's, `calls` how long its own calls may take.
  init(
    configuration: String,
    backend: Backend,
    sockets bound: Int? = nil,
    blocks: Int? = nil,
    handshakes: HandshakeBounds? = nil,
    ticketRotation: Nanoseconds? = nil,
    snapshots: Int? = nil,
    descriptors: Int? = nil,
    memory: MemoryUse? = nil,
    nameServers: String? = nil,
    calls: CallTimes? = nil
  ) throws {
    let loaded = try ConfigurationSource.parse(configuration, file: "wire.yaml")
    var options = EdgeServer.Options()
    options.backend = backend == .epoll ? .epoll : .ioUring
    if let bound { options.bounds.sockets = bound }
    if let blocks { options.bounds.blocks = blocks }
    if let snapshots { options.snapshots = snapshots }
    if let descriptors { options.descriptors = descriptors }
    if let handshakes { options.handshakes = handshakes }
    if let ticketRotation { options.ticketRotation = ticketRotation }
    options.nameServers = nameServers
    if let calls { options.calls = calls }
    if let memory { options.memory = memory }
    let sockets = InheritedSockets(environment: [:], processID: 0)
    edge = try EdgeInstance(loaded, sockets: sockets, options: options)
    try edge.start()
  }

  /// The port of the admin listener.
  var adminPort: UInt16 { edge.adminPort ?? 0 }

  /// The port that the listener of this name got.
  func port(_ listener: String) throws -> UInt16 {
    guard let port = edge.server.port(ofListener: listener) else { throw WireFailure("no port") }
    return port
  }

  /// How its slow plane calls services.
  var caller: any ServiceCaller { edge.server.caller }

  /// Adopts another configuration; throws when it was refused.
  func reload(_ configuration: String) throws {
    let loaded: LoadedConfiguration
    do {
      loaded = try ConfigurationSource.parse(
        configuration,
        file: "wire.yaml",
        version: version + 1
      )
    } catch {
      edge.refused(error.description)
      throw error
    }
    try edge.reload(loaded)
    version += 1
  }

  /// Starts to drain and returns at once, as the process does on SIGTERM.
  func drain() {
    edge.beginDrain()
    let thread = Thread { [self] in
      _ = edge.waitUntilDrained()
      edge.server.stop()
      isDrained.store(true, ordering: .releasing)
    }
    drainThread = thread
    thread.start()
  }

  /// Whether the drain has come to its end.
  var hasDrained: Bool { isDrained.load(ordering: .acquiring) }

  /// Stops at once and frees everything.
  func stop() {
    guard !isStopped else { return }
    isStopped = true
    if drainThread != nil {
      try? eventually("the drain is over", within: .seconds(30)) { hasDrained }
      drainThread = nil
    }
    edge.stop()
  }
}
