internal import CLinux
internal import Configuration
internal import Logging
internal import Telemetry
internal import Units
internal import Upstream

/// The endpoints of services that do not list them: what sources said, and what is served of it.
///
/// Slow plane only. Whoever hears a source calls `hear`; the upkeep thread takes what changed and
/// publishes it. Two rules hold throughout: what is no good list changes nothing, and a list takes
/// the place of another one only once it has an address to go to, so a service that has endpoints
/// is never left without.
final class Discovery: Sendable {
  struct Entry: Sendable {
    var setting: DiscoverySetting
    var allowsUnix: Bool
    var list: EndpointList
    /// What requests are balanced over; behind `list` while names in that are unresolved.
    var serving: [ListedEndpoint]
  }

  /// A source to be read, for whoever does.
  struct Source: Sendable, Equatable {
    var service: String
    var setting: DiscoverySetting
    var allowsUnix: Bool
  }

  /// The entries of a configuration that may take effect.
  struct Plan: Sendable {
    fileprivate var state = State()
    fileprivate var news: [News] = []

    /// Whether files are to be read.
    var hasFiles: Bool {
      state.entries.values.contains { if case .file = $0.setting { true } else { false } }
    }
  }

  fileprivate struct State: Sendable {
    var entries: [String: Entry] = [:]
    /// Host names that the configuration itself lists: they share a bound with those of lists.
    var names: Set<String> = []
  }

  fileprivate struct News: Sendable {
    var service: String
    var setting: DiscoverySetting
    var outcome: EndpointList.Outcome
    var total: Int
    var problem: String?
  }

  /// Endpoints in all lists together: half of what a process can know, as old ones are known until
  /// their last request ends.
  static let maximumEndpoints = Settings.maximumEndpoints / 2

  /// Rings when a list changed.
  let changed = Doorbell()
  private let state = Locked(State())
  private let hasNews = Locked(false)
  private let logger: Logger?

  init(logger: Logger?) { self.logger = logger }

  // MARK: - Configurations

  /// What would be served with other settings; reads the files that are new in them.
  ///
  /// - Parameters:
  ///   - settings: Those that may take effect.
  ///   - before: Those in effect, with what is served: a service keeps its endpoints until its new
  ///     source has said something of use.
  ///   - hasAddress: Whether an endpoint can be connected to by now.
  /// - Returns: What `filled` and `commit` take.
  func plan(
    _ settings: Settings,
    after before: Settings,
    _ hasAddress: (ServiceSetting.Endpoint) -> Bool
  ) -> Plan {
    let known = state.withLock { $0.entries }
    let served = Dictionary(before.services.map { ($0.name, $0) }) { first, _ in first }
    var plan = Plan()
    plan.state.names = Set(
      settings.services.filter { $0.discovery == nil }.flatMap { Self.names($0.listed) }
    )
    for service in settings.services {
      guard let setting = service.discovery else { continue }
      if var entry = known[service.name], entry.setting == setting {
        entry.allowsUnix = service.allowsUnixEndpoints
        plan.state.entries[service.name] = entry
        continue
      }
      let last = served[service.name]?.listed ?? []
      var entry = Entry(
        setting: setting,
        allowsUnix: service.allowsUnixEndpoints,
        list: EndpointList(before: last),
        serving: last
      )
      if case .file(let path) = setting {
        let word = DiscoveredFile.read(path, allowsUnix: entry.allowsUnix)
        let outcome = Self.take(word, &entry, beside: Use(plan.state, except: service.name))
        if entry.list.endpoints.contains(where: { hasAddress($0.endpoint) }) {
          entry.serving = entry.list.endpoints
        }
        plan.news.append(News(service.name, entry, outcome))
      }
      plan.state.entries[service.name] = entry
    }
    return plan
  }

  /// A configuration has taken effect.
  func commit(_ plan: Plan) {
    state.withLock { state in
      let current = state.entries
      state = plan.state
      // Those that go on may have been heard of since the plan was made.
      for (service, entry) in current where state.entries[service]?.setting == entry.setting {
        state.entries[service]?.list = entry.list
        state.entries[service]?.serving = entry.serving
      }
    }
    for news in plan.news { tell(news) }
  }

  /// Settings in which services with a source have the endpoints that they are served with.
  ///
  /// `plan`: What they would be, in place of what they are.
  func filled(_ settings: Settings, _ plan: Plan? = nil) -> Settings {
    let entries = plan?.state.entries ?? state.withLock { $0.entries }
    guard !entries.isEmpty else { return settings }
    var settings = settings
    for index in settings.services.indices {
      guard let entry = entries[settings.services[index].name] else { continue }
      settings.services[index].endpoints = entry.serving.map(\.endpoint)
      settings.services[index].endpointTraits = entry.serving.map(\.traits)
    }
    return settings
  }

  /// Host names in lists that wait for an address, in lower case.
  ///
  /// `plan`: What they would be, in place of what they are.
  func waitingNames(_ plan: Plan? = nil) -> Set<String> {
    let entries = plan?.state.entries ?? state.withLock { $0.entries }
    return Set(
      entries.values.filter { $0.serving != $0.list.endpoints }
        .flatMap { Self.names($0.list.endpoints) }
    )
  }

  var isEmpty: Bool { state.withLock { $0.entries.isEmpty } }

  /// What is to be read, by service.
  var sources: [Source] {
    all.map {
      Source(service: $0.service, setting: $0.entry.setting, allowsUnix: $0.entry.allowsUnix)
    }
  }

  /// Services with what is known of their sources.
  var all: [(service: String, entry: Entry)] {
    state.withLock { $0.entries }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  func entry(of service: String) -> Entry? { state.withLock { $0.entries[service] } }

  // MARK: - Words

  /// A source said something.
  func hear(_ word: DiscoveryWord, from source: Source) {
    let news = state.withLock { state -> News? in
      // A reload may have given the service another source meanwhile.
      guard var entry = state.entries[source.service], entry.setting == source.setting else {
        return nil
      }
      let outcome = Self.take(word, &entry, beside: Use(state, except: source.service))
      state.entries[source.service] = entry
      return News(source.service, entry, outcome)
    }
    guard let news else { return }
    tell(news)
    if case .changed = news.outcome {
      hasNews.withLock { $0 = true }
      changed.wake()
    }
  }

  /// Whether a list changed since the last call.
  func takeNews() -> Bool {
    hasNews.withLock { hasNews in
      defer { hasNews = false }
      return hasNews
    }
  }

  /// Serves each list that has come to an address.
  ///
  /// `hasAddress`: Whether an endpoint can be connected to by now.
  func promote(_ hasAddress: (ServiceSetting.Endpoint) -> Bool) {
    let waiting = state.withLock { $0.entries }.filter {
      $0.value.serving != $0.value.list.endpoints
    }
    for (service, entry) in waiting
    where entry.list.endpoints.contains(where: { hasAddress($0.endpoint) }) {
      state.withLock { state in
        guard state.entries[service]?.list.endpoints == entry.list.endpoints else { return }
        state.entries[service]?.serving = entry.list.endpoints
      }
    }
  }

  // MARK: - Bounds

  /// What all but one service take of the bounds.
  private struct Use {
    var endpoints = 0
    var names: Set<String>

    init(_ state: State, except service: String) {
      names = state.names
      for (name, entry) in state.entries where name != service {
        endpoints += entry.list.endpoints.count
        names.formUnion(Discovery.names(entry.list.endpoints))
      }
    }
  }

  private static func names(_ endpoints: [ListedEndpoint]) -> [String] {
    endpoints.compactMap { listed in
      guard case .host(let host, _) = listed.address,
        EdgeServer.literal(listed.endpoint).isEmpty
      else { return nil }
      return host.lowercased()
    }
  }

  private static func take(
    _ word: DiscoveryWord,
    _ entry: inout Entry,
    beside use: Use
  ) -> EndpointList.Outcome {
    switch word {
    case .failure(let failure, let problem): return entry.list.fail(failure, problem)
    case .list(let list):
      if let problem = excess(list, beside: use) { return entry.list.fail(.tooMany, problem) }
      let outcome = entry.list.hear(list, at: clinux_wall_now() / 1_000_000_000)
      // Where there is nobody, somebody without an address is no worse.
      if entry.serving.isEmpty { entry.serving = entry.list.endpoints }
      return outcome
    }
  }

  private static func excess(_ list: [ListedEndpoint], beside use: Use) -> String? {
    if use.endpoints + list.count > maximumEndpoints {
      return "lists \(list.count) endpoints beside \(use.endpoints) of other services; "
        + "at most \(maximumEndpoints) are possible"
    }
    let names = use.names.union(names(list))
    guard names.count > NameResolver.maximumNames else { return nil }
    return "lists host names, of which there would be \(names.count) with those of other services; "
      + "at most \(NameResolver.maximumNames) are resolved"
  }

  // MARK: - Telling

  /// Characters of a problem in a log line; it may quote the file.
  private static let longestProblem = 600

  private func tell(_ news: News) {
    let source = "\(news.setting.kind) \(news.setting.place)"
    switch news.outcome {
    case .changed(let change):
      logger?.notice(
        "endpoints of \(news.service): \(change.added) added, \(change.removed) removed, \(change.changed) changed, \(news.total) in all (\(source))"
      )
    case .unchanged(hasRecovered: true):
      logger?.notice("endpoints of \(news.service) can be read again, unchanged (\(source))")
    case .unchanged, .refused(isNews: false): break
    case .refused(isNews: true):
      let problem = Self.visible(news.problem ?? "")
      logger?.error(
        "endpoints of \(news.service) stay as they are, \(news.total) in all: \(problem)"
      )
    }
  }

  /// A text of others within bounds, without what steers terminals or ends lines.
  static func visible(_ text: String) -> String {
    let scalars = text.unicodeScalars.prefix(longestProblem).map { scalar in
      switch scalar.value {
      case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: Unicode.Scalar(0x3F as UInt8)
      default: scalar
      }
    }
    return String(String.UnicodeScalarView(scalars))
  }
}

extension Discovery.News {
  fileprivate init(
    _ service: String,
    _ entry: Discovery.Entry,
    _ outcome: EndpointList.Outcome
  ) {
    self.init(
      service: service,
      setting: entry.setting,
      outcome: outcome,
      total: entry.list.endpoints.count,
      problem: entry.list.problem
    )
  }
}

extension ServiceSetting {
  /// Its endpoints as a source would list them.
  fileprivate var listed: [ListedEndpoint] {
    endpoints.enumerated().map { ListedEndpoint($1, traits(of: $0)) }
  }
}
