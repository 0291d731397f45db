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
    /// Since when a list waits for its names.
    var waitingSince: Instant?
    /// How often the whole list was asked for though changes were heard, by `RegistryResync`.
    var resyncs = [UInt64](repeating: 0, count: RegistryResync.allCases.count)

    /// How long a list of which something can be connected to waits for the rest of its names: one
    /// endpoint that is known already would take the load of all until they are answered.
    static let patience = Nanoseconds.seconds(2)

    var isWaiting: Bool { serving != list.endpoints }

    /// Whether nobody is served and nothing was said of it.
    var isUnheard: Bool { serving.isEmpty && list.problem == nil }

    /// Whether the list is better than what is served: all of it can be connected to, apart from
    /// names that were asked for in vain, or some of it and it has waited long enough.
    func mayServe(_ reach: (ServiceSetting.Endpoint) -> Reach, at now: Instant) -> Bool {
      let isOver = waitingSince.map { $0 + Self.patience <= now } ?? false
      var hasAddress = false
      for endpoint in list.endpoints {
        switch reach(endpoint.endpoint) {
        case .addressed: hasAddress = true
        case .failed: continue
        case .unanswered where !isOver: return false
        case .unanswered: continue
        }
      }
      return hasAddress
    }

    mutating func serve() {
      serving = list.endpoints
      waitingSince = nil
    }
  }

  /// What is known of how to reach an endpoint.
  enum Reach {
    /// It can be connected to.
    case addressed
    /// Its name was asked for in vain.
    case failed
    /// Its name was not answered yet.
    case unanswered
  }

  /// A source to be read, for whoever does.
  struct Source: Sendable, Hashable {
    var service: String
    var setting: DiscoverySetting
    var allowsUnix: Bool
  }

  /// The entries of a configuration that may take effect, and what is to be told of it then.
  struct Plan: Sendable {
    var state = State()
    var news: [News] = []
  }

  struct State: Sendable {
    var entries: [String: Entry] = [:]
    /// Host names that the configuration itself lists: they share a bound with those of lists.
    var names: Set<String> = []
  }

  /// Endpoints in all lists together: half of what a process can know, as old ones are known until
  /// their last request ends.
  static let maximumEndpoints = Settings.maximumEndpoints / 2

  /// Rings when a list changed.
  let changed = Doorbell()
  let state = Locked(State())
  let hasNews = Locked(false)
  /// Addresses that found no room in what is served, by service.
  let leftOut = Locked<[String: Int]>([:])
  let logger: Logger?

  init(logger: Logger?) { self.logger = logger }

  // MARK: - Configurations

  /// Files of endpoints that settings name anew: what they say is asked for before `plan`.
  func newFiles(_ settings: Settings) -> [Source] {
    let known = state.withLock { $0.entries }
    return settings.services.compactMap { service in
      guard let setting = service.discovery, case .file = setting,
        known[service.name]?.setting != setting
      else { return nil }
      return Source(
        service: service.name,
        setting: setting,
        allowsUnix: service.allowsUnixEndpoints
      )
    }
  }

  /// What would be served with other settings; reads nothing.
  ///
  /// - Parameters:
  ///   - settings: Those that may take effect.
  ///   - before: Those in effect, with what is served: a service keeps its endpoints until its new
  ///     source has said something of use.
  ///   - words: What files said that are new in the settings.
  ///   - heardAt: When another process heard the list that a service has before, in seconds since
  ///     1970.
  ///   - reach: What is known of an endpoint's address.
  ///   - now: The present.
  /// - Returns: What `filled` and `commit` take.
  func plan(
    _ settings: Settings,
    after before: Settings,
    words: [Source: DiscoveryWord] = [:],
    heardAt: (_ service: String) -> Int64 = { _ in 0 },
    _ reach: (ServiceSetting.Endpoint) -> Reach,
    at now: Instant
  ) -> Plan {
    let known = state.withLock { $0.entries }
    let served = Dictionary(before.services.map { ($0.name, $0) }) { first, _ in first }
    var plan = Plan()
    plan.state.names = Set(
      settings.services.flatMap { service in
        service.discovery.map { $0.question.map { [Self.key($0)] } ?? [] }
          ?? Self.names(service.listed)
      }
    )
    var added: [(source: Source, word: DiscoveryWord)] = []
    // All that is served first: what files add is judged by the room that it leaves.
    for service in settings.services {
      guard let setting = service.discovery else { continue }
      let allowsUnix = service.allowsUnixEndpoints
      if var entry = known[service.name], entry.setting == setting {
        entry.allowsUnix = allowsUnix
        plan.state.entries[service.name] = entry
        continue
      }
      let last = served[service.name]?.listed ?? []
      plan.state.entries[service.name] = Entry(
        setting: setting,
        allowsUnix: allowsUnix,
        list: EndpointList(before: last, heardAt: heardAt(service.name)),
        serving: last
      )
      let source = Source(service: service.name, setting: setting, allowsUnix: allowsUnix)
      if let word = words[source] { added.append((source, word)) }
    }
    for (source, word) in added {
      guard var entry = plan.state.entries[source.service] else { continue }
      let outcome = Self.take(
        word,
        &entry,
        beside: Use(plan.state, except: source.service),
        at: now
      )
      if entry.isWaiting, entry.mayServe(reach, at: now) { entry.serve() }
      plan.news.append(News(source.service, entry, outcome))
      plan.state.entries[source.service] = entry
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
        state.entries[service]?.waitingSince = entry.waitingSince
        state.entries[service]?.resyncs = entry.resyncs
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

  /// What is asked for the lists themselves.
  ///
  /// `plan`: What they would be, in place of what they are.
  func questions(_ plan: Plan? = nil) -> [NameQuestion] {
    let entries = plan?.state.entries ?? state.withLock { $0.entries }
    return Set(entries.values.compactMap(\.setting.question)).sorted {
      (Self.key($0)) < (Self.key($1))
    }
  }

  /// Host names in lists that wait for an address, in lower case.
  ///
  /// `plan`: What they would be, in place of what they are.
  func waitingNames(_ plan: Plan? = nil) -> Set<String> {
    let entries = plan?.state.entries ?? state.withLock { $0.entries }
    return Set(
      entries.values.filter(\.isWaiting)
        .flatMap { Self.names($0.list.endpoints) }
    )
  }

  /// What services are served with, for the next process.
  var served: [LearnedState.List] {
    all.filter { !$0.entry.serving.isEmpty }.map {
      LearnedState.List(
        service: $0.service,
        heardAt: $0.entry.list.heardAt,
        endpoints: $0.entry.serving
      )
    }
  }

  /// Waits until each registry of a service that has nobody has said something, or was asked in vain.
  ///
  /// For the start, before anybody else waits for `changed`.
  func awaitRegistries(until end: Instant) {
    /// A failure rings no bell.
    let look = Nanoseconds.milliseconds(10)
    while all.contains(where: { $0.entry.setting.isRegistry && $0.entry.isUnheard }) {
      let left = end - EdgeServer.now
      guard left > .zero else { return }
      changed.sleep(for: min(left, look))
    }
    // What rang was the upkeep thread's to hear.
    changed.wake()
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
}

extension ServiceSetting {
  /// Its endpoints as a source would list them.
  fileprivate var listed: [ListedEndpoint] {
    endpoints.enumerated().map { ListedEndpoint($1, traits(of: $0)) }
  }
}
