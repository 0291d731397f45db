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
  static let isAvailable = false

  /// The port of the admin listener.
  let adminPort: UInt16

  init(configuration: String, backend: Backend) throws {
    adminPort = 0
    throw WireFailure("there is no edge yet")
  }

  /// The port that the listener of this name got.
  func port(_ listener: String) throws -> UInt16 { 0 }

  /// Adopts another configuration; throws when it was refused.
  func reload(_ configuration: String) throws {}

  /// Starts to drain and returns at once.
  func drain() {}

  /// Whether the drain has come to its end.
  var hasDrained: Bool { false }

  /// Stops at once and frees everything.
  func stop() {}
}
