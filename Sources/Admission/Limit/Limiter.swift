/// The concurrency limits there are, of which a service uses one.
///
/// An enum and not an existential, so that its size is fixed and nothing is allocated. A new limit is
/// a file beside this one and a case here.
public enum Limiter: ConcurrencyLimit {
  case latencyGradient(LatencyGradientLimit)
  case gradient2(Gradient2Limit)
  case vegas(VegasLimit)
  case aimd(AIMDLimit)
  case fixed(FixedLimit)

  /// The one that a service uses which names none.
  public static var standard: Limiter { .latencyGradient(LatencyGradientLimit()) }

  /// The limit that an operator named; nothing when there is none of that name.
  ///
  /// - Parameters:
  ///   - name: `latency-gradient`, `gradient2`, `vegas`, `aimd` or `fixed`.
  ///   - limit: Requests in flight, for `fixed` alone.
  public init?(named name: String, limit: Int = 100) {
    switch name {
    case "latency-gradient": self = .standard
    case "gradient2": self = .gradient2(Gradient2Limit())
    case "vegas": self = .vegas(VegasLimit())
    case "aimd": self = .aimd(AIMDLimit())
    case "fixed": self = .fixed(FixedLimit(limit: limit))
    default: return nil
    }
  }

  /// Tells a rule that learns from the limits it had which ones an operator allows.
  mutating func bound(to range: ClosedRange<Int>) {
    guard case .latencyGradient(var rule) = self else { return }
    rule.bound(to: range)
    self = .latencyGradient(rule)
  }

  public var limit: Int {
    switch self {
    case .latencyGradient(let rule): rule.limit
    case .gradient2(let rule): rule.limit
    case .vegas(let rule): rule.limit
    case .aimd(let rule): rule.limit
    case .fixed(let rule): rule.limit
    }
  }

  public var guidance: LimitGuidance {
    switch self {
    case .latencyGradient(let rule): rule.guidance
    case .gradient2(let rule): rule.guidance
    case .vegas(let rule): rule.guidance
    case .aimd(let rule): rule.guidance
    case .fixed(let rule): rule.guidance
    }
  }

  public mutating func observe(_ window: LimitWindow) {
    switch self {
    case .latencyGradient(var rule):
      rule.observe(window)
      self = .latencyGradient(rule)
    case .gradient2(var rule):
      rule.observe(window)
      self = .gradient2(rule)
    case .vegas(var rule):
      rule.observe(window)
      self = .vegas(rule)
    case .aimd(var rule):
      rule.observe(window)
      self = .aimd(rule)
    case .fixed(var rule):
      rule.observe(window)
      self = .fixed(rule)
    }
  }
}
