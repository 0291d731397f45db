internal import Configuration
internal import Glibc
internal import Logging
internal import Telemetry
internal import Units
internal import Upstream

/// The thread that reads files of endpoints, when they change and when somebody asks.
///
/// It is its own, as a file on a network that is away may hold it for minutes, and nobody waits for
/// it for long. Without such files there is none.
final class DiscoveryFiles: Sendable {
  /// What a file says: its path, and whether it may list UNIX sockets.
  typealias Reader = @Sendable (_ path: String, _ allowsUnix: Bool) -> DiscoveryWord

  /// Rest after an event: a folder that never does wakes the thread no more often.
  private static let restMilliseconds: Int32 = 20
  /// How long a start or a reload waits for files, and the end for a file that is being read.
  private static let patience = Nanoseconds.seconds(2)

  private struct State {
    var sources: [Discovery.Source] = []
    var hasStarted = false
    /// What somebody waits for, and what was read of it.
    var asked: [Discovery.Source] = []
    var words: [Discovery.Source: DiscoveryWord] = [:]
  }

  private let discovery: Discovery
  private let reader: Reader
  private let logger: Logger?
  private let state = Locked(State())
  private let thread = StoppableThread()
  /// Rings when all is read that was asked for.
  private let answered = Doorbell()

  init(_ discovery: Discovery, read reader: @escaping Reader, logger: Logger?) {
    self.discovery = discovery
    self.reader = reader
    self.logger = logger
  }

  /// Starts the thread, unless it runs.
  func start() throws(EdgeError) {
    try state.withLock { state throws(EdgeError) in
      guard !state.hasStarted else { return }
      guard thread.start(name: "discovery", run: { [self] in run() }) else {
        throw EdgeError(.resources, "cannot start the discovery thread")
      }
      state.hasStarted = true
    }
  }

  /// Asks what files say now, and waits for it, but not for long.
  ///
  /// One caller at a time.
  ///
  /// - Returns: A word for each: of those that are late, that they are.
  func ask(_ sources: [Discovery.Source]) -> [Discovery.Source: DiscoveryWord] {
    answered.answer()
    state.withLock { ($0.asked, $0.words) = (sources, [:]) }
    thread.bell.wake()
    let end = EdgeServer.now + Self.patience
    while state.withLock({ !$0.asked.isEmpty }) {
      let left = end - EdgeServer.now
      guard left > .zero else { break }
      answered.sleep(for: left)
    }
    var words = state.withLock { state in
      defer { (state.asked, state.words) = ([], [:]) }
      return state.words
    }
    for source in sources where words[source] == nil {
      let problem = "\(source.setting.place): is not read within \(Self.patience.seconds) s"
      words[source] = .failure(.unavailable, problem)
    }
    return words
  }

  /// Reads what was asked for.
  private func answer() {
    while let source = state.withLock({ $0.asked.first }), !thread.isStopping {
      guard let path = source.path else { return }
      let word = reader(path, source.allowsUnix)
      let isLast = state.withLock { state in
        // Whoever asked may have gone meanwhile.
        guard state.asked.first == source else { return false }
        state.asked.removeFirst()
        state.words[source] = word
        return state.asked.isEmpty
      }
      if isLast { answered.wake() }
    }
  }

  /// Reads the files among these sources and no others; all of them at once, then each that changes.
  func watch(_ sources: [Discovery.Source]) {
    state.withLock { $0.sources = sources.filter { $0.path != nil } }
    thread.bell.wake()
  }

  /// Ends the thread, and waits for a moment for the file that it is reading.
  func stop() {
    guard !thread.stop(within: Self.patience) else { return }
    logger?.warning("a file of endpoints is still being read")
  }

  private func run() {
    var sources: [Discovery.Source] = []
    var watch = FileWatch(paths: [], at: EdgeServer.now)
    var isBusy = false
    while !thread.isStopping {
      // Answered before the look, so that what comes after it rings again.
      thread.bell.answer()
      answer()
      let wanted = state.withLock { $0.sources }
      if wanted != sources {
        sources = wanted
        watch = FileWatch(paths: sources.compactMap(\.path), at: EdgeServer.now)
        // They may have changed between the first reading and the watching.
        for source in sources { read(source) }
      } else if let indices = watch.takeChanges(at: EdgeServer.now) {
        read(sources, changed: Set(indices))
      }
      let left = (watch.deadline - EdgeServer.now).rawValue / 1_000_000 + 1
      let wait = sources.isEmpty ? -1 : Int32(clamping: max(0, left))
      var bells = [
        pollfd(fd: thread.bell.descriptor, events: Int16(POLLIN), revents: 0),
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
    guard let path = source.path, !thread.isStopping else { return }
    let word = reader(path, source.allowsUnix)
    // After the end nobody is to hear of it.
    if !thread.isStopping { discovery.hear(word, from: source) }
  }
}

extension Discovery.Source {
  fileprivate var path: String? {
    if case .file(let path) = setting { return path }
    return nil
  }
}
