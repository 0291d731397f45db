public import Admission
internal import Units

/// Open-loop clients, edges that run the real `Admission`, and a service, on a virtual clock.
///
/// Everything is a function of scenario, limiter and seed.
public final class World {
  static let classes = 4

  struct Request {
    enum State { case free, queued, inFlight, abandoned, retrying }
    var state = State.free
    var generation: UInt32 = 0
    var born = 0.0
    var arrival = 0.0
    var dispatched = 0.0
    var demand = 0.0
    var priority = 0
    var route: Int32 = 0
    var attempt = 0
    var edge = 0
    var worker = 0
    var backend = 0
    var permit: StoredPermit?
    var kind = Kind.usual
    /// Who sent it: whoever they are, a closed loop, or the tenant whose requests hang.
    enum Kind { case usual, call, hang }
  }

  struct Event {
    enum Kind { case serviceDone, response, retry, bell, call }
    var time: Double
    var kind: Kind
    var request: Int
    var generation: UInt32
  }

  struct Backend {
    var places = 0
    var busy = 0
    var queue = Fifo()
  }

  /// What happened in 100 ms, by class; `offered` and `served` by the time of birth.
  struct Bucket {
    var offered = InlineArray<4, Double>(repeating: 0)
    var served = InlineArray<4, Double>(repeating: 0)
    var finished = InlineArray<4, Double>(repeating: 0)
    /// Attempts that admission refused, by the time of refusal.
    var refused = 0.0
    /// Requests that the service alone, with nobody before them, would not answer in time.
    var hopeless = 0.0
    var work = 0.0
    var limit = 0.0
  }

  let scenario: Scenario
  var random: Generator
  var now = 0.0
  var requests: [Request] = []
  var free: [Int] = []
  var events = EventHeap()
  var deadlines = DeadlineQueue()
  var backends: [Backend]
  var edges: [SimulatedEdge] = []
  var buckets: [Bucket]
  var latency = Histogram()
  var criticalLatency = Histogram()
  var queueWait = Histogram()
  var finishedByEdge: [Double]
  private var isBurst = false
  private var burstEnd = 0.0
  /// The path to the service and back.
  let network = 0.001

  /// - Parameters:
  ///   - scenario: What happens.
  ///   - seed: One value gives one course.
  ///   - limiter: The rule of every edge; nothing for the one there is by default.
  ///   - weights: Weights of the two routes, learned before.
  public init(
    _ scenario: Scenario,
    seed: UInt64,
    limiter: Limiter = .standard,
    weights: [Double] = []
  ) {
    self.scenario = scenario
    random = Generator(seed: seed)
    backends = Array(repeating: Backend(places: scenario.places), count: scenario.backends)
    buckets = Array(repeating: Bucket(), count: Int(scenario.length * 10) + 20)
    finishedByEdge = Array(repeating: 0, count: scenario.edges)
    for index in 0..<scenario.edges {
      let share = Double(index) - Double(scenario.edges - 1) / 2
      let skew = scenario.skew * share / Double(max(1, scenario.edges - 1))
      edges.append(SimulatedEdge(scenario, limiter: limiter, weights: weights, skew: skew))
    }
  }

  /// Lets the scenario happen.
  public func run() {
    var rate = 0.0
    var nextTick = 0.01
    var nextStep = 0.0
    func refresh() {
      var load = scenario.load.at(now)
      if scenario.isBursty {
        if now >= burstEnd {
          isBurst.toggle()
          burstEnd = now + random.exponential(mean: 0.4)
        }
        load *= isBurst ? 1.5 : 0.5
      }
      let unit = scenario.fixedRate > 0 ? scenario.fixedRate : scenario.capacityRate(at: now)
      rate = unit * load
      let alive = max(1, Int((Double(scenario.places) * scenario.capacity.at(now)).rounded()))
      for index in backends.indices where backends[index].places != alive {
        backends[index].places = alive
        startService(index)
      }
    }
    refresh()
    func pause(_ rate: Double) -> Double {
      rate > 0 ? random.exponential(mean: 1 / rate) : .infinity
    }
    var nextArrival = pause(rate)
    var nextHang = pause(scenario.hangs)
    var bursts = scenario.bursts[...]
    for _ in 0..<scenario.callers { call(after: scenario.callersWithin * random.uniform()) }
    while now < scenario.length {
      let extra = min(nextHang, bursts.first?.time ?? .infinity)
      let time = min(min(events.time, deadlines.time), min(nextArrival, nextTick), extra)
      now = time
      if time == nextHang {
        nextHang = now + pause(scenario.hangs)
        arrive(.hang)
      } else if let burst = bursts.first, time == burst.time {
        bursts.removeFirst()
        for _ in 0..<burst.size { arrive() }
      } else if time == nextArrival {
        nextArrival = now + pause(rate)
        arrive()
      } else if time == deadlines.time {
        let (request, generation) = deadlines.pop()
        deadlinePassed(request, generation)
      } else if time == nextTick {
        nextTick += 0.01
        if now >= nextStep || scenario.isBursty {
          let before = rate
          refresh()
          nextStep += 0.1
          if rate != before { nextArrival = now + pause(rate) }
        }
        for edge in edges.indices { tick(edge) }
        buckets[bucket(now)].limit = Double(edges[0].service.limit)
      } else {
        handle(events.pop())
      }
    }
  }

  func bucket(_ time: Double) -> Int { min(Int(time * 10), buckets.count - 1) }

  func instant(_ time: Double) -> Instant { Instant(Int64(time * 1e9)) }
}
