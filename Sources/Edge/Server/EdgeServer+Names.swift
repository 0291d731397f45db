internal import CLinux
internal import Configuration
internal import Glibc
internal import Reactor
internal import Synchronization
internal import Telemetry
internal import Units
internal import Upstream

/// Endpoints that are names: what the first worker resolves, and what became of it.
extension EdgeServer {
  /// How long a start waits for names: beyond it is better to serve what can be served.
  static let firstAnswersLimit = Nanoseconds.seconds(2)

  /// The names among the endpoints, in lower case.
  static func hosts(_ settings: Settings) throws(EdgeError) -> [String] {
    var hosts = Set<String>()
    for endpoint in settings.services.flatMap(\.endpoints) {
      guard case .host(let host, _) = endpoint, literal(endpoint).isEmpty else { continue }
      hosts.insert(host.lowercased())
    }
    guard hosts.count <= NameResolver.maximumNames else {
      throw EdgeError(
        .bound,
        "\(hosts.count) host names as endpoints; at most \(NameResolver.maximumNames) are resolved"
      )
    }
    return hosts.sorted()
  }

  /// The names to resolve: those that are served, and those of lists that wait for them.
  ///
  /// - Parameters:
  ///   - settings: As an operator wrote them.
  ///   - plan: What would be served, in place of what is.
  /// - Returns: In lower case, each once.
  /// - Throws: Where the names that are served alone are too many; of the others some are left out.
  func wantedNames(
    _ settings: Settings,
    _ plan: Discovery.Plan? = nil
  ) throws(EdgeError) -> [String] {
    let served = try Self.hosts(discovery.filled(settings, plan))
    let waiting = discovery.waitingNames(plan).subtracting(served).sorted()
    return served + waiting.prefix(NameResolver.maximumNames - served.count)
  }

  /// Whether an endpoint can be connected to by now.
  func hasAddress(_ endpoint: ServiceSetting.Endpoint) -> Bool {
    !addresses(of: endpoint).isEmpty
  }

  /// The addresses of an endpoint now; names that were never resolved have none.
  func addresses(of endpoint: ServiceSetting.Endpoint) -> [KernelAddress] {
    let literal = Self.literal(endpoint)
    guard literal.isEmpty, case .host(let host, let port) = endpoint else { return literal }
    let found = resolved.withLock { $0[host.lowercased()] } ?? []
    return found.compactMap { KernelAddress(ip: $0.description, port: port) }
  }

  /// Starts the first worker without listeners, so that no request meets an empty service.
  func startResolving(_ hosts: [String]) throws(EdgeError) {
    shared.names.expect(hosts)
    mailboxes[0].watch(hosts)
    watched.withLock { $0 = hosts }
    mailboxes[0].deliver(running.withLock { $0.snapshot }, sockets: nil)
    let thread = try startWorker(0)
    running.withLock { $0.threads.append(thread) }
    let end = Instant(clinux_monotonic_now()) + Self.firstAnswersLimit
    while !shared.names.isSettled {
      let left = end - Instant(clinux_monotonic_now())
      guard left > .zero else { break }
      var entry = pollfd(fd: shared.names.settled.descriptor, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, Int32(left.rawValue / 1_000_000) + 1)
      shared.names.settled.answer()
    }
    _ = takeAnswers()
  }

  /// Watches names and no others; what others stood for is forgotten.
  func watchNames(_ hosts: [String]) {
    let kept = Set(hosts)
    resolved.withLock { table in table = table.filter { kept.contains($0.key) } }
    mailboxes[0].watch(hosts)
    watched.withLock { $0 = hosts }
  }

  /// Publishes what names stand for and what sources list now, if that changed.
  ///
  /// - Returns: Whether it did.
  func publishAnswers() -> Bool {
    let hasAnswers = takeAnswers()
    let hasLists = discovery.takeNews()
    guard hasAnswers || hasLists || isBehind.withLock({ $0 }) else { return false }
    do throws(EdgeError) {
      try changes.withLock { _ throws(EdgeError) in
        discovery.promote(hasAddress)
        let hosts = try wantedNames(loaded.settings)
        // A new set gives up lookups under way, so the same one is not set again.
        if hosts != watched.withLock({ $0 }) { watchNames(hosts) }
        try apply(loaded, readsFiles: false)
      }
      isBehind.withLock { $0 = false }
    } catch {
      // The snapshot before goes on serving; it is tried again with the next look.
      isBehind.withLock { $0 = true }
      registry.add(counters.publishFailures)
    }
    return true
  }

  private func takeAnswers() -> Bool {
    let answers = shared.names.take()
    return resolved.withLock { table in
      var isNew = false
      for (name, addresses) in answers where table[name] != addresses {
        table[name] = addresses
        isNew = true
      }
      return isNew
    }
  }
}
