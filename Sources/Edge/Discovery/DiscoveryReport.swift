internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// What sources of endpoints say, for metrics and for those who ask why; slow plane only.
struct DiscoveryReport: Sendable {
  /// Names without an address that are shown with their reason.
  private static let shownNames = 5
  /// Zones that are shown, those with most endpoints.
  private static let shownZones = 16

  private let discovery: Discovery
  private let book: NameBook

  init(_ discovery: Discovery, _ book: NameBook) {
    self.discovery = discovery
    self.book = book
  }

  /// Host names of a list that stand for nothing.
  private func unresolved(_ entry: Discovery.Entry) -> [(name: String, problem: String)] {
    Set(Discovery.names(entry.list.endpoints)).sorted().compactMap { name in
      let known = book[name]
      guard known?.addresses.isEmpty ?? true else { return nil }
      return (name, known?.problem ?? "not answered yet")
    }
  }

  // MARK: - Metrics

  func register(in registry: MetricRegistry) {
    gauge(
      "spillway_discovery_up",
      "1 while the source of a service's endpoints says something of use, 0 while the last list is kept.",
      in: registry
    ) { $1.list.isUp ? 1 : 0 }
    gauge(
      "spillway_discovery_endpoints",
      "Endpoints in the last list that was taken.",
      in: registry
    ) { Double($1.list.endpoints.count) }
    gauge(
      "spillway_discovery_waiting",
      "1 while the last list has no address yet and the one before is served.",
      in: registry
    ) { $1.isWaiting ? 1 : 0 }
    gauge(
      "spillway_discovery_unresolved",
      "Host names of the last list that have no address.",
      in: registry
    ) { [self] in Double(unresolved($1).count) }
    gauge(
      "spillway_discovery_left_out",
      "Addresses of the list for which there is no room.",
      in: registry
    ) { [self] service, _ in Double(leftOut(service)) }
    gauge(
      "spillway_discovery_invalid_entries",
      "Entries of the last list that are of no use and left out.",
      in: registry
    ) { Double($1.list.remark?.count ?? 0) }
    gauge(
      "spillway_discovery_updated_timestamp_seconds",
      "When a list was taken last, since 1970; 0 before the first.",
      in: registry
    ) { Double($1.list.heardAt) }
    registry.register(
      "spillway_discovery_changes_total",
      help: "Lists of endpoints that differed from the ones before.",
      .counter
    ) { [discovery] in
      discovery.all.map {
        MetricSample(Double($0.entry.list.changes), Self.labels($0.service, $0.entry))
      }
    }
    registry.register(
      "spillway_discovery_resyncs_total",
      help:
        "Times that a registry was asked for the whole list though changes were heard, by reason.",
      .counter
    ) { [discovery] in
      discovery.all.flatMap { service, entry -> [MetricSample] in
        guard case .registry = entry.setting else { return [] }
        return RegistryResync.allCases.map {
          MetricSample(
            Double(entry.resyncs[$0.rawValue]),
            ["service": service, "source": entry.setting.kind, "reason": $0.label]
          )
        }
      }
    }
    registry.register(
      "spillway_discovery_failures_total",
      help: "Times that a source began to fail or failed in another way, by reason.",
      .counter
    ) { [discovery] in
      discovery.all.flatMap { service, entry in
        DiscoveryFailure.allCases.map {
          MetricSample(
            Double(entry.list.count($0)),
            ["service": service, "source": entry.setting.kind, "reason": $0.label]
          )
        }
      }
    }
  }

  private func gauge(
    _ name: String,
    _ help: String,
    in registry: MetricRegistry,
    _ value: @escaping @Sendable (_ service: String, Discovery.Entry) -> Double
  ) {
    registry.register(name, help: help, .gauge) { [discovery] in
      discovery.all.map {
        MetricSample(value($0.service, $0.entry), Self.labels($0.service, $0.entry))
      }
    }
  }

  private static func labels(_ service: String, _ entry: Discovery.Entry) -> Labels {
    ["service": service, "source": entry.setting.kind]
  }

  // MARK: - Explanation

  /// A field of a service's object in JSON, with a comma before it; nothing without a source.
  func json(_ service: String) -> String {
    guard let entry = discovery.entry(of: service) else { return "" }
    let list = entry.list
    let failures = DiscoveryFailure.allCases.map { "\"\($0.label)\":\(list.count($0))" }
    var text = ",\"discovery\":{\"source\":\"\(entry.setting.kind)\""
    text += ",\"from\":\(JSONText.literal(entry.setting.place)),\"isUp\":\(list.isUp)"
    text += ",\"endpoints\":\(list.endpoints.count)"
    text += ",\"isWaiting\":\(entry.isWaiting)"
    text += ",\"leftOut\":\(leftOut(service))"
    let missing = unresolved(entry)
    let shown = missing.prefix(Self.shownNames).map {
      "{\"name\":\(JSONText.literal($0.name)),\"problem\":\(JSONText.literal($0.problem))}"
    }
    text += ",\"unresolved\":\(missing.count),\"unresolvedNames\":[\(shown.joined(separator: ","))]"
    text += zones(list) + remark(list)
    if list.heardAt > 0 { text += ",\"updatedAt\":\"\(Self.time(list.heardAt))\"" }
    if let problem = list.problem {
      text += ",\"problem\":\(JSONText.literal(Discovery.visible(problem)))"
    }
    return text + ",\"changes\":\(list.changes),\"failures\":{\(failures.joined(separator: ","))}}"
  }

  /// Lines of a service for people, each with two spaces before it.
  func lines(_ service: String) -> [String] {
    guard let entry = discovery.entry(of: service) else { return [] }
    let list = entry.list
    var text = "  endpoints: \(list.endpoints.count) from \(entry.setting.kind)"
    text += " \(entry.setting.place)"
    text += list.heardAt > 0 ? ", heard at \(Self.time(list.heardAt))" : ", never heard"
    if entry.isWaiting { text += ", waiting for addresses of the last list" }
    let missing = unresolved(entry)
    if !missing.isEmpty {
      let shown = missing.prefix(Self.shownNames).map { "\($0.name) (\($0.problem))" }
      text += ", \(missing.count) names without an address: \(shown.joined(separator: ", "))"
    }
    if leftOut(service) > 0 { text += ", \(leftOut(service)) addresses left out" }
    if let remark = list.remark {
      text += ", \(remark.count) entries left out: \(Discovery.visible(remark.words))"
    }
    if let problem = list.problem { text += "; \(Discovery.visible(problem))" }
    return [text]
  }

  /// How many endpoints of the last list each zone has, where the source names zones.
  private func zones(_ list: EndpointList) -> String {
    var counts: [String: Int] = [:]
    for zone in list.endpoints.compactMap(\.zone) { counts[zone, default: 0] += 1 }
    guard !counts.isEmpty else { return "" }
    let shown = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(Self.shownZones)
    let fields = shown.map { "\(JSONText.literal($0.key)):\($0.value)" }
    return ",\"zones\":{\(fields.joined(separator: ","))}"
  }

  private func remark(_ list: EndpointList) -> String {
    guard let remark = list.remark else { return "" }
    let words = JSONText.literal(Discovery.visible(remark.words))
    return ",\"invalidEntries\":\(remark.count),\"invalidEntry\":\(words)"
  }

  private func leftOut(_ service: String) -> Int { discovery.leftOut.withLock { $0[service] ?? 0 } }

  private static func time(_ seconds: Int64) -> String {
    Timestamp.rfc3339(nanoseconds: seconds * 1_000_000_000)
  }
}
