public import Configuration
internal import Units

/// Text to the settings of a simulated service, with line and column of every fault.
public enum ServiceSource {
  private static let times = Nanoseconds.zero...Nanoseconds.seconds(600)
  private static let mostWorkers = 1_000_000

  /// Reads and judges a text.
  ///
  /// - Parameters:
  ///   - text: The whole document, YAML or JSON.
  ///   - file: What faults name.
  /// - Returns: The settings with all defaults.
  /// - Throws: Every fault at once.
  public static func parse(
    _ text: String,
    file: String
  ) throws(ConfigurationError) -> ServiceSettings {
    try Field.read(text, file: file, needs: "workers") { read($0) }
  }

  private static func read(_ root: Field) -> ServiceSettings {
    var settings = ServiceSettings()
    let fields = root.map([
      "workers", "serviceTime", "backlog", "knee", "abandoned", "answer", "faults", "routes",
      "seed", "endpoints",
    ])
    if let field = fields["workers"] { settings.workers = field.number(1...mostWorkers) }
    if let field = fields["serviceTime"] { settings.serviceTime = time(field) }
    if let field = fields["backlog"] {
      let isEndless = field.isScalar && field.text() == "endless"
      settings.backlog = isEndless ? nil : field.number(0...mostWorkers)
    }
    if let field = fields["knee"] { settings.knee = knee(field) }
    if let field = fields["abandoned"] {
      settings.finishesAbandoned = field.choice(Abandoned.self) != .dropped
    }
    if let field = fields["answer"] { settings.answerSize = field.size(0...(64 << 20)) }
    if let field = fields["faults"] { settings.faults = faults(field) }
    if let field = fields["seed"] { settings.seed = UInt64(field.number(0...Int.max)) }
    if let field = fields["endpoints"] {
      settings.endpoints = field.number(ServiceSettings.endpointCounts)
    }
    if let field = fields["routes"] {
      let items = field.list()
      if items.count > 64 { field.fault("there are \(items.count); at most 64 are possible") }
      settings.routes = items.prefix(64).map(route)
    }
    return settings
  }

  private enum Abandoned: String, CaseIterable { case finished, dropped }

  private static func time(_ field: Field) -> ServiceTime {
    if field.isScalar { return .constant(field.duration(times)) }
    let fields = field.map(["exponential", "lognormal", "sigma", "fast", "slow", "slowShare"])
    if let mean = fields["exponential"], fields.count == 1 {
      return .exponential(mean: mean.duration(times))
    }
    if let mean = fields["lognormal"], fields.count == 1 + (fields["sigma"] == nil ? 0 : 1) {
      return .lognormal(mean: mean.duration(times), sigma: fields["sigma"].map(sigma) ?? 1)
    }
    if let fast = fields["fast"], let slow = fields["slow"], let share = fields["slowShare"],
      fields.count == 3
    {
      return .bimodal(
        fast: fast.duration(times),
        slow: slow.duration(times),
        slowShare: share.share()
      )
    }
    field.fault(
      "must be 20ms, {exponential: 20ms}, {lognormal: 20ms, sigma: 1} or "
        + "{fast: 5ms, slow: 100ms, slowShare: 10%}"
    )
    return .constant(.milliseconds(20))
  }

  private static func sigma(_ field: Field) -> Double {
    guard let value = ScenarioReader.decimal(field.text()[...]), value <= 4 else {
      field.fault("must be a number from 0 to 4")
      return 1
    }
    return value
  }

  private static func knee(_ field: Field) -> ServiceSettings.Knee {
    let fields = field.map(["requests", "slowdown"])
    if fields.count < 2 { field.fault("needs requests and slowdown") }
    var slowdown = 0.0
    if let field = fields["slowdown"] {
      let value = ScenarioReader.decimal(field.text()[...])
      if let value, value <= 100 { slowdown = value } else { field.fault("must be from 0 to 100") }
    }
    return ServiceSettings.Knee(
      requests: fields["requests"]?.number(1...mostWorkers) ?? 1,
      slowdown: slowdown
    )
  }

  private static func faults(_ field: Field) -> ServiceSettings.Faults {
    var faults = ServiceSettings.Faults()
    let fields = field.map([
      "error", "reset", "hang", "unavailable", "drop", "slowBody", "slowBodyTime",
    ])
    if let field = fields["error"] { faults.error = field.share() }
    if let field = fields["reset"] { faults.reset = field.share() }
    if let field = fields["hang"] { faults.hang = field.share() }
    if let field = fields["unavailable"] { faults.unavailable = field.share() }
    if let field = fields["drop"] { faults.drop = field.share() }
    if let field = fields["slowBody"] { faults.slowBody = field.share() }
    if let field = fields["slowBodyTime"] { faults.slowBodyTime = field.duration(times) }
    return faults
  }

  private static func route(_ field: Field) -> ServiceSettings.Route {
    let fields = field.map(["path", "serviceTime", "answer"])
    var route = ServiceSettings.Route(
      pathPrefix: fields["path"]?.text() ?? "/",
      serviceTime: fields["serviceTime"].map(time) ?? .constant(.milliseconds(20))
    )
    if fields["path"] == nil { field.fault("needs path, the beginning of its paths") }
    let isPlain = route.pathPrefix.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 }
    if !route.pathPrefix.hasPrefix("/") || !isPlain || route.pathPrefix.contains("\\") {
      fields["path"]?.fault("must begin with / and hold visible ASCII")
    }
    if let field = fields["answer"] { route.answerSize = field.size(0...(64 << 20)) }
    return route
  }
}
