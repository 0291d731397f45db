internal import Telemetry
internal import Units
internal import Upstream

/// Breakers, ejections, orders and checks as metrics.
extension HealthReport {
  func register(in registry: MetricRegistry) {
    registerChecks(in: registry)
    registerCaps(in: registry)
    registerLoads(in: registry)
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
      samples(outliers, "cause", EjectionCause.allCases.map { ($0.label, $0) }) {
        $0.ejectionCount($1)
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

  /// A count for each service and each value of a label.
  private func samples<Value>(
    _ services: [Service],
    _ label: String,
    _ values: [(String, Value)],
    _ count: (ServiceCells, Value) -> UInt64
  ) -> [MetricSample] {
    services.flatMap { service in
      let record = health.service(service.place)
      return values.map { text, value in
        MetricSample(Double(count(record, value)), ["service": service.name, label: text])
      }
    }
  }

  private func registerChecks(in registry: MetricRegistry) {
    registry.register(
      "spillway_health_checks_total",
      help: "Health checks by what they came to.",
      .counter
    ) { [self] in
      samples(checked, "result", CheckResult.allCases.map { ($0.label, $0) }) {
        $0.checkCount($1)
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
        if service.checks != nil { causes.append(("check", record.checkVerdict == .down)) }
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
}
