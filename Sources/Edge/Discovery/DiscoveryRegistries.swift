internal import Configuration
internal import Glibc
internal import Telemetry
internal import Units
internal import Upstream

/// The thread that asks registries for endpoints and hears what changes in them.
///
/// It calls them as services of the configuration, through the workers, and never waits for one: each
/// has a call under way or a time at which the next begins. Without registries there is none.
final class DiscoveryRegistries: Sendable {
  private struct State {
    var sources: [Discovery.Source] = []
    /// Sources that were away at some time since the thread looked: what they said is forgotten.
    var left: Set<Discovery.Source> = []
    var hasStarted = false
  }

  /// How long the end waits for the file of a token that is being read.
  private static let patience = Nanoseconds.seconds(2)

  private let discovery: Discovery
  private let caller: any ServiceCaller
  private let pacing: RegistryPacing
  private let seed: UInt64
  private let state = Locked(State())
  private let thread = StoppableThread()

  /// - Parameters:
  ///   - discovery: Who hears what they say.
  ///   - caller: Who calls them.
  ///   - pacing: When they are asked again.
  ///   - seed: Seed of the spread between questions.
  init(
    _ discovery: Discovery,
    _ caller: any ServiceCaller,
    pacing: RegistryPacing,
    seed: UInt64
  ) {
    self.discovery = discovery
    self.caller = caller
    self.pacing = pacing
    self.seed = seed
  }

  /// Starts the thread where settings name a registry, unless it runs.
  func start(for settings: Settings) throws(EdgeError) {
    guard settings.services.contains(where: { $0.discovery?.isRegistry == true }) else { return }
    try state.withLock { state throws(EdgeError) in
      guard !state.hasStarted else { return }
      guard thread.start(name: "registries", run: { [self] in run() }) else {
        throw EdgeError(.resources, "cannot start the thread that asks registries")
      }
      state.hasStarted = true
    }
  }

  /// Asks for the registries among these sources and for no others; new ones at once.
  func watch(_ sources: [Discovery.Source]) {
    let wanted = sources.filter(\.setting.isRegistry)
    state.withLock { state in
      state.left.formUnion(Set(state.sources).subtracting(wanted))
      state.sources = wanted
    }
    thread.bell.wake()
  }

  /// Gives all calls up and ends the thread; one that reads from a disk that is away is left to itself.
  func stop() { _ = thread.stop(within: Self.patience) }

  private func run() {
    var feeds: [Discovery.Source: RegistryFeed] = [:]
    var random = SplitMix64(seed: seed)
    while !thread.isStopping {
      // Answered before the look, so that what comes after it rings again.
      thread.bell.answer()
      adopt(&feeds)
      let now = EdgeServer.now
      for feed in feeds.values where !thread.isStopping {
        feed.advance(discovery, at: now, using: &random)
      }
      wait(feeds)
    }
    for feed in feeds.values { feed.cancel() }
  }

  private func adopt(_ feeds: inout [Discovery.Source: RegistryFeed]) {
    let (sources, left) = state.withLock { state in
      defer { state.left = [] }
      return (Set(state.sources), state.left)
    }
    for source in left { feeds.removeValue(forKey: source)?.cancel() }
    guard sources != Set(feeds.keys) else { return }
    for (source, feed) in feeds where !sources.contains(source) {
      feed.cancel()
      feeds[source] = nil
    }
    for source in sources where feeds[source] == nil {
      feeds[source] = RegistryFeed(source, caller, pacing, at: EdgeServer.now)
    }
  }

  /// Sleeps until a call has something to say, somebody rings or a time has come.
  private func wait(_ feeds: [Discovery.Source: RegistryFeed]) {
    var bells = [pollfd(fd: thread.bell.descriptor, events: Int16(POLLIN), revents: 0)]
    var due = Instant.never
    for feed in feeds.values {
      due = min(due, feed.due)
      guard let call = feed.call else { continue }
      bells.append(pollfd(fd: call.descriptor, events: call.events, revents: 0))
    }
    let left = due == .never ? -1 : max(0, (due - EdgeServer.now).rawValue / 1_000_000 + 1)
    poll(&bells, nfds_t(bells.count), due == .never ? -1 : Int32(clamping: left))
  }
}

extension DiscoverySetting {
  var isRegistry: Bool {
    if case .registry = self { return true }
    return false
  }
}
