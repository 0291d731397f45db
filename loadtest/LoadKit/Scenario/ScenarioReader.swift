internal import Configuration
internal import Units

/// Reads a scenario's fields; `ScenarioReader+Kinds` reads what is sent.
struct ScenarioReader {
  static let longest = Nanoseconds.seconds(24 * 3_600)
  /// Requests per second that a scenario may ask for.
  static let fastest = 10_000_000.0

  func read(_ root: Field) -> Scenario {
    var scenario = Scenario()
    let fields = root.map([
      "name", "about", "seed", "capacity", "arrivals", "unloaded", "phases", "classes", "kinds",
      "connections", "interval", "maximumLag", "expect", "protocol",
    ])
    if let field = fields["name"] { scenario.name = field.name() }
    if let field = fields["about"] { scenario.about = field.text() }
    if let field = fields["seed"] { scenario.seed = UInt64(field.number(0...Int.max)) }
    if let field = fields["capacity"] { scenario.capacity = capacity(field) }
    if let field = fields["arrivals"] { scenario.arrivals = arrivals(field) }
    if let field = fields["connections"] { scenario.connections = connections(field) }
    if let field = fields["protocol"] {
      scenario.wireProtocol = field.choice(WireProtocol.self) ?? .http1
    }
    if let field = fields["interval"] {
      scenario.interval = field.duration(.milliseconds(50)...(.seconds(60)))
    }
    if let field = fields["maximumLag"] {
      scenario.maximumLag = field.duration(.microseconds(100)...(.seconds(1)))
    }
    if let field = fields["classes"] { scenario.classes = classes(field) }
    let areClassesListed = fields["classes"] != nil
    if let field = fields["kinds"] {
      readKinds(field, areClassesListed: areClassesListed, into: &scenario)
    } else {
      root.fault("needs kinds: what is sent")
    }
    judgeCalls(fields["kinds"], scenario)
    if let field = fields["unloaded"] { scenario.unloaded = phase(field, 0, scenario.kinds) }
    scenario.unloaded?.name = "unloaded"
    if let field = fields["phases"] {
      readPhases(field, into: &scenario)
    } else {
      root.fault("needs phases: how much is sent, and for how long")
    }
    if let field = fields["expect"] { readExpectations(field, into: &scenario) }
    return scenario
  }

  // MARK: - Settings of the run

  private func capacity(_ field: Field) -> Capacity {
    var measurement = CapacityMeasurement()
    if field.isScalar {
      let written = field.text()
      if written == "measured" { return .measured(measurement) }
      guard let rate = Self.perSecond(written), rate > 0 else {
        field.fault("is \(written); write measured, or what the target serves, such as 2000/s")
        return .measured(measurement)
      }
      return .stated(rate)
    }
    let fields = field.map(["concurrency", "for"])
    if let field = fields["concurrency"] { measurement.concurrency = field.number(1...10_000) }
    if let field = fields["for"] {
      measurement.duration = field.duration(.milliseconds(100)...(.seconds(600)))
    }
    return .measured(measurement)
  }

  private func arrivals(_ field: Field) -> Arrivals {
    if field.isScalar {
      switch field.text() {
      case "constant": return .open(.constant)
      case "poisson": return .open(.poisson)
      case let other:
        field.fault("is \(other); must be constant, poisson, {bursts: 20} or {closed: 100}")
        return .open(.poisson)
      }
    }
    let fields = field.map(["bursts", "closed"])
    if fields.count > 1 { field.fault("names two ways; keep one") }
    if let field = fields["closed"] { return .closed(concurrency: field.number(1...60_000)) }
    if let field = fields["bursts"] { return .open(.bursty(size: field.number(2...10_000))) }
    field.fault("needs bursts or closed")
    return .open(.poisson)
  }

  private func connections(_ field: Field) -> ConnectionBounds {
    var bounds = ConnectionBounds()
    if field.isScalar {
      bounds.most = field.number(1...Scenario.maximumConnections)
      return bounds
    }
    let fields = field.map(["open", "most", "streams"])
    if let field = fields["streams"] { bounds.streams = field.number(1...1_000) }
    if let field = fields["most"] { bounds.most = field.number(1...Scenario.maximumConnections) }
    if let field = fields["open"] {
      bounds.opened = field.number(0...Scenario.maximumConnections)
      if fields["most"] == nil { bounds.most = max(bounds.most, bounds.opened) }
      if bounds.opened > bounds.most { field.fault("is more than most, which is \(bounds.most)") }
    }
    return bounds
  }

  private func classes(_ field: Field) -> [String] {
    var names: [String] = []
    for item in field.list() {
      let name = item.name()
      if names.contains(name) { item.fault("stands in the list already") }
      if Expectation.reserved.contains(name) { item.fault("\(name) has another meaning in expect") }
      names.append(name)
    }
    if names.count > Scenario.maximumClasses {
      field.fault("there are \(names.count); at most \(Scenario.maximumClasses) are possible")
      names.removeLast(names.count - Scenario.maximumClasses)
    }
    return names
  }

  // MARK: - Phases

  private func readPhases(_ field: Field, into scenario: inout Scenario) {
    let items = field.list()
    if items.isEmpty { field.fault("needs at least one phase") }
    if items.count > Scenario.maximumPhases {
      field.fault("there are \(items.count); at most \(Scenario.maximumPhases) are possible")
    }
    for (index, item) in items.prefix(Scenario.maximumPhases).enumerated() {
      let phase = phase(item, index, scenario.kinds)
      let isTaken = scenario.phases.contains { $0.name == phase.name } || phase.name == "unloaded"
      if isTaken { item.fault("the name \(phase.name) is taken; names tell phases apart") }
      scenario.phases.append(phase)
    }
    if scenario.duration > Self.longest.seconds { field.fault("last longer than 24h together") }
  }

  private func phase(_ field: Field, _ index: Int, _ kinds: [RequestKind]) -> Phase {
    var phase = Phase(
      name: "phase-\(index + 1)",
      load: .multiple(0.05),
      duration: .seconds(3)
    )
    let fields = field.map(["name", "load", "for", "mix", "backend"])
    if let field = fields["name"] { phase.name = field.name() }
    if let load = fields["load"] { phase.load = self.load(load) } else { field.fault("needs load") }
    if let length = fields["for"] {
      phase.duration = length.duration(.milliseconds(100)...Self.longest)
    } else {
      field.fault("needs for, how long it lasts")
    }
    if let mix = fields["mix"] { phase.mix = weights(mix, kinds) }
    if let field = fields["backend"] { phase.orders = orders(field) }
    return phase
  }

  private func orders(_ field: Field) -> [BackendOrder] {
    if field.isScalar { return [BackendOrder(path: orderPath(field))] }
    return field.entries().map { name, value in
      let number = Int(name) ?? 0
      if !ServiceSettings.endpointCounts.contains(number) {
        value.fault("\(name) is no number of a backend; the first one is 1")
      }
      return BackendOrder(place: number - 1, path: orderPath(value))
    }
  }

  private func orderPath(_ field: Field) -> String {
    let path = field.text()
    if !path.hasPrefix("/") || !RequestText.isTarget(path) {
      field.fault("must be a path of the backend's control API, such as /brownout?to=30%")
    }
    return path
  }

  private func load(_ field: Field) -> Phase.Load {
    let written = field.text()
    if written.hasSuffix("x"), let factor = Self.decimal(written.dropLast()), factor <= 10_000 {
      return .multiple(factor)
    }
    if let rate = Self.perSecond(written) { return .perSecond(rate) }
    if field.isScalar {
      field.fault("is \(written); write 10x for ten times the capacity, or 500/s")
    }
    return .multiple(1)
  }

  private func weights(_ field: Field, _ kinds: [RequestKind]) -> [Double]? {
    var weights = kinds.map { _ in 0.0 }
    for (name, value) in field.entries() {
      guard let place = kinds.firstIndex(where: { $0.name == name }) else {
        let near = Spelling.nearest(name, in: kinds.map(\.name))
        value.fault("there is no kind \(name)" + (near.map { "; did you mean \($0)?" } ?? ""))
        continue
      }
      weights[place] = weight(value)
    }
    guard weights.reduce(0, +) > 0 else {
      field.fault("needs a kind with a weight above 0")
      return nil
    }
    return weights
  }

  // MARK: - Numbers

  func weight(_ field: Field) -> Double {
    guard let value = Self.decimal(field.text()[...]), value <= 1e6 else {
      if field.isScalar { field.fault("must be a weight from 0 to 1000000") }
      return 1
    }
    return value
  }

  /// `500/s`, within what a scenario may ask for.
  static func perSecond(_ text: String) -> Double? {
    guard text.hasSuffix("/s"), let rate = decimal(text.dropLast(2)), rate <= fastest else {
      return nil
    }
    return rate
  }

  /// Digits with at most one point: no sign, exponent or infinity.
  static func decimal(_ text: Substring) -> Double? {
    let isPlain = text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
    return isPlain && (1...20).contains(text.utf8.count) ? Double(text) : nil
  }
}
