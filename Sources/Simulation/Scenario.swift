/// A function of time that is constant between steps.
public struct Steps: Sendable, ExpressibleByFloatLiteral {
  private var steps: [(time: Double, value: Double)]

  public init(floatLiteral value: Double) { steps = [(0, value)] }

  /// - Parameter steps: Pairs of time in seconds and the value from then on, in order.
  public init(_ steps: [(Double, Double)]) {
    self.steps = steps.map { (time: $0.0, value: $0.1) }
  }

  public func at(_ time: Double) -> Double {
    var value = steps[0].value
    for step in steps where time >= step.time { value = step.value }
    return value
  }
}

/// What a simulated service, its clients and its edges are like; spans are in seconds.
public struct Scenario: Sendable {
  /// How long a request occupies a place of the service.
  public enum Demand: Sendable {
    case exponential
    /// With this coefficient of variation.
    case lognormal(Double)
    /// 2 ms, and 80 ms for the share named by `dear`; two routes.
    case bimodal
    /// 0.3 ms for three of five, 5 ms for one and 80 ms for one; one route.
    case mixed
  }

  public var name: String
  public var length = 60.0
  public var backends = 4
  public var places = 10
  public var meanDemand = 0.020
  public var demand = Demand.exponential
  /// Offered load over the capacity of the whole service.
  public var load: Steps = 1.0
  /// Share of the places that are alive.
  public var capacity: Steps = 1.0
  /// Latency that occupies no place.
  public var delay: Steps = 0.0
  public var dear: Steps = 0.1
  /// Share of critical requests; the other classes keep 25:40:30.
  public var critical: Steps = 0.05
  /// Requests per second at load 1; 0 for the capacity.
  public var fixedRate = 0.0
  /// Whether load is modulated between 0.5 and 1.5 of itself.
  public var isBursty = false
  /// Requests that come at once, beside the load.
  public var bursts: [(time: Double, size: Int)] = []
  /// Clients that each begin a request as soon as they have the answer to the one before.
  public var callers = 0
  /// How long it takes until all of them have come.
  public var callersWithin = 0.01
  /// Requests per second of another tenant, which occupy no place and are never answered.
  public var hangs = 0.0
  public var retries = 0
  public var edges = 1
  /// Edges that receive traffic; 0 for all.
  public var activeEdges: Steps = 0.0
  /// Workers of each edge.
  public var workers = 1
  /// Spread of the edges' wall clocks.
  public var skew = 0.0
  /// A step of every edge's wall clock: when, and by how much.
  public var clockStep = (time: Double.infinity, by: 0.0)
  /// Where the figures are taken.
  public var measured = 20.0...60.0
  /// What convergence and recovery are measured from.
  public var event: (start: Double, end: Double?)?
  public var countsWork = false
  public var deadline = 1.0
  /// Load over places above which the service grows slower, down to a quarter.
  public var knee = 2.5
  /// True when edges start with what an earlier run had learned.
  public var isWarm = false

  public init(_ name: String) { self.name = name }

  func meanDemand(at time: Double) -> Double {
    switch demand {
    case .exponential, .lognormal: meanDemand
    case .bimodal: 0.002 * (1 - dear.at(time)) + 0.080 * dear.at(time)
    case .mixed: 0.6 * 0.0003 + 0.2 * 0.005 + 0.2 * 0.080
    }
  }

  /// Requests per second that all places can serve.
  func capacityRate(at time: Double) -> Double {
    Double(backends * places) / meanDemand(at: time)
  }
}
