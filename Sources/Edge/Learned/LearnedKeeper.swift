internal import Admission
internal import CLinux
internal import Glibc
internal import Logging
internal import Synchronization
internal import Telemetry
internal import Units

/// Keeps what limits have learned where the next process finds it: in the state directory, and with
/// the parent process.
///
/// A thread of its own does all writing, as a disk may take its time: neither the upkeep of the server
/// nor a drain waits for it. Ends with the drain: from then on the traffic goes away, and what is
/// learned of that is of no use.
final class LearnedKeeper: Sendable {
  /// How often the parent is handed a copy: so old is what an upgrade begins with.
  private static let handMilliseconds: Int32 = 2_000
  /// How often a copy that tells of endpoints is made anew though nothing changes, so that it is known
  /// not to be old.
  private static let renewSeconds: Int64 = 600
  /// How often the file is written.
  private static let writeInterval = Nanoseconds.seconds(10)
  /// How long the end waits for the last copy.
  private static let patience = Nanoseconds.seconds(2)

  /// Where a copy goes.
  enum Target: String, CaseIterable {
    case file
    case parent
  }

  /// Gives a descriptor away, which may be duplicated; whether it arrived.
  typealias HandOver = @Sendable (_ descriptor: Int32) -> Bool

  /// What is served of sources of endpoints, and what names stand for.
  typealias Lists = @Sendable () -> ([LearnedState.List], [LearnedState.Name])

  /// What others tell the thread.
  private struct State {
    /// What was seen last, with the moment when each service had learned something new.
    var services: [LearnedState.Service] = []
    var lists: [LearnedState.List] = []
    var names: [LearnedState.Name] = []
    var isFinal = false
    var handOver: HandOver?
    /// How often `handOver` was set.
    var handOvers = 0
  }

  /// What the thread has done.
  private struct Done {
    var isFinal = false
    var handed: LearnedState?
    var handOvers = 0
    var written: LearnedState?
    var directory: String?
    var writtenAt = Instant(.min)
    /// The error number of the last write, which is logged when it changes.
    var failure: Int32 = 0
  }

  private let report: AdmissionReport
  private let lists: Lists
  private let directory: @Sendable () -> String?
  private let logger: Logger?
  private let thread = StoppableThread()
  /// Never held while something is saved.
  private let state: Locked<State>
  private let counts = Locked<[Target: (saved: Int, failed: Int)]>([:])
  /// Makes names of memory unique in this process.
  private static let copies = Atomic<UInt64>(0)

  /// - Parameters:
  ///   - report: Knows the services and what they have learned.
  ///   - before: What the process began with.
  ///   - lists: Says who the endpoints are that were discovered.
  ///   - directory: The state directory now, `nil` for none.
  ///   - logger: Hears of files that cannot be written.
  init(
    _ report: AdmissionReport,
    before: [LearnedState.Service],
    lists: @escaping Lists,
    directory: @escaping @Sendable () -> String?,
    logger: Logger?
  ) {
    self.report = report
    self.lists = lists
    self.directory = directory
    self.logger = logger
    state = Locked(State(services: before))
  }

  func start() throws(EdgeError) {
    guard thread.start(name: "learned", run: { [self] in run() }) else {
      throw EdgeError(.resources, "cannot start the thread of learned state")
    }
  }

  /// Ends the thread, and waits for a moment for what it is writing.
  func stop() {
    guard !thread.stop(within: Self.patience) else { return }
    logger?.warning("what limits have learned is still being saved")
  }

  /// From now on each copy goes to `handOver` as well.
  func handOver(to handOver: @escaping HandOver) {
    state.withLock {
      $0.handOver = handOver
      $0.handOvers += 1
    }
    thread.bell.wake()
  }

  /// Has what is known now saved, and nothing after that; does not wait for it.
  func finish() {
    state.withLock { state in
      guard !state.isFinal else { return }
      look(&state)
      state.isFinal = true
    }
    thread.bell.wake()
  }

  private func look(_ state: inout State) {
    state.services = report.learned(since: state.services, now: Self.now)
    (state.lists, state.names) = lists()
  }

  private static var now: Int64 { clinux_wall_now() / 1_000_000_000 }

  private func run() {
    var done = Done()
    while true {
      thread.bell.answer()
      let state = state.withLock { state in
        if !state.isFinal { look(&state) }
        return state
      }
      if thread.isStopping, !state.isFinal || done.isFinal { return }
      if !done.isFinal { save(state, &done) }
      done.isFinal = state.isFinal
      // Waits for who joins it, rather than to end before.
      if done.isFinal, thread.isStopping { return }
      var entry = pollfd(fd: thread.bell.descriptor, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, done.isFinal ? -1 : Self.handMilliseconds)
    }
  }

  // MARK: - Saving

  private func save(_ state: State, _ done: inout Done) {
    var copy = LearnedState(savedAt: Self.now, services: state.services)
    (copy.lists, copy.names) = (state.lists, state.names)
    if let handOver = state.handOver,
      done.handOvers != state.handOvers || Self.isNews(copy, after: done.handed)
    {
      let hasArrived = hand(copy.text, to: handOver)
      count(.parent, hasArrived)
      if hasArrived { (done.handed, done.handOvers) = (copy, state.handOvers) }
    }
    // With nothing to say, what lies there may be what another process has to say.
    guard let directory = directory(), !copy.isEmpty else { return }
    let isNew = directory != done.directory
    let isDue = Instant(clinux_monotonic_now()) >= done.writtenAt + Self.writeInterval
    guard state.isFinal || isNew || isDue && Self.isNews(copy, after: done.written) else { return }
    let path = "\(directory)/\(LearnedSource.fileName)"
    let code = FileText.replace(path, with: copy.text, mode: 0o600)
    count(.file, code == 0)
    done.directory = directory
    done.writtenAt = Instant(clinux_monotonic_now())
    // A copy that did not arrive is tried again after the interval.
    if code == 0 { done.written = copy }
    guard code != done.failure else { return }
    done.failure = code
    guard code != 0 else { return }
    logger?.warning(
      "what limits have learned cannot be saved",
      metadata: ["path": "\(path)", "error": "\(systemText(code))"]
    )
  }

  /// Whether a copy tells more than the one before, or that one might be taken for an old one.
  static func isNews(_ copy: LearnedState, after last: LearnedState?) -> Bool {
    guard let last else { return !copy.isEmpty }
    let isAging = abs(copy.savedAt - last.savedAt) >= renewSeconds
    if isAging, !copy.lists.isEmpty || !copy.names.isEmpty { return true }
    // A source that says the same again and again is no news.
    return copy.services != last.services || copy.names != last.names
      || copy.lists.map(\.service) != last.lists.map(\.service)
      || copy.lists.map(\.endpoints) != last.lists.map(\.endpoints)
  }

  private func count(_ target: Target, _ isSaved: Bool) {
    counts.withLock { counts in
      var count = counts[target] ?? (0, 0)
      if isSaved { count.saved += 1 } else { count.failed += 1 }
      counts[target] = count
    }
  }

  /// Puts a text into memory that has no name, and gives its descriptor away.
  private func hand(_ text: String, to handOver: HandOver) -> Bool {
    let number = Self.copies.wrappingAdd(1, ordering: .relaxed).newValue
    let name = "/spillway-learned-\(getpid())-\(number)"
    let descriptor = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    // One that is left can only be of a process that had our number before.
    shm_unlink(name)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let part = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if part < 0, errno == EINTR { continue }
      guard part > 0 else { return false }
      done += part
    }
    return handOver(descriptor)
  }

  // MARK: - Metrics

  func register(in registry: MetricRegistry) {
    registry.register(
      "spillway_learned_state_saves_total",
      help: "Copies of what limits have learned, by where they went and whether they arrived.",
      .counter
    ) { [self] in
      let counts = counts.withLock { $0 }
      return Target.allCases.flatMap { target in
        let (saved, failed) = counts[target] ?? (0, 0)
        return [("saved", saved), ("failed", failed)].map {
          MetricSample(Double($0.1), ["target": target.rawValue, "outcome": $0.0])
        }
      }
    }
  }
}
