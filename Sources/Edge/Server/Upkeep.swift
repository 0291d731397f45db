internal import Glibc
internal import Synchronization
internal import Telemetry
internal import Units
internal import Upstream

/// The server's own thread: publishes answers to names, and frees what workers left behind.
final class Upkeep: Sendable {
  /// Wait between two looks at what can be freed; an idle process wakes no more often.
  private static let idleMilliseconds: Int32 = 1_000
  /// Shortest time between two snapshots, so that names that change in turns make few of them.
  private static let publishMilliseconds: Int32 = 100

  private let ending = Doorbell()
  private let isEnding = Atomic(false)
  private let thread = Locked<BackgroundThread?>(nil)

  func start(for server: EdgeServer) throws(EdgeError) {
    let started = BackgroundThread(name: "upkeep") { [self] in run(server) }
    guard let started else { throw EdgeError(.resources, "cannot start the upkeep thread") }
    thread.withLock { $0 = started }
  }

  /// Ends the thread and waits for it; nothing is published after this.
  func stop() {
    isEnding.store(true, ordering: .sequentiallyConsistent)
    ending.wake()
    let running = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    running?.join()
  }

  private func run(_ server: EdgeServer) {
    let changed = server.shared.names.changed
    while !isEnding.load(ordering: .sequentiallyConsistent) {
      // Answered before the look, so that what comes after it rings again.
      changed.answer()
      let didPublish = server.publishAnswers()
      server.tidy()
      var bells = [
        pollfd(fd: ending.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: changed.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      if didPublish {
        poll(&bells, 1, Self.publishMilliseconds)
      } else {
        poll(&bells, 2, Self.idleMilliseconds)
      }
    }
  }
}
