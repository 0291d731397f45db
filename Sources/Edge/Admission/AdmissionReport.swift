internal import Admission
internal import Configuration
internal import Telemetry
internal import Units

/// What the admission of services does, for metrics and for those who ask why; slow plane only.
final class AdmissionReport: Sendable {
  private struct Service {
    var setting: AdmissionSetting
    var name: String
    /// `nil` where admission is off.
    var slot: AdmissionSlot?
  }

  private let classes: [String]
  private let services = Locked<[Service]>([])

  private let health: HealthReport
  private let discovery: DiscoveryReport

  init(classes: [String], health: HealthReport, discovery: DiscoveryReport) {
    self.classes = classes
    self.health = health
    self.discovery = discovery
  }

  /// A configuration took effect.
  func adopt(_ settings: Settings, _ slots: [AdmissionSlot]) {
    let services = settings.services.map { service in
      let isOn = service.admission.mode != .off
      // A service has the slot that was made of its present setting.
      let slot = isOn ? slots.first { $0.name == service.name } : nil
      slot?.service.streamBound = service.openStreams
      return Service(setting: service.admission, name: service.name, slot: slot)
    }
    self.services.withLock { $0 = services }
  }

  // MARK: - Metrics

  /// Adds the families of admission; they are read when they are scraped.
  func register(in registry: MetricRegistry) {
    registry.register(
      "spillway_admission_decisions_total",
      help: "Requests by what admission decided, and by which mode; shadow enforces nothing.",
      .counter
    ) { [self] in slots.flatMap { decisions(of: $0) } }
    registry.register(
      "spillway_queue_depth",
      help: "Requests that wait for a permit, by service and class.",
      .gauge
    ) { [self] in
      slots.flatMap { slot in
        classes.indices.map { place in
          let labels: Labels = ["service": slot.name, "class": classes[place]]
          return MetricSample(Double(slot.tally.queued(place)), labels)
        }
      }
    }
    gauge(
      "spillway_concurrency_limit",
      "Requests of a service that may be in flight.",
      in: registry
    ) { Double($0.service.limit) }
    gauge(
      "spillway_concurrency_inflight",
      "Requests of a service that hold a permit.",
      in: registry
    ) { Double($0.service.inFlight) }
    gauge(
      "spillway_concurrency_hanging",
      "Requests at endpoints that say nothing while others do; as many go out beside the limit.",
      in: registry
    ) { Double($0.service.hanging) }
    gauge(
      "spillway_concurrency_gradient",
      "Latency over the unloaded one when it was judged last; 0 while nothing is known.",
      in: registry
    ) { $0.inspect()?.guidance.gradient ?? 0 }
    gauge(
      "spillway_concurrency_held_back",
      "1 while a limit does not grow because its service reports that it has all it can do.",
      in: registry
    ) { $0.inspect()?.guidance.isHeldBack == true ? 1 : 0 }
    gauge(
      "spillway_rtt_baseline_seconds",
      "Unloaded latency of a service, of its usual mix of routes; 0 while nothing is known.",
      in: registry
    ) { $0.inspect().map(Self.baseline) ?? 0 }
    gauge(
      "spillway_open_streams",
      "Tunnels, event streams, calls of gRPC and exchanges of slow clients, which hold no permit.",
      in: registry
    ) { Double($0.service.openStreams) }
    gauge(
      "spillway_open_streams_limit",
      "Streams of a service that may be open.",
      in: registry
    ) { Double($0.service.streamBound) }
    registry.register(
      "spillway_open_streams_refused_total",
      help: "Streams that found no room, by kind, and by the mode of their service's admission.",
      .counter
    ) { [self] in slots.flatMap { Self.refusedStreams(of: $0) } }
    registry.register(
      "spillway_admission_permits_forgotten_total",
      help: "Permits that nobody ended: any is a fault of the edge.",
      .counter
    ) { [self] in
      [MetricSample(Double(slots.reduce(0) { $0 + $1.service.forgottenPermits }))]
    }
  }

  private var slots: [AdmissionSlot] { services.withLock { $0.compactMap(\.slot) } }

  private func gauge(
    _ name: String,
    _ help: String,
    in registry: MetricRegistry,
    _ value: @escaping @Sendable (AdmissionSlot) -> Double
  ) {
    registry.register(name, help: help, .gauge) { [self] in
      slots.map { MetricSample(value($0), ["service": $0.name]) }
    }
  }

  private static func refusedStreams(of slot: AdmissionSlot) -> [MetricSample] {
    [false, true].flatMap { isShadow in
      StreamKind.allCases.compactMap { kind in
        let count = slot.tally.refusedStreams(kind, isShadow: isShadow)
        guard count > 0 else { return nil }
        let labels: Labels = [
          "service": slot.name, "kind": kind.label, "mode": isShadow ? "shadow" : "enforce",
        ]
        return MetricSample(Double(count), labels)
      }
    }
  }

  private func decisions(of slot: AdmissionSlot) -> [MetricSample] {
    var samples: [MetricSample] = []
    for isShadow in [false, true] {
      for route in slot.tally.places {
        for (priority, name) in classes.enumerated() {
          for result in 0..<AdmissionResult.places {
            let count = slot.tally.count(
              isShadow: isShadow,
              route: route,
              priority: priority,
              result: result
            )
            guard count > 0 else { continue }
            let (decision, reason) = AdmissionResult.labels(result)
            let labels: Labels = [
              "route": slot.tally.route(route), "service": slot.name, "class": name,
              "decision": decision, "reason": reason, "mode": isShadow ? "shadow" : "enforce",
            ]
            samples.append(MetricSample(Double(count), labels))
          }
        }
      }
    }
    return samples
  }

  /// The unloaded latency in seconds; where it is learned per weight, that of the usual mix.
  private static func baseline(_ inspection: ServiceInspection) -> Double {
    inspection.guidance.baseline * (inspection.learned?.meanWeight ?? 1)
  }

  // MARK: - What is learned

  /// What the limits of all services have learned, for the next process.
  ///
  /// `before`: What this said the last time; a service that learned nothing since keeps its moment.
  func learned(since before: [LearnedState.Service], now: Int64) -> [LearnedState.Service] {
    let known = Dictionary(before.map { ($0.name, $0) }) { $1 }
    return services.withLock { $0 }.compactMap { service in
      guard let slot = service.slot, let inspection = slot.inspect(),
        let limit = inspection.learned, limit.meanLatency > 0
      else { return nil }
      let old = known[service.name]
      return LearnedState.Service(
        name: service.name,
        kind: service.setting.limit.rawValue,
        learnedAt: old.flatMap { $0.limit == limit ? $0.learnedAt : nil } ?? now,
        limit: limit,
        routes: slot.tally.routeNames.enumerated().compactMap { place, name in
          let weight = inspection.weights[place]
          return weight > 0 ? LearnedState.Route(name: name, weight: weight) : nil
        }
      )
    }
  }

  // MARK: - Explanation

  /// All services with the numbers that decide, as a list of JSON.
  var json: String {
    let parts = services.withLock { $0 }.map(describe)
    return "[" + parts.joined(separator: ",") + "]"
  }

  /// The same for people, a few lines for each service.
  var text: String {
    services.withLock { $0 }.map(tell).joined(separator: "\n")
  }

  private func tell(_ service: Service) -> String {
    let health = discovery.lines(service.name) + health.lines(service.name)
    guard let slot = service.slot else {
      return (["\(service.name): admission is off"] + health).joined(separator: "\n") + "\n"
    }
    var lines = [
      "\(service.name): \(service.setting.mode.rawValue), limit \(slot.service.limit)"
        + " (\(service.setting.limit.rawValue)), \(slot.service.inFlight) in flight,"
        + (slot.service.hanging > 0 ? " \(slot.service.hanging) of them hang," : "")
        + " \(slot.service.waiting) waiting, \(slot.service.openStreams) of"
        + " \(slot.service.streamBound) streams open"
    ]
    if let inspection = slot.inspect() {
      let guidance = inspection.guidance
      lines.append(
        "  unloaded \(Self.milliseconds(Self.baseline(inspection))) ms, usual"
          + " \(Self.milliseconds(guidance.latency)) ms, gradient \(Self.rounded(guidance.gradient))"
          + (guidance.isGrowing ? ", the limit may still double" : "")
          + (guidance.isHeldBack ? ", held back by what the service reports" : "")
      )
    }
    let bits = slot.service.standingClasses
    let queue = classes.indices.map { place in
      "\(classes[place]) \(slot.tally.queued(place))"
        + (bits >> UInt8(place) & 1 == 1 ? " (standing)" : "")
    }
    lines.append("  queue: " + queue.joined(separator: ", "))
    for reason in RefusalReason.allCases {
      guard let record = slot.tally.lastRefusal(reason) else { continue }
      lines.append(
        "  last \(reason.name) at \(Timestamp.rfc3339(nanoseconds: record.time)):"
          + " \(className(record)) on route \(slot.tally.route(record.route)),"
          + " \(record.inFlight) of \(record.limit) in flight, \(record.waiting) waiting,"
          + " to retry after \(Int(record.retryAfter.milliseconds)) ms"
      )
    }
    return (lines + health).joined(separator: "\n") + "\n"
  }

  private func className(_ record: RefusalRecord) -> String {
    classes.indices.contains(record.priority) ? classes[record.priority] : ""
  }

  private func describe(_ service: Service) -> String {
    var text = "{\"name\":\(JSONText.literal(service.name)),"
    text += "\"mode\":\"\(service.setting.mode.rawValue)\""
    text += discovery.json(service.name)
    text += health.json(service.name)
    guard let slot = service.slot else { return text + "}" }
    let queue = classes.indices.map {
      "\(JSONText.literal(classes[$0])):\(slot.tally.queued($0))"
    }
    let bits = slot.service.standingClasses
    let standing = classes.indices.filter { bits >> UInt8($0) & 1 == 1 }
    text += ",\"kind\":\"\(service.setting.limit.rawValue)\",\"limit\":\(slot.service.limit)"
    text += ",\"inFlight\":\(slot.service.inFlight),\"waiting\":\(slot.service.waiting)"
    text += ",\"hanging\":\(slot.service.hanging)"
    text += ",\"openStreams\":\(slot.service.openStreams)"
    text += ",\"openStreamsLimit\":\(slot.service.streamBound)"
    if let inspection = slot.inspect() {
      let guidance = inspection.guidance
      text += ",\"baselineMs\":\(Self.milliseconds(Self.baseline(inspection)))"
      text += ",\"latencyMs\":\(Self.milliseconds(guidance.latency))"
      text += ",\"gradient\":\(Self.rounded(guidance.gradient))"
      text += ",\"slotMs\":\(min(guidance.period.milliseconds, 1_600))"
      text += ",\"isGrowing\":\(guidance.isGrowing),\"isHeldBack\":\(guidance.isHeldBack)"
    }
    text += ",\"queue\":{\(queue.joined(separator: ","))}"
    text +=
      ",\"standing\":[\(standing.map { JSONText.literal(classes[$0]) }.joined(separator: ","))]"
    let refusals = RefusalReason.allCases.compactMap { describe($0, slot) }
    return text + ",\"lastRefusals\":[\(refusals.joined(separator: ","))]}"
  }

  private func describe(_ reason: RefusalReason, _ slot: AdmissionSlot) -> String? {
    guard let record = slot.tally.lastRefusal(reason) else { return nil }
    return "{\"reason\":\"\(reason.name)\""
      + ",\"at\":\"\(Timestamp.rfc3339(nanoseconds: record.time))\""
      + ",\"class\":\(JSONText.literal(className(record)))"
      + ",\"route\":\(JSONText.literal(slot.tally.route(record.route)))"
      + ",\"inFlight\":\(record.inFlight),\"limit\":\(record.limit)"
      + ",\"waiting\":\(record.waiting),\"retryAfterMs\":\(Int(record.retryAfter.milliseconds))}"
  }

  private static func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }

  private static func milliseconds(_ seconds: Double) -> Double {
    (seconds * 1e6).rounded() / 1_000
  }
}
