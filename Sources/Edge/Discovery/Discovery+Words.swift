internal import CLinux
internal import Configuration
internal import Logging
internal import Telemetry
internal import Units
internal import Upstream

/// What sources say, and which of it is taken.
extension Discovery {
  /// A source said something.
  func hear(_ word: DiscoveryWord, from source: Source) {
    let news = state.withLock { state -> News? in
      // A reload may have given the service another source meanwhile.
      guard var entry = state.entries[source.service], entry.setting == source.setting else {
        return nil
      }
      let remark = entry.list.remark
      let outcome = Self.take(
        word,
        &entry,
        beside: Use(state, except: source.service),
        at: EdgeServer.now
      )
      state.entries[source.service] = entry
      var news = News(source.service, entry, outcome)
      if entry.list.remark != remark { news.remark = entry.list.remark }
      return news
    }
    guard let news else { return }
    tell(news)
    if case .changed = news.outcome {
      hasNews.withLock { $0 = true }
      changed.wake()
    }
  }

  /// A source asked for its whole list, though it was hearing changes.
  func note(_ resync: RegistryResync, of source: Source) {
    let isNews = state.withLock { state in
      guard state.entries[source.service]?.setting == source.setting else { return false }
      state.entries[source.service]?.resyncs[resync.rawValue] += 1
      return true
    }
    guard isNews, resync != .periodic else { return }
    logger?.notice(
      "the endpoints of \(source.service) are asked for anew: \(resync.label) (\(source.setting.kind) \(source.setting.place))"
    )
  }

  /// Name servers said something, or nothing.
  func hear(_ all: [NameQuestion: NameNews]) {
    guard !all.isEmpty else { return }
    for source in sources {
      guard let question = source.setting.question, let news = all[question] else { continue }
      // What came before a failure counts as well. What the resolver only says again is nothing that
      // the source said now, unless the service has this source since.
      let isHeard = news.isRepeat && entry(of: source.service)?.list.hasHeard == true
      if !isHeard, let list = source.setting.list(news) { hear(.list(list), from: source) }
      if let problem = news.problem {
        hear(.failure(.unavailable, "\(question.name): \(problem)"), from: source)
      }
    }
  }

  /// Whether a list changed since the last call.
  func takeNews() -> Bool {
    hasNews.withLock { hasNews in
      defer { hasNews = false }
      return hasNews
    }
  }

  /// Serves each list of which enough can be connected to.
  ///
  /// - Parameters:
  ///   - reach: What is known of an endpoint's address.
  ///   - now: The present.
  /// - Returns: Whether there was one.
  func promote(_ reach: (ServiceSetting.Endpoint) -> Reach, at now: Instant) -> Bool {
    var hasPromoted = false
    for (service, entry) in state.withLock({ $0.entries }) {
      guard entry.isWaiting, entry.mayServe(reach, at: now) else { continue }
      hasPromoted =
        state.withLock { state in
          guard state.entries[service]?.list.endpoints == entry.list.endpoints else {
            return false
          }
          state.entries[service]?.serve()
          return true
        } || hasPromoted
    }
    return hasPromoted
  }

  /// When a list has waited long enough for the rest of its names, `nil` where none does.
  func nextPromotion(after now: Instant) -> Instant? {
    state.withLock { state in
      // One that has waited longer needs an address, of which we hear.
      state.entries.values.compactMap(\.waitingSince).map { $0 + Entry.patience }
        .filter { $0 > now }.min()
    }
  }

  // MARK: - Bounds

  /// What all but one service take of the bounds.
  struct Use {
    var endpoints = 0
    var names: Set<String>

    init(_ state: State, except service: String) {
      names = state.names
      for (name, entry) in state.entries where name != service {
        // A list that waits is held beside the one that serves, and either may be served next.
        endpoints += max(entry.list.endpoints.count, entry.serving.count)
        names.formUnion(Discovery.names(entry.list.endpoints))
        if entry.isWaiting { names.formUnion(Discovery.names(entry.serving)) }
      }
    }
  }

  /// How a question is counted among host names: records of services are no addresses.
  static func key(_ question: NameQuestion) -> String {
    question.kind == .services ? "\(question.name) SRV" : question.name
  }

  static func names(_ endpoints: [ListedEndpoint]) -> [String] {
    endpoints.compactMap { listed in
      guard case .host(let host, _) = listed.address,
        EdgeServer.literal(listed.endpoint).isEmpty
      else { return nil }
      return host.lowercased()
    }
  }

  static func take(
    _ word: DiscoveryWord,
    _ entry: inout Entry,
    beside use: @autoclosure () -> Use,
    at now: Instant
  ) -> EndpointList.Outcome {
    switch word {
    case .failure(let failure, let problem): return entry.list.fail(failure, problem)
    case .list(let list, let remark):
      // Most words say what is known, and looking at all lists is dear.
      if list != entry.list.endpoints, let problem = excess(list, beside: use()) {
        return entry.list.fail(.tooMany, problem)
      }
      let outcome = entry.list.hear(
        list,
        at: clinux_wall_now() / 1_000_000_000,
        remark: remark
      )
      // Where there is nobody, somebody without an address is no worse.
      if entry.serving.isEmpty || !entry.isWaiting { entry.serve() }
      // Counted from the first list that waits: lists that change without rest wait no longer.
      if entry.isWaiting, entry.waitingSince == nil { entry.waitingSince = now }
      return outcome
    }
  }

  private static func excess(_ list: [ListedEndpoint], beside use: Use) -> String? {
    // Of files that is said where they are read; name servers have no such bound.
    guard list.count <= EndpointFile.maximumEndpoints else {
      return "lists \(list.count) endpoints; at most \(EndpointFile.maximumEndpoints) are possible"
    }
    if use.endpoints + list.count > maximumEndpoints {
      return "lists \(list.count) endpoints beside \(use.endpoints) of other services; "
        + "at most \(maximumEndpoints) are possible"
    }
    let names = use.names.union(names(list))
    guard names.count > NameResolver.maximumNames else { return nil }
    return "lists host names, of which there would be \(names.count) with those of other services; "
      + "at most \(NameResolver.maximumNames) are resolved"
  }
}

extension DiscoverySetting {
  /// What name servers are asked for it.
  var question: NameQuestion? {
    switch self {
    case .file, .registry: nil
    case .addresses(let name, _): NameQuestion(name)
    case .services(let name, _): NameQuestion(name, .services)
    }
  }

  /// The list that an answer stands for, `nil` where there was none.
  fileprivate func list(_ news: NameNews) -> [ListedEndpoint]? {
    switch self {
    case .file, .registry: nil
    case .addresses(let name, let port):
      // The name itself: what it stands for is looked up with all others.
      news.addresses.map { _ in [ListedEndpoint(.host(name, port: port))] }
    case .services(_, let port): news.services.map { ServiceRecord.endpoints($0, port: port) }
    }
  }
}
