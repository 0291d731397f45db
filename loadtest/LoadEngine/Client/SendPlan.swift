public import LoadKit
public import Units

/// What is sent and when, with all rates known.
public struct SendPlan: Sendable {
  public struct Stretch: Sendable {
    /// Requests per second; of no meaning in a closed loop.
    public var rate: Double
    public var duration: Nanoseconds
    /// Weights in the order of the kinds.
    public var weights: [Double]

    public init(rate: Double, duration: Nanoseconds, weights: [Double]) {
      self.rate = rate
      self.duration = duration
      self.weights = weights
    }
  }

  public var arrivals: Arrivals
  /// At least one.
  public var stretches: [Stretch]
  public var interval: Nanoseconds
  /// Classes of the kinds.
  public var priorities: [Int]

  public init(
    arrivals: Arrivals,
    stretches: [Stretch],
    interval: Nanoseconds,
    priorities: [Int]
  ) {
    self.arrivals = arrivals
    self.stretches = stretches
    self.interval = interval
    self.priorities = priorities
  }

  /// The plan of a scenario at a capacity.
  public init(_ scenario: Scenario, capacity: Double) {
    arrivals = scenario.arrivals
    stretches = scenario.stretches.map {
      Stretch(
        rate: $0.rate(capacity: capacity),
        duration: $0.duration,
        weights: scenario.weights(in: $0)
      )
    }
    interval = scenario.effectiveInterval
    priorities = scenario.kinds.map(\.priority)
  }

  /// In nanoseconds.
  public var duration: Nanoseconds {
    stretches.reduce(.zero) { $0 + $1.duration }
  }
}

/// A request that is due.
struct DueCall {
  var intended: Instant
  var kind: Int
  var place: Account.Place
}

/// A plan against the clock: what is due, and where it counts.
struct PlanClock {
  let start: Instant
  /// The next intended time; `.never` when there is none.
  private(set) var next: Instant
  private let plan: SendPlan
  private let choices: [WeightedChoice]
  private let ends: [Instant]
  private var schedule: ArrivalSchedule?
  private var draw: SplitMix64
  private var phase = 0

  init(_ plan: SendPlan, seed: UInt64, start: Instant) {
    self.plan = plan
    self.start = start
    choices = plan.stretches.map { WeightedChoice($0.weights) }
    draw = SplitMix64(seed: seed ^ 0xC0FFEE)
    var end = start
    ends = plan.stretches.map { stretch in
      end = end + stretch.duration
      return end
    }
    switch plan.arrivals {
    case .open(let process):
      schedule = ArrivalSchedule(
        phases: plan.stretches.map { RatePhase(rate: $0.rate, duration: $0.duration.seconds) },
        process: process,
        seed: seed
      )
      next = .never
      advance()
    case .closed:
      schedule = nil
      next = start
    }
  }

  /// Where the phase that runs ends; `.never` in the last one.
  var nextPhaseStart: Instant { phase + 1 < ends.count ? ends[phase] : .never }

  /// Whether nothing will be due any more.
  func isOver(at time: Instant) -> Bool {
    if case .closed = plan.arrivals { return time >= (ends.last ?? start) }
    return next == .never && time >= (ends.last ?? start)
  }

  /// The next request that is due by a time.
  mutating func take(at time: Instant) -> DueCall? {
    guard next <= time else { return nil }
    if case .closed(let callers) = plan.arrivals {
      // All callers begin together, then each goes on when it has an answer.
      opened += 1
      if opened >= callers { next = .never }
      return due(at: start)
    }
    let intended = next
    advance()
    return due(at: intended)
  }

  private var opened = 0

  /// A caller's next request in a closed loop, unless the time is over.
  mutating func takeClosed(at time: Instant) -> DueCall? {
    guard let end = ends.last, time < end else { return nil }
    return due(at: max(time, start))
  }

  private mutating func advance() {
    guard let offset = schedule?.next() else {
      next = .never
      return
    }
    next = start + offset
  }

  private mutating func due(at intended: Instant) -> DueCall {
    while phase + 1 < ends.count, intended >= ends[phase] { phase += 1 }
    let kind = choices[phase].draw(&draw)
    let offset = (intended - start).rawValue
    return DueCall(
      intended: intended,
      kind: kind,
      place: Account.Place(
        phase: phase,
        interval: Int(offset / plan.interval.rawValue),
        priority: plan.priorities[kind]
      )
    )
  }
}
