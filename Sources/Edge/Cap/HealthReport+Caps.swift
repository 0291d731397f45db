internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// What hard caps come to, for metrics, `/admin/services` and `spillway explain`.
extension HealthReport {
  private struct Cap {
    var service: Service
    /// Empty for the service as a whole.
    var endpoint: String
    var kind: String
    var inUse: Int
    /// `Int32.max` for none.
    var limit: Int32

    var labels: Labels { ["service": service.name, "endpoint": endpoint, "kind": kind] }
  }

  private func caps(of service: Service) -> [Cap] {
    guard let settings = service.caps else { return [] }
    let place = service.place
    func whole(_ kind: String, _ inUse: Int, _ limit: Int32) -> Cap {
      Cap(service: service, endpoint: "", kind: kind, inUse: inUse, limit: limit)
    }
    return [
      whole("connections", caps.connections(place), service.maximumConnections),
      whole("requests", caps.requests(place), settings.requests),
      whole("pending", caps.waiting(place), settings.pending),
    ]
  }

  private func endpointCaps(of service: Service) -> [Cap] {
    guard let settings = service.caps else { return [] }
    return service.endpoints.flatMap { endpoint in
      func each(_ kind: String, _ inUse: Int, _ limit: Int32) -> Cap {
        Cap(service: service, endpoint: endpoint.name, kind: kind, inUse: inUse, limit: limit)
      }
      let place = endpoint.lease.place
      return [
        each("connections", caps.connections(endpoint: place), settings.endpointConnections),
        each("requests", caps.requests(endpoint: place), settings.endpointRequests),
      ]
    }
  }

  /// All of them that are caps indeed; endpoints as many as have series.
  private var allCaps: [Cap] {
    let services = services.withLock { $0 }
    let endpoints = services.lazy.flatMap { self.endpointCaps(of: $0) }.filter { $0.limit != .max }
    return services.flatMap { caps(of: $0) }.filter { $0.limit != .max }
      + endpoints.prefix(Self.mostEndpoints)
  }

  func registerCaps(in registry: MetricRegistry) {
    registry.register(
      "spillway_cap_in_use",
      help: "What counts against hard caps of a service, or of an endpoint, by kind.",
      .gauge
    ) { [self] in
      allCaps.map { MetricSample(Double($0.inUse), $0.labels) }
    }
    registry.register(
      "spillway_cap_limit",
      help: "The hard caps of a service, or of an endpoint, by kind.",
      .gauge
    ) { [self] in
      allCaps.map { MetricSample(Double($0.limit), $0.labels) }
    }
    registry.register(
      "spillway_cap_waits_total",
      help: "Requests that waited for room of a service with hard caps.",
      .counter
    ) { [self] in
      services.withLock { $0 }.filter { $0.caps != nil }.map {
        MetricSample(Double(caps.waits($0.place)), ["service": $0.name])
      }
    }
    registry.register(
      "spillway_cap_refusals_total",
      help: "Requests that a service with hard caps had no room for: full, or waited too long.",
      .counter
    ) { [self] in
      services.withLock { $0 }.filter { $0.caps != nil }.flatMap { service in
        CapTable.Refusal.allCases.map { refusal in
          MetricSample(
            Double(caps.refusals(service.place, refusal)),
            ["service": service.name, "reason": refusal.label]
          )
        }
      }
    }
  }

  /// A field of a service's object in JSON, with a comma before it; empty without caps.
  func capsJSON(_ service: Service) -> String {
    let parts = caps(of: service).map { cap in
      "\"\(cap.kind)\":{\"inUse\":\(cap.inUse),\"limit\":"
        + (cap.limit == .max ? "null" : "\(cap.limit)") + "}"
    }
    return parts.isEmpty ? "" : ",\"limits\":{\(parts.joined(separator: ","))}"
  }

  /// The same for people.
  func capsLine(_ service: Service) -> String? {
    let parts = caps(of: service).filter { $0.limit != .max }.map { cap in
      "\(cap.inUse) of \(cap.limit) \(cap.kind)"
    }
    return parts.isEmpty ? nil : "limits: \(parts.joined(separator: ", "))"
  }
}

extension CapTable.Refusal {
  /// The value of the label `reason`.
  var label: String {
    switch self {
    case .full: "pending-full"
    case .late: "pending-timeout"
    }
  }
}

extension CapSettings {
  /// `endpoints`: How many the service has now.
  init(_ setting: CapSetting, endpoints: Int) {
    self.init()
    if let requests = setting.requests { self.requests = Int32(clamping: requests) }
    if let requests = setting.perEndpoint.requests { endpointRequests = Int32(clamping: requests) }
    if let connections = setting.perEndpoint.connections {
      endpointConnections = Int32(clamping: connections)
    }
    let each = setting.perEndpoint.pending.map { $0 * max(1, endpoints) }
    pending = Int32(clamping: min(setting.pending, each ?? .max))
  }
}
