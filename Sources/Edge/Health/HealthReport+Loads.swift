internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// What endpoints report of their load, the weights that follow, and how much stays in the edge's zone.
extension HealthReport {
  func registerLoads(in registry: MetricRegistry) {
    registry.register(
      "spillway_endpoint_reported_utilization",
      help: "What an endpoint says to be in use of all that it can do, by its last report.",
      .gauge
    ) { [self] in
      let now = now
      return endpointSamples(reporting) { service, endpoint, _ in
        guard let settings = service.reports else { return nil }
        return health.load(endpoint.lease.place).utilization(at: now, settings)
      }
    }
    registry.register(
      "spillway_endpoint_weight",
      help: "The weight that an endpoint is chosen with, of services that use reports of load.",
      .gauge
    ) { [self] in
      let reporting = reporting
      let weights = Dictionary(
        reporting.map { ($0.name, self.weights($0)) },
        uniquingKeysWith: { first, _ in first }
      )
      return endpointSamples(reporting) { service, endpoint, index in
        guard let inEffect = weights[service.name] ?? nil else {
          return Double(endpoint.traits.weight)
        }
        return Double(inEffect[index])
      }
    }
    registry.register(
      "spillway_zone_local_share",
      help: "Share of the requests of a service that stay in the edge's own zone.",
      .gauge
    ) { [self] in
      services.withLock { $0 }.compactMap { service in
        localShare(service).map { MetricSample($0, ["service": service.name]) }
      }
    }
  }

  private var reporting: [Service] { services.withLock { $0 }.filter { $0.reports != nil } }

  private func endpointSamples(
    _ services: [Service],
    _ value: (Service, Endpoint, Int) -> Double?
  ) -> [MetricSample] {
    var left = Self.mostEndpoints
    var samples: [MetricSample] = []
    for service in services {
      for (index, endpoint) in service.endpoints.prefix(left).enumerated() {
        guard let value = value(service, endpoint, index) else { continue }
        samples.append(
          MetricSample(value, ["service": service.name, "endpoint": endpoint.name])
        )
      }
      left -= min(left, service.endpoints.count)
    }
    return samples
  }

  /// The weights that follow from reports in the order of the endpoints, as workers work them out;
  /// `nil` while those of the configuration count.
  func weights(_ service: Service) -> [Int32]? {
    guard let settings = service.reports, settings.usesWeights else { return nil }
    let now = now
    let reported = service.endpoints.map {
      health.load($0.lease.place).weight(at: now, settings)
    }
    let tiers = tier(service)
    var weights = ReportedWeights()
    for (index, weight) in reported.enumerated() where tiers.contains(index) { weights.add(weight) }
    return weights.areOfUse ? reported.map { weights.scaled($0) } : nil
  }

  /// The endpoints of the priority that is chosen from, by their places in the list.
  private func tier(_ service: Service) -> Set<Int> {
    func of(_ priority: Int) -> Set<Int> {
      Set(service.endpoints.indices.filter { service.endpoints[$0].traits.priority == priority })
    }
    let priorities = Set(service.endpoints.map(\.traits.priority)).sorted()
    let usable = priorities.first { priority in
      let (local, others) = count(service, of(priority))
      return isWell(service, local, others)
    }
    return of(usable ?? priorities.first ?? 0)
  }

  private func isWell(_ service: Service, _ local: ZoneCount, _ others: ZoneCount) -> Bool {
    let overprovisioning = service.zone == nil ? nil : service.zonePreference
    return ZoneShare.isWell(local, others, overprovisioning: overprovisioning)
  }

  private func count(
    _ service: Service,
    _ indices: Set<Int>
  ) -> (local: ZoneCount, others: ZoneCount) {
    var (local, others) = (ZoneCount(), ZoneCount())
    var policy = ChoicePolicy()
    policy.hasChecks = service.checks != nil
    policy.hasBreaker = service.breaker != nil
    policy.hasOutlier = service.outlier != nil
    let knowsUp = policy.hasChecks && service.endpoints.contains { isUp($0) }
    for index in indices {
      let endpoint = service.endpoints[index]
      if health.record(endpoint.lease.place).isDrained { continue }
      let isLocal = service.zone != nil && endpoint.traits.zone == service.zone
      let isHealthy = withUnsafePointer(to: policy) {
        health.isHealthy(endpoint.lease.place, $0, knowsUp: knowsUp, at: now)
      }
      if isLocal { local.add(isHealthy: isHealthy) } else { others.add(isHealthy: isHealthy) }
    }
    return (local, others)
  }

  private func isUp(_ endpoint: Endpoint) -> Bool {
    health.record(endpoint.lease.place).checkVerdict == .up
  }

  /// How much of a service's requests stays in the edge's zone; `nil` where zones are of no account.
  private func localShare(_ service: Service) -> Double? {
    guard let overprovisioning = service.zonePreference, service.zone != nil else { return nil }
    let (local, others) = count(service, tier(service))
    guard isWell(service, local, others) else { return nil }
    let share = ZoneShare.local(local, others, overprovisioning: overprovisioning)
    return share < 0 ? nil : Double(share)
  }

  // MARK: - For people

  func zoneJSON(_ service: Service) -> String {
    guard service.zonePreference != nil else { return "" }
    let zone = service.zone.map { JSONText.literal($0) } ?? "null"
    let share = localShare(service).map { "\($0)" } ?? "null"
    return ",\"zone\":{\"own\":\(zone),\"localShare\":\(share)}"
  }

  func describe(
    _ endpoint: Endpoint,
    _ settings: LoadReportSettings,
    weight: Int32?
  ) -> String {
    let utilization = health.load(endpoint.lease.place).utilization(at: now, settings)
    return "{\"utilization\":\(utilization.map { "\($0)" } ?? "null")"
      + ",\"weight\":\(weight.map { "\($0)" } ?? "null")}"
  }

  /// What reports and zones come to, for a service that has a word on them.
  func loadLines(_ service: Service) -> [String] {
    var lines: [String] = []
    if let settings = service.reports {
      let now = now
      let heard = service.endpoints.compactMap {
        health.load($0.lease.place).utilization(at: now, settings)
      }
      var line = "  load: \(heard.count) of \(service.endpoints.count) endpoints report theirs"
      if let least = heard.min(), let most = heard.max() {
        line += ", \(Self.percent(least)) to \(Self.percent(most)) in use"
      }
      if let weights = weights(service), let least = weights.min(), let most = weights.max() {
        line += "; weights \(least) to \(most)"
      } else if settings.usesWeights {
        line += "; weights as configured"
      }
      lines.append(line)
    }
    if service.zonePreference != nil {
      if service.zone == nil {
        lines.append("  zone: the edge's own is not known, so none is preferred")
      } else if let share = localShare(service), let zone = service.zone {
        lines.append("  zone: \(Self.percent(share)) of the requests stay in \(zone)")
      } else {
        lines.append("  zone: none is preferred now")
      }
    }
    return lines
  }

  private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded()))%" }
}
