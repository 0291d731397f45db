internal import CLinux
internal import Configuration
internal import Glibc
internal import Synchronization
internal import Telemetry
internal import Units
internal import Upstream

/// The thread that reads files of endpoints, when they change.
///
/// It is its own, as a file on a network that is away may hold it for minutes. Without such files
/// there is none.
final class DiscoveryFiles: Sendable {
  /// Rest after an event: a folder that never does wakes the thread no more often.
  private static let restMilliseconds: Int32 = 20

  private struct State {
    var sources: [Discovery.Source] = []
    var thread: BackgroundThread?
  }

  private let discovery: Discovery
  private let state = Locked(State())
  private let bell = Doorbell()
  private let isEnding = Atomic(false)

  init(_ discovery: Discovery) { self.discovery = discovery }

  /// Starts the thread, unless it runs.
  func start() throws(EdgeError) {
    try state.withLock { state throws(EdgeError) in
      guard state.thread == nil else { return }
      let thread = BackgroundThread(name: "discovery") { [self] in run() }
      guard let thread else { throw EdgeError(.resources, "cannot start the discovery thread") }
      state.thread = thread
    }
  }

  /// Reads the files among these sources and no others; all of them at once, then each that changes.
  func watch(_ sources: [Discovery.Source]) {
    state.withLock { $0.sources = sources.filter { $0.path != nil } }
    bell.wake()
  }

  /// Ends the thread and waits for it.
  func stop() {
    isEnding.store(true, ordering: .sequentiallyConsistent)
    bell.wake()
    let thread = state.withLock { state in
      defer { state.thread = nil }
      return state.thread
    }
    thread?.join()
  }

  private func run() {
    var sources: [Discovery.Source] = []
    var watch = FileWatch(paths: [], at: Self.now)
    var isBusy = false
    while !isEnding.load(ordering: .sequentiallyConsistent) {
      // Answered before the look, so that what comes after it rings again.
      bell.answer()
      let wanted = state.withLock { $0.sources }
      if wanted != sources {
        sources = wanted
        watch = FileWatch(paths: sources.compactMap(\.path), at: Self.now)
        // They may have changed between the first reading and the watching.
        for source in sources { read(source) }
      } else if let indices = watch.takeChanges(at: Self.now) {
        read(sources, changed: Set(indices))
      }
      let left = (watch.deadline - Self.now).rawValue / 1_000_000 + 1
      let wait = sources.isEmpty ? -1 : Int32(clamping: max(0, left))
      var bells = [
        pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
        // Below 0, where there is none, poll passes it over.
        pollfd(fd: isBusy ? -1 : watch.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      poll(&bells, 2, isBusy ? Self.restMilliseconds : wait)
      isBusy = bells[1].revents != 0
    }
  }

  private func read(_ sources: [Discovery.Source], changed: Set<Int>) {
    for (index, source) in sources.enumerated() {
      // What cannot be read may be let be read without a change of the file.
      let isUp = discovery.entry(of: source.service)?.list.isUp ?? false
      if changed.contains(index) || !isUp { read(source) }
    }
  }

  private func read(_ source: Discovery.Source) {
    guard let path = source.path, !isEnding.load(ordering: .relaxed) else { return }
    discovery.hear(DiscoveredFile.read(path, allowsUnix: source.allowsUnix), from: source)
  }

  private static var now: Instant { Instant(clinux_monotonic_now()) }
}

extension Discovery.Source {
  fileprivate var path: String? {
    if case .file(let path) = setting { return path }
    return nil
  }
}
