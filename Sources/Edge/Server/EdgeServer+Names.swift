internal import CLinux
internal import Configuration
internal import Glibc
internal import Logging
internal import Reactor
internal import Synchronization
internal import Telemetry
internal import Units
internal import Upstream

/// Endpoints that are names: what the first worker resolves, and what became of it.
extension EdgeServer {
  /// How long a start waits for names: beyond it is better to serve what can be served.
  static let firstAnswersLimit = Nanoseconds.seconds(2)
  /// The same where the process before handed over all of them: then answers only make them fresh.
  private static let freshAnswersLimit = Nanoseconds.milliseconds(200)

  /// The names among the endpoints, in lower case.
  static func hosts(_ settings: Settings) throws(EdgeError) -> [String] {
    var hosts = Set<String>()
    for endpoint in settings.services.flatMap(\.endpoints) {
      guard case .host(let host, _) = endpoint, literal(endpoint).isEmpty else { continue }
      hosts.insert(host.lowercased())
    }
    guard hosts.count <= NameResolver.maximumNames else { throw tooManyNames(hosts.count) }
    return hosts.sorted()
  }

  /// What to ask name servers: sources, names that are served, and those of lists that wait for them.
  ///
  /// - Parameters:
  ///   - settings: As an operator wrote them.
  ///   - plan: What would be served, in place of what is.
  /// - Returns: Names in lower case, each question once.
  /// - Throws: Where sources and served names alone are too many; of the others some are left out.
  func questions(
    _ settings: Settings,
    _ plan: Discovery.Plan? = nil
  ) throws(EdgeError) -> [NameQuestion] {
    let served = try Self.hosts(discovery.filled(settings, plan)).map { NameQuestion($0) }
    let known = Set(served)
    let needed = served + discovery.questions(plan).filter { !known.contains($0) }
    guard needed.count <= NameResolver.maximumNames else { throw Self.tooManyNames(needed.count) }
    let waiting = discovery.waitingNames(plan).map { NameQuestion($0) }
    let all = Set(needed)
    return needed
      + waiting.filter { !all.contains($0) }.sorted { $0.name < $1.name }
      .prefix(NameResolver.maximumNames - needed.count)
  }

  private static func tooManyNames(_ count: Int) -> EdgeError {
    EdgeError(
      .bound,
      "\(count) host names as endpoints; at most \(NameResolver.maximumNames) are resolved"
    )
  }

  /// What is known of how to reach an endpoint.
  func reach(_ endpoint: ServiceSetting.Endpoint) -> Discovery.Reach {
    guard case .host(let host, _) = endpoint, Self.literal(endpoint).isEmpty else {
      return .addressed
    }
    guard let entry = book[host.lowercased()] else { return .unanswered }
    if !entry.addresses.isEmpty { return .addressed }
    return entry.problem == nil ? .unanswered : .failed
  }

  /// The addresses of an endpoint now; names that were never resolved have none.
  func addresses(of endpoint: ServiceSetting.Endpoint) -> [KernelAddress] {
    let literal = Self.literal(endpoint)
    guard literal.isEmpty, case .host(let host, let port) = endpoint else { return literal }
    let found = book[host.lowercased()]?.addresses ?? []
    return found.compactMap { KernelAddress(ip: $0.description, port: port) }
  }

  /// Starts the first worker without listeners, so that no request meets an empty service.
  func startResolving(_ questions: [NameQuestion]) throws(EdgeError) {
    shared.names.expect(questions)
    watch(questions)
    mailboxes[0].deliver(running.withLock { $0.snapshot }, sockets: nil)
    let thread = try startWorker(0)
    running.withLock { $0.threads.append(thread) }
    let hasAll =
      questions.allSatisfy { $0.kind == .services || book[$0.name]?.addresses.isEmpty == false }
      && discovery.all.allSatisfy { !$0.entry.serving.isEmpty }
    let end = Self.now + (hasAll ? Self.freshAnswersLimit : Self.firstAnswersLimit)
    var asked = questions
    while awaitAnswers(until: end) {
      _ = takeAnswers()
      // Records of services name hosts, which are asked for in turn.
      let next = try self.questions(loaded.settings)
      guard next != asked else { return }
      shared.names.expect(next.filter { !asked.contains($0) })
      watch(next)
      asked = next
    }
    _ = takeAnswers()
  }

  /// Whether all that was expected came in time.
  private func awaitAnswers(until end: Instant) -> Bool {
    while !shared.names.isSettled {
      let left = end - Self.now
      guard left > .zero else { return false }
      shared.names.settled.sleep(for: left)
    }
    return true
  }

  /// Asks these questions and no others; what other names stood for is forgotten.
  func watch(_ questions: [NameQuestion]) {
    book.keep(Set(questions.filter { $0.kind == .addresses }.map(\.name)))
    mailboxes[0].watch(questions)
    watched.withLock { $0 = Set(questions) }
  }

  /// Publishes what names stand for and what sources list now, if that changed.
  ///
  /// - Returns: Whether it did, or tried.
  func publishAnswers() -> Bool {
    let hasAnswers = takeAnswers()
    let hasPromoted = discovery.promote(reach, at: Self.now)
    let hasLists = discovery.takeNews()
    let isDue = arrears.withLock { $0.isDue(at: Self.now) }
    guard hasAnswers || hasPromoted || hasLists || isDue else { return false }
    do throws(EdgeError) {
      try changes.withLock { _ throws(EdgeError) in
        let questions = try questions(loaded.settings)
        if Set(questions) != watched.withLock({ $0 }) { watch(questions) }
        try apply(loaded, readsFiles: false)
      }
      if arrears.withLock({ $0.end() }) {
        options.logger?.notice("names and lists of endpoints are published again")
      }
    } catch {
      // The snapshot before goes on serving; it is tried again with the next answer, and in between.
      registry.add(counters.publishFailures)
      if arrears.withLock({ $0.note(error.code, at: Self.now) }) {
        options.logger?.error(
          "names and lists of endpoints cannot be published, and are served as they were: \(error.description)"
        )
      }
    }
    return true
  }

  /// How long nothing is to be published without another answer; `nil` for ever.
  var untilPublishing: Nanoseconds? {
    [arrears.withLock { $0.due }, discovery.nextPromotion(after: Self.now)]
      .compactMap(\.self).min().map { max(.zero, $0 - Self.now) }
  }

  /// Takes what lookups came to, of sources as well.
  ///
  /// - Returns: Whether a name stands for something else.
  private func takeAnswers() -> Bool {
    let all = shared.names.take()
    let isNew = book.take(all)
    // Behind the addresses, so that what they stand for is there when a list is.
    discovery.hear(all)
    return isNew
  }
}
