internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// The same for `/admin/services` and `spillway explain`.
extension HealthReport {
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
    text += zoneJSON(service)
    let weights = weights(service)
    let endpoints = service.endpoints.enumerated().map { index, endpoint in
      let record = health.record(endpoint.lease.place)
      var text = "{\"address\":\(JSONText.literal(endpoint.name))"
      text += ",\"weight\":\(endpoint.traits.weight),\"priority\":\(endpoint.traits.priority)"
      if let zone = endpoint.traits.zone { text += ",\"zone\":\(JSONText.literal(zone))" }
      text += ",\"isDrained\":\(record.isDrained)"
      if let settings = service.reports {
        text += ",\"load\":" + describe(endpoint, settings, weight: weights?[index])
      }
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
    lines += loadLines(service)
    for endpoint in service.endpoints {
      let record = health.record(endpoint.lease.place)
      var parts: [String] = []
      if record.isDrained { parts.append("drained") }
      if service.checks != nil, record.checkVerdict == .down {
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
    let verdicts = service.endpoints.map { health.record($0.lease.place).checkVerdict }
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
}
