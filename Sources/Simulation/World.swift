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
  private let network = 0.001

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

  // MARK: Clients

  private func allocate() -> Int {
    if let index = free.popLast() {
      requests[index].generation &+= 1
      return index
    }
    requests.append(Request())
    return requests.count - 1
  }

  private func release(_ index: Int) {
    requests[index].state = .free
    requests[index].generation &+= 1
    free.append(index)
  }

  private func call(after wait: Double) {
    events.push(Event(time: now + wait, kind: .call, request: 0, generation: 0))
  }

  private func arrive(_ kind: Request.Kind = .usual) {
    let index = allocate()
    var request = Request()
    request.kind = kind
    request.generation = requests[index].generation
    request.born = now
    let share = scenario.critical.at(now)
    let draw = random.uniform()
    let rest = (1 - share) / 0.95
    request.priority =
      draw < share
      ? 0 : draw < share + 0.25 * rest ? 1 : draw < share + 0.65 * rest ? 2 : 3
    drawDemand(&request)
    let active = Int(scenario.activeEdges.at(now))
    request.edge = random.below(active == 0 ? scenario.edges : active)
    request.worker = scenario.workers == 1 ? 0 : random.below(scenario.workers)
    requests[index] = request
    if kind != .hang {
      buckets[bucket(now)].offered[request.priority] += 1
      let alone = request.demand + network + scenario.delay.at(now)
      if alone >= scenario.deadline { buckets[bucket(now)].hopeless += 1 }
    }
    arriveAtEdge(index)
  }

  private func drawDemand(_ request: inout Request) {
    switch scenario.demand {
    case .exponential: request.demand = random.exponential(mean: scenario.meanDemand)
    case .lognormal(let variation):
      request.demand = random.lognormal(mean: scenario.meanDemand, variation: variation)
    case .bimodal:
      let isDear = random.uniform() < scenario.dear.at(now)
      request.route = isDear ? 1 : 0
      request.demand = (isDear ? 0.080 : 0.002) * (0.5 + random.exponential(mean: 0.5))
    case .mixed:
      let draw = random.uniform()
      request.demand = draw < 0.6 ? 0.0003 : draw < 0.8 ? 0.005 : 0.080
    }
  }

  private func arriveAtEdge(_ index: Int) {
    requests[index].arrival = now
    requests[index].state = .queued
    deadlines.push(now + scenario.deadline, index, requests[index].generation)
    let request = requests[index]
    let lowered =
      request.attempt > 0 ? min(request.priority + 1, Self.classes - 1) : request.priority
    let question = AdmissionRequest(
      handle: UInt64(index),
      priority: PriorityClass(UInt8(lowered)),
      tenant: request.kind == .hang ? 1 : 0,
      route: request.route,
      deadline: instant(now + scenario.deadline)
    )
    switch edges[request.edge].workers[request.worker].decide(question, now: instant(now)) {
    case .dispatched(let permit): dispatch(index, permit.stored())
    case .queued: break
    case .refused: refused(index)
    }
    settle(request.edge, request.worker)
  }

  private func refused(_ index: Int) {
    if requests[index].kind != .hang { buckets[bucket(now)].refused += 1 }
    failed(index)
  }

  /// An attempt failed; the client may try again.
  private func failed(_ index: Int) {
    let request = requests[index]
    release(index)
    // One that is turned away at once waits a little, as any client has to.
    if request.kind == .call { call(after: 0.001) }
    guard request.kind == .usual, request.attempt < scenario.retries else { return }
    let copy = allocate()
    let generation = requests[copy].generation
    requests[copy] = request
    requests[copy].generation = generation
    requests[copy].attempt += 1
    requests[copy].state = .retrying
    let wait = 0.05 + 0.1 * random.uniform() * Double(1 << request.attempt)
    events.push(Event(time: now + wait, kind: .retry, request: copy, generation: generation))
  }

  private func succeeded(_ request: Request) {
    if request.kind == .call { call(after: 0) }
    buckets[bucket(request.born)].served[request.priority] += 1
    buckets[bucket(now)].finished[request.priority] += 1
    buckets[bucket(now)].work += request.demand
    guard scenario.measured.contains(now) else { return }
    latency.add(now - request.arrival)
    if request.priority == 0 { criticalLatency.add(now - request.arrival) }
    queueWait.add(max(1e-4, request.dispatched - request.arrival))
    finishedByEdge[request.edge] += 1
  }

  // MARK: Edges

  private func tick(_ edge: Int) {
    for worker in 0..<scenario.workers { turn(edge, worker) }
  }

  private func turn(_ edge: Int, _ worker: Int) {
    var offset = edges[edge].skew
    if now >= scenario.clockStep.time { offset += scenario.clockStep.by }
    let wallOffset = Nanoseconds(Int64(offset * 1e9))
    edges[edge].workers[worker].turn(instant(now), wallOffset: wallOffset)
    settle(edge, worker)
  }

  /// Carries out what a worker's admission has to say.
  private func settle(_ edge: Int, _ worker: Int) {
    while edges[edge].workers[worker].hasEvents {
      var isDone = false
      switch edges[edge].workers[worker].next() {
      case .dispatched(let handle, let permit): dispatch(Int(handle), permit.stored())
      case .refused(let handle, _): refused(Int(handle))
      case .none: isDone = true
      }
      guard isDone else { continue }
      var bells = edges[edge].workers[worker].takeBells()
      while bells != 0 {
        let target = bells.trailingZeroBitCount
        bells &= bells - 1
        let place = edge * scenario.workers + target
        events.push(Event(time: now + 0.0001, kind: .bell, request: place, generation: 0))
      }
    }
  }

  private func dispatch(_ index: Int, _ permit: StoredPermit) {
    requests[index].state = .inFlight
    requests[index].dispatched = now
    requests[index].permit = permit
    let edge = requests[index].edge
    guard requests[index].kind != .hang else {
      edges[edge].outstanding[requests[index].backend] += 1
      return
    }
    let (a, b) = (random.below(backends.count), random.below(backends.count))
    let chosen = edges[edge].outstanding[a] <= edges[edge].outstanding[b] ? a : b
    requests[index].backend = chosen
    edges[edge].outstanding[chosen] += 1
    if backends[chosen].queue.count > 50 * scenario.places {
      // The listen backlog is full: refused at once.
      endPermit(index, .dropped)
      failed(index)
    } else {
      backends[chosen].queue.push(index)
      startService(chosen)
    }
  }

  private func endPermit(_ index: Int, _ outcome: PermitOutcome) {
    let request = requests[index]
    guard let permit = request.permit else { return }
    requests[index].permit = nil
    edges[request.edge].outstanding[request.backend] -= 1
    let worker = edges[request.edge].workers + request.worker
    worker.pointee.end(worker.pointee.restore(permit), outcome, now: instant(now))
  }

  private func deadlinePassed(_ index: Int, _ generation: UInt32) {
    let request = requests[index]
    guard request.generation == generation, request.state == .inFlight else { return }
    endPermit(index, .dropped)
    // The service goes on with it all the same.
    requests[index].state = .abandoned
    let copy = allocate()
    let own = requests[copy].generation
    requests[copy] = request
    requests[copy].generation = own
    requests[copy].permit = nil
    failed(copy)
    if request.kind == .hang { release(index) }
    settle(request.edge, request.worker)
  }

  // MARK: The service

  private func startService(_ index: Int) {
    while backends[index].busy < backends[index].places, let request = backends[index].queue.pop() {
      let present = Double(backends[index].busy + backends[index].queue.count) + 1
      let over = max(0, present / Double(max(1, backends[index].places)) - scenario.knee)
      let slowness = min(4, 1 + 0.4 * over)
      backends[index].busy += 1
      events.push(
        Event(
          time: now + requests[request].demand * slowness,
          kind: .serviceDone,
          request: request,
          generation: requests[request].generation
        )
      )
    }
  }

  private func handle(_ event: Event) {
    switch event.kind {
    case .bell: return turn(event.request / scenario.workers, event.request % scenario.workers)
    case .call: return arrive(.call)
    default: break
    }
    guard requests[event.request].generation == event.generation else { return }
    switch event.kind {
    case .serviceDone:
      let backend = requests[event.request].backend
      backends[backend].busy -= 1
      var response = event
      response.kind = .response
      response.time = now + network + scenario.delay.at(now)
      events.push(response)
      startService(backend)
    case .response:
      let request = requests[event.request]
      if request.state == .abandoned {
        release(event.request)
        return
      }
      endPermit(event.request, .served)
      succeeded(request)
      release(event.request)
      settle(request.edge, request.worker)
    case .retry: arriveAtEdge(event.request)
    case .bell, .call: break
    }
  }
}
