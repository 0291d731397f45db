internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// What breakers, ejections and orders come to, for metrics, `/admin/services` and `spillway explain`;
/// and the way in for orders.
///
/// The slow plane's view of `HealthTable`: it reads and orders through the same atomics as workers.
final class HealthReport: Sendable {
  struct Endpoint: Sendable {
    let name: String
    /// Keeps the place its own while it can be asked about here.
    let lease: EndpointDirectory.Lease
    let traits: EndpointTraits
  }

  struct Service: Sendable {
    let name: String
    let place: Int32
    let breaker: BreakerSettings?
    let outlier: OutlierSettings?
    let checks: CheckSettings?
    let balance: String
    let caps: CapSettings?
    let maximumConnections: Int32
    let endpoints: [Endpoint]
  }

  /// Series of the state of endpoints; those beyond are not shown as metrics.
  static let mostEndpoints = 1_000

  private let health: HealthTable
  let caps: CapTable
  let services = Locked<[Service]>([])

  init(_ health: HealthTable, _ caps: CapTable) {
    self.health = health
    self.caps = caps
  }

  /// A configuration took effect.
  func adopt(_ services: [Service]) { self.services.withLock { $0 = services } }

  /// The monotonic time, as reactors know it.
  private var now: Instant { EdgeInstance.now }

  private func state(_ breaker: SharedBreaker, _ settings: BreakerSettings) -> BreakerState {
    breaker.word.visibleState(at: now, settings)
  }

  // MARK: - Metrics

  func register(in registry: MetricRegistry) {
    registerChecks(in: registry)
    registerCaps(in: registry)
    registry.register(
      "spillway_breaker_state",
      help: "1 for the state that a breaker is in; without an endpoint that of a service.",
      .gauge
    ) { [self] in
      breakers.flatMap { entry in
        BreakerState.allCases.map { state in
          let isIt = self.state(entry.breaker, entry.settings) == state
          return MetricSample(
            isIt ? 1 : 0,
            ["service": entry.service, "endpoint": entry.endpoint, "state": state.label]
          )
        }
      }
    }
    registry.register(
      "spillway_breaker_trips_total",
      help: "Times that a breaker opened, by what opened it.",
      .counter
    ) { [self] in
      breakers.flatMap { entry in
        BreakerCause.allCases.map { cause in
          MetricSample(
            Double(entry.breaker.tripCount(cause)),
            ["service": entry.service, "endpoint": entry.endpoint, "cause": cause.label]
          )
        }
      }
    }
    registry.register(
      "spillway_outlier_ejections_total",
      help: "Endpoints that were left out because they did worse than others, by what showed it.",
      .counter
    ) { [self] in
      outliers.flatMap { service in
        EjectionCause.allCases.map { cause in
          MetricSample(
            Double(health.service(service.place).ejectionCount(cause)),
            ["service": service.name, "cause": cause.label]
          )
        }
      }
    }
    registry.register(
      "spillway_outlier_overflows_total",
      help: "Times that an endpoint stayed because as many as may be were left out already.",
      .counter
    ) { [self] in
      outliers.map {
        MetricSample(Double(health.service($0.place).overflows), ["service": $0.name])
      }
    }
    registry.register(
      "spillway_outlier_ejected",
      help: "Endpoints of a service that are left out now.",
      .gauge
    ) { [self] in
      let now = now
      return outliers.map { service in
        let out = service.endpoints.filter {
          health.record($0.lease.place).isEjected(at: now)
        }
        return MetricSample(Double(out.count), ["service": service.name])
      }
    }
    registry.register(
      "spillway_endpoints_drained",
      help: "Endpoints of a service that an operator keeps requests from.",
      .gauge
    ) { [self] in
      services.withLock { $0 }.map { service in
        let out = service.endpoints.filter { health.record($0.lease.place).isDrained }
        return MetricSample(Double(out.count), ["service": service.name])
      }
    }
  }

  private func registerChecks(in registry: MetricRegistry) {
    registry.register(
      "spillway_health_checks_total",
      help: "Health checks by what they came to.",
      .counter
    ) { [self] in
      checked.flatMap { service in
        CheckResult.allCases.map { result in
          MetricSample(
            Double(health.service(service.place).checkCount(result)),
            ["service": service.name, "result": result.label]
          )
        }
      }
    }
    registry.register(
      "spillway_endpoint_unhealthy",
      help: "1 for each cause that keeps requests from an endpoint, 0 for those that do not.",
      .gauge
    ) { [self] in unhealthy }
    registry.register(
      "spillway_service_outage",
      help: "1 while health checks find no endpoint of a service and its requests are refused.",
      .gauge
    ) { [self] in
      checked.map {
        let state = health.service($0.place).outage.word.state
        return MetricSample(state == .out ? 1 : 0, ["service": $0.name])
      }
    }
  }

  private var checked: [Service] { services.withLock { $0 }.filter { $0.checks != nil } }

  /// What keeps requests from endpoints of services that say so much of them.
  private var unhealthy: [MetricSample] {
    var samples: [MetricSample] = []
    var left = Self.mostEndpoints
    let now = now
    for service in services.withLock({ $0 })
    where service.checks != nil || service.breaker != nil || service.outlier != nil {
      for endpoint in service.endpoints.prefix(left) {
        let record = health.record(endpoint.lease.place)
        var causes: [(String, Bool)] = [("drain", record.isDrained)]
        if service.checks != nil { causes.append(("check", record.check.verdict == .down)) }
        if let breaker = service.breaker {
          let state = state(health.breaker(endpoint.lease.place), breaker)
          causes.append(("breaker", state == .open || state == .halfOpen))
        }
        if service.outlier != nil { causes.append(("outlier", record.isEjected(at: now))) }
        for (cause, holds) in causes {
          samples.append(
            MetricSample(
              holds ? 1 : 0,
              ["service": service.name, "endpoint": endpoint.name, "cause": cause]
            )
          )
        }
      }
      left -= min(left, service.endpoints.count)
    }
    return samples
  }

  private var outliers: [Service] { services.withLock { $0 }.filter { $0.outlier != nil } }

  private struct Breaker {
    var service: String
    var endpoint: String
    var breaker: SharedBreaker
    var settings: BreakerSettings
  }

  private var breakers: [Breaker] {
    var found: [Breaker] = []
    var left = Self.mostEndpoints
    for service in services.withLock({ $0 }) {
      guard let settings = service.breaker else { continue }
      found.append(
        Breaker(
          service: service.name,
          endpoint: "",
          breaker: health.breaker(ofService: service.place),
          settings: settings
        )
      )
      for endpoint in service.endpoints.prefix(left) {
        found.append(
          Breaker(
            service: service.name,
            endpoint: endpoint.name,
            breaker: health.breaker(endpoint.lease.place),
            settings: settings
          )
        )
      }
      left -= min(left, service.endpoints.count)
    }
    return found
  }

  // MARK: - Explanation

  /// Fields of a service's object in JSON, each with a comma before it.
  func json(_ name: String) -> String {
    guard let service = find(name) else { return "" }
    var text = ",\"balance\":\(JSONText.literal(service.balance))"
    if let settings = service.breaker {
      let breaker = health.breaker(ofService: service.place)
      text += ",\"breaker\":\(describe(breaker, settings))"
    }
    if service.checks != nil {
      let word = health.service(service.place).outage.word
      text += ",\"outage\":{\"state\":\"\(word.state)\",\"isDoubted\":\(word.isDoubted)}"
    }
    text += capsJSON(service)
    let endpoints = service.endpoints.map { endpoint in
      let record = health.record(endpoint.lease.place)
      var text = "{\"address\":\(JSONText.literal(endpoint.name))"
      text += ",\"weight\":\(endpoint.traits.weight),\"priority\":\(endpoint.traits.priority)"
      text += ",\"isDrained\":\(record.isDrained)"
      if service.checks != nil { text += ",\"check\":\(describe(record))" }
      if let settings = service.breaker {
        text += ",\"breaker\":\(describe(health.breaker(endpoint.lease.place), settings))"
      }
      if service.outlier != nil, record.isEjected(at: now) {
        text += ",\"ejected\":{\"cause\":\"\(record.lastCause.label)\",\"times\":\(record.times)"
        text += ",\"leftMs\":\(Int((record.ejectedUntil - now).milliseconds))}"
      }
      return text + "}"
    }
    return text + ",\"endpoints\":[\(endpoints.joined(separator: ","))]"
  }

  private func describe(_ record: EndpointRecord) -> String {
    let check = record.check
    var text = "{\"state\":\"\(check.verdict)\""
    if check.verdict != .unknown {
      text += ",\"last\":\"\(check.last.label)\",\"againstInARow\":\(check.streak)"
      text += ",\"sinceMs\":\(max(0, Int((now - record.checkChangedAt).milliseconds)))"
    }
    return text + "}"
  }

  private func describe(_ breaker: SharedBreaker, _ settings: BreakerSettings) -> String {
    let word = breaker.word
    let state = state(breaker, settings)
    var text = "{\"state\":\"\(state.label)\",\"isOrdered\":\(word.order != .none)"
    text += ",\"failuresInARow\":\(breaker.streak)"
    if state != .closed, word.order == .none {
      text += ",\"cause\":\"\(word.cause.label)\",\"trips\":\(word.trips)"
    }
    if state == .open, word.order == .none {
      text += ",\"leftMs\":\(max(0, Int((word.time - now).milliseconds)))"
    }
    return text + "}"
  }

  /// Lines of a service for people, each with two spaces before it; what is as it should be is not
  /// worth one.
  func lines(_ name: String) -> [String] {
    guard let service = find(name) else { return [] }
    var lines: [String] = []
    if let settings = service.breaker {
      let breaker = health.breaker(ofService: service.place)
      lines.append("  breaker: \(tell(breaker, settings))")
    }
    if service.checks != nil { lines.append("  health: \(tellChecks(service))") }
    if let line = capsLine(service) { lines.append("  " + line) }
    for endpoint in service.endpoints {
      let record = health.record(endpoint.lease.place)
      var parts: [String] = []
      if record.isDrained { parts.append("drained") }
      if service.checks != nil, record.check.verdict == .down {
        let since = max(0, (now - record.checkChangedAt).seconds)
        parts.append(
          "down by its checks for \(Int(since.rounded())) s (\(record.check.last.label))"
        )
      }
      if let settings = service.breaker {
        let breaker = health.breaker(endpoint.lease.place)
        if state(breaker, settings) != .closed || breaker.word.order != .none {
          parts.append("breaker \(tell(breaker, settings))")
        }
      }
      if service.outlier != nil, record.isEjected(at: now) {
        parts.append(
          "left out for \(Int((record.ejectedUntil - now).seconds.rounded(.up))) s more"
            + " (\(record.lastCause.label), \(record.times) times)"
        )
      }
      if !parts.isEmpty { lines.append("  \(endpoint.name): " + parts.joined(separator: ", ")) }
    }
    return lines
  }

  private func tellChecks(_ service: Service) -> String {
    let verdicts = service.endpoints.map { health.record($0.lease.place).check.verdict }
    let up = verdicts.count { $0 == .up }
    let unknown = verdicts.count { $0 == .unknown }
    var text = "\(up) of \(verdicts.count) endpoints up by their checks"
    if unknown > 0 { text += ", \(unknown) not checked yet" }
    let word = health.service(service.place).outage.word
    switch word.state {
    case .serving: break
    case .out: text += "; nobody is left, one request a second is let through"
    case .ramp: text += "; \(Int(word.share(at: now) * 100))% of the requests are let through"
    }
    if word.isDoubted { text += "; requests succeed all the same, so checks are not believed" }
    return text
  }

  private func tell(_ breaker: SharedBreaker, _ settings: BreakerSettings) -> String {
    let word = breaker.word
    let state = state(breaker, settings)
    if word.order != .none { return "\(state.label), by order" }
    switch state {
    case .closed: return "closed, \(breaker.streak) failures in a row"
    case .open:
      let left = max(0, (word.time - now).seconds)
      return "open for \(Int(left.rounded(.up))) s more (\(word.cause.label))"
    case .halfOpen: return "half-open (\(word.cause.label))"
    case .ramp:
      return "closed again for \(Int(word.share(at: now, settings) * 100))% of the requests"
    }
  }

  private func find(_ name: String) -> Service? {
    services.withLock { $0 }.first { $0.name == name }
  }

  // MARK: - Orders

  enum OrderFault: Error, Equatable {
    case unknownService
    case unknownEndpoint
    case noBreaker
  }

  /// Orders a breaker open or closed, or lets it decide again.
  ///
  /// `endpoint`: An address, or `nil` for the service's own breaker.
  ///
  /// - Throws: `OrderFault` where there is no such breaker.
  func order(_ order: BreakerOrder, service: String, endpoint: String?) throws(OrderFault) {
    guard let known = find(service) else { throw .unknownService }
    guard known.breaker != nil else { throw .noBreaker }
    if let endpoint {
      guard let place = known.endpoints.first(where: { $0.name == endpoint })?.lease.place else {
        throw .unknownEndpoint
      }
      health.breaker(place).order(order)
    } else {
      health.breaker(ofService: known.place).order(order)
    }
    health.service(known.place).noteChange()
  }

  /// Keeps new requests from an endpoint, or lets them go there again; those under way go on.
  ///
  /// - Throws: `OrderFault` where there is no such endpoint.
  func drain(_ isDrained: Bool, service: String, endpoint: String) throws(OrderFault) {
    guard let known = find(service) else { throw .unknownService }
    guard let found = known.endpoints.first(where: { $0.name == endpoint }) else {
      throw .unknownEndpoint
    }
    health.record(found.lease.place).drain(isDrained)
    health.service(known.place).noteChange()
  }
}
