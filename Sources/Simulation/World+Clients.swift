internal import Admission
internal import Units

/// Clients: who asks for what and when, and what becomes of it.
extension World {
  func allocate() -> Int {
    if let index = free.popLast() {
      requests[index].generation &+= 1
      return index
    }
    requests.append(Request())
    return requests.count - 1
  }

  func release(_ index: Int) {
    requests[index].state = .free
    requests[index].generation &+= 1
    free.append(index)
  }

  func call(after wait: Double) {
    events.push(Event(time: now + wait, kind: .call, request: 0, generation: 0))
  }

  func arrive(_ kind: Request.Kind = .usual) {
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

  func arriveAtEdge(_ index: Int) {
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

  func refused(_ index: Int) {
    if requests[index].kind != .hang { buckets[bucket(now)].refused += 1 }
    failed(index)
  }

  /// An attempt failed; the client may try again.
  func failed(_ index: Int) {
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

  func succeeded(_ request: Request) {
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
}
