internal import Configuration
internal import Logging
internal import Units
internal import Upstream

/// Lists of endpoints as they are at the start: of the process before, of files and of registries.
extension EdgeServer {
  /// Starts the workers without listeners where a service waits for its registry: calls are theirs.
  ///
  /// `started`: Workers that run already.
  ///
  /// - Returns: Workers that run then.
  func startAsking(after started: Int) throws(EdgeError) -> Int {
    try discoveryRegistries.start(for: loaded.settings)
    guard discovery.all.contains(where: { $0.entry.setting.isRegistry && $0.entry.serving.isEmpty })
    else { return started }
    // The first snapshot knows neither names nor lists, by which a registry may be found itself.
    _ = discovery.promote(reach, at: Self.now)
    try changes.withLock { _ throws(EdgeError) in
      try apply(loaded, readsFiles: false, opens: false)
    }
    let snapshot = running.withLock { $0.snapshot }
    for number in started..<workerCount {
      mailboxes[number].deliver(snapshot, sockets: nil)
      let thread = try startWorker(number)
      running.withLock { $0.threads.append(thread) }
    }
    discoveryRegistries.watch(discovery.sources)
    discovery.awaitRegistries(until: Self.now + Self.firstAnswersLimit)
    return workerCount
  }

  /// Has files and registries read by whoever does, as they are named now.
  func watchSources() {
    discoveryFiles.watch(discovery.sources)
    discoveryRegistries.watch(discovery.sources)
  }

  /// What the files say that are new in settings, as far as they say it soon; the rest is heard later.
  func readLists(
    _ settings: Settings
  ) throws(EdgeError) -> [Discovery.Source: DiscoveryWord] {
    let sources = discovery.newFiles(settings)
    guard !sources.isEmpty else { return [:] }
    try discoveryFiles.start()
    return discoveryFiles.ask(sources)
  }

  /// Begins as at a reload: what the process before had is served until a source says something.
  ///
  /// - Returns: What is asked of name servers.
  func beginLists(
    _ words: [Discovery.Source: DiscoveryWord]
  ) throws(EdgeError) -> [NameQuestion] {
    func begin(after before: Settings) throws(EdgeError) -> [NameQuestion] {
      let plan = discovery.plan(
        loaded.settings,
        after: before,
        words: words,
        heardAt: { beginning.heardAt($0) },
        reach,
        at: Self.now
      )
      let questions = try questions(loaded.settings, plan)
      discovery.commit(plan)
      return questions
    }
    do {
      return try begin(after: beginning.filled(loaded.settings))
    } catch  where !beginning.lists.isEmpty {
      // Beside what the file names now there may be no room for it, and a start is worth more.
      options.logger?.error(
        "endpoints of the process before are not used: \(error.description)"
      )
      return try begin(after: loaded.settings)
    }
  }
}
