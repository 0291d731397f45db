internal import CLinux
internal import Configuration
internal import Logging
internal import Telemetry
internal import Upstream

/// What a process began with of what another one had learned, and what of it was of no use.
struct LearnedBeginning: Sendable {
  /// Services that began with it.
  private(set) var services: [LearnedState.Service] = []
  /// What services with a source of endpoints were served with, and what names stood for.
  private(set) var lists: [LearnedState.List] = []
  private(set) var names: [LearnedState.Name] = []
  private var source = LearnedSource.file
  private var ignored: [(source: LearnedSource, fault: LearnedFault, count: Int)] = []

  /// Looks for what was kept.
  ///
  /// - Returns: Beside the beginning what services may take of it.
  static func find(
    directory: String?,
    handed: Int32?
  ) -> (beginning: LearnedBeginning, offer: [LearnedState.Service]) {
    let now = clinux_wall_now() / 1_000_000_000
    let found = LearnedSource.find(directory: directory, handed: handed, now: now)
    var beginning = LearnedBeginning()
    beginning.source = found.source
    for (source, fault) in found.faults { beginning.ignore(source, fault) }
    beginning.lists = found.state?.lists ?? []
    beginning.names = found.state?.names ?? []
    return (beginning, found.state?.services ?? [])
  }

  /// The configuration has been compiled: `taken` is what its services took.
  mutating func adopt(_ taken: AdmissionDirectory.Taken) {
    services = taken.services
    for (fault, count) in [
      (LearnedFault.unknownService, taken.strangers), (.otherLimit, taken.otherLimits),
      (.unknownRoute, taken.unknownRoutes),
    ] where count > 0 {
      ignore(source, fault, count)
    }
  }

  private mutating func ignore(_ source: LearnedSource, _ fault: LearnedFault, _ count: Int = 1) {
    ignored.append((source, fault, count))
  }

  func log(to logger: Logger?) {
    for (source, fault, count) in ignored {
      logger?.warning(
        "what limits had learned is not used",
        metadata: [
          "source": "\(source.rawValue)", "reason": "\(fault.label)", "count": "\(count)",
        ]
      )
    }
    if !lists.isEmpty {
      logger?.notice(
        "endpoints of the process before are known until sources say something",
        metadata: ["source": "\(source.rawValue)", "services": "\(lists.count)"]
      )
    }
    guard !services.isEmpty else { return }
    logger?.notice(
      "limits begin with what they had learned",
      metadata: ["source": "\(source.rawValue)", "services": "\(services.count)"]
    )
  }

  /// Settings in which services with a source of endpoints have those that they were served with.
  func filled(_ settings: Settings) -> Settings {
    let known = Dictionary(lists.map { ($0.service, $0.endpoints) }) { first, _ in first }
    var settings = settings
    for index in settings.services.indices where settings.services[index].discovery != nil {
      let service = settings.services[index]
      let endpoints = (known[service.name] ?? []).filter {
        // TLS may have been set meanwhile, for which a socket has no name.
        if case .unix = $0.address { service.allowsUnixEndpoints } else { true }
      }
      settings.services[index].endpoints = endpoints.map(\.endpoint)
      settings.services[index].endpointTraits = endpoints.map(\.traits)
    }
    return settings
  }

  /// When the list of a service was heard.
  func heardAt(_ service: String) -> Int64 { lists.first { $0.service == service }?.heardAt ?? 0 }

  func register(in registry: MetricRegistry) {
    registry.register(
      "spillway_learned_state_services",
      help: "Services that began with what their limits had learned before, by where it was found.",
      .gauge
    ) {
      LearnedSource.allCases.map {
        let count = $0 == source ? services.count : 0
        return MetricSample(Double(count), ["source": $0.rawValue])
      }
    }
    registry.register(
      "spillway_learned_state_ignored_total",
      help: "Parts of what limits had learned before that are of no use, by why.",
      .counter
    ) {
      ignored.map {
        MetricSample(
          Double($0.count),
          ["source": $0.source.rawValue, "reason": $0.fault.label]
        )
      }
    }
  }
}
