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

  /// The entries of a configuration that may take effect, and what is to be told of it then.
  struct Plan: Sendable {
    var state = State()
    var news: [News] = []

    /// Whether files are to be read.
    var hasFiles: Bool {
      state.entries.values.contains { if case .file = $0.setting { true } else { false } }
    }
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
  let logger: Logger?

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
      settings.services.flatMap { service in
        service.discovery.map { $0.question.map { [Self.key($0)] } ?? [] }
          ?? Self.names(service.listed)
      }
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
}

extension ServiceSetting {
  /// Its endpoints as a source would list them.
  fileprivate var listed: [ListedEndpoint] {
    endpoints.enumerated().map { ListedEndpoint($1, traits(of: $0)) }
  }
}
