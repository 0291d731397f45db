internal import Admission
internal import Units

/// Edges: what their admission decides, carried out.
extension World {
  func tick(_ edge: Int) {
    for worker in 0..<scenario.workers { turn(edge, worker) }
  }

  func turn(_ edge: Int, _ worker: Int) {
    var offset = edges[edge].skew
    if now >= scenario.clockStep.time { offset += scenario.clockStep.by }
    let wallOffset = Nanoseconds(Int64(offset * 1e9))
    edges[edge].workers[worker].turn(instant(now), wallOffset: wallOffset)
    settle(edge, worker)
  }

  /// Carries out what a worker's admission has to say.
  func settle(_ edge: Int, _ worker: Int) {
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

  func dispatch(_ index: Int, _ permit: StoredPermit) {
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

  func endPermit(_ index: Int, _ outcome: PermitOutcome) {
    let request = requests[index]
    guard let permit = request.permit else { return }
    requests[index].permit = nil
    edges[request.edge].outstanding[request.backend] -= 1
    let worker = edges[request.edge].workers + request.worker
    worker.pointee.end(worker.pointee.restore(permit), outcome, now: instant(now))
  }

  func deadlinePassed(_ index: Int, _ generation: UInt32) {
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
}
