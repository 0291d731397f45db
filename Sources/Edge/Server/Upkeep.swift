internal import CLinux
internal import Glibc
internal import Telemetry
internal import Units
internal import Upstream

/// The server's own thread: publishes answers to names and lists of endpoints, replaces certificates and
/// the keys of tickets, logs what health checks found, looks how much memory is in use, ends calls whose
/// workers stand still, and frees what workers left behind.
final class Upkeep: Sendable {
  /// Wait between two looks at what can be freed; an idle process wakes no more often.
  private static let idleMilliseconds: Int32 = 1_000
  /// Shortest time between two snapshots, so that names that change in turns make few of them.
  private static let publishMilliseconds: Int32 = 100

  /// The same while memory is filling: it may be gone in seconds.
  private static let watchfulMilliseconds: Int32 = 100
  /// Share of the memory above which it is.
  private static let watchfulShare = 0.5

  private let thread = StoppableThread()

  func start(for server: EdgeServer) throws(EdgeError) {
    guard thread.start(name: "upkeep", run: { [self] in run(server) }) else {
      throw EdgeError(.resources, "cannot start the upkeep thread")
    }
  }

  /// Ends the thread and waits for it; nothing is published after this.
  func stop() { thread.stop() }

  private func run(_ server: EdgeServer) {
    let changed = server.shared.names.changed
    let listed = server.discovery.changed
    var paths: [String] = []
    var watch = FileWatch(paths: paths, at: Self.now)
    while !thread.isStopping {
      // Answered before the look, so that what comes after it rings again.
      changed.answer()
      listed.answer()
      let didPublish = server.publishAnswers()
      server.tidy()
      server.calls.expire(at: Self.now)
      server.shared.healthNews.tell(server.options.logger)
      server.certificates.rotateTickets()
      let memory = server.options.memory.share
      server.shared.load.publish(memory: memory)
      let idle = memory > Self.watchfulShare ? Self.watchfulMilliseconds : Self.idleMilliseconds
      let current = server.certificates.paths
      if current != paths {
        paths = current
        watch = FileWatch(paths: paths, at: Self.now)
        // They may have changed between the reading and the watching.
        server.renewCertificates()
      } else if watch.takeChange(at: Self.now) {
        server.renewCertificates()
      }
      let wait = Int32(clamping: max(0, (watch.deadline - Self.now).rawValue / 1_000_000 + 1))
      var bells = [
        pollfd(fd: thread.bell.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: changed.descriptor, events: Int16(POLLIN), revents: 0),
        // Below 0, where there is none, poll passes it over.
        pollfd(fd: watch.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: listed.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      if didPublish {
        poll(&bells, 1, Self.publishMilliseconds)
      } else {
        // A list may be served then though nobody says anything more.
        let due = server.untilPublishing.map { Int32(clamping: $0.rawValue / 1_000_000 + 1) }
        poll(&bells, 4, min(idle, wait, due ?? idle))
      }
    }
  }

  private static var now: Instant { Instant(clinux_monotonic_now()) }
}
