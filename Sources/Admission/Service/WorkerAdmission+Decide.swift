internal import Synchronization
public import Units

extension WorkerAdmission {
  /// Decides about a request that arrived.
  ///
  /// - Parameters:
  ///   - request: What is known of it.
  ///   - now: The time of this turn.
  /// - Returns: A permit, a place in the queue, or the reason to refuse it.
  public mutating func decide(_ request: AdmissionRequest, now: Instant) -> Decision {
    advance(now)
    sums.add(1, to: .arrivals)
    let mayFinish = mayFinish(request)
    let bucket = TenantShares.bucket(request.tenant, seed: service.settings.tenantSeed)
    if mayFinish, let gate = cells.admit() {
      cells.hold(bucket)
      return .dispatched(dispatch(request.route, bucket, isLimited: !gate.hasRoom))
    }
    guard mayFinish else { return .refused(refusal(.deadline)) }
    if admitBeside(bucket, Int(request.priority.rawValue)) {
      return .dispatched(dispatch(request.route, bucket, isLimited: true))
    }
    return enqueue(request, bucket)
  }

  /// A permit for an attempt that is of use only if it goes out at once, and of which nobody hears when
  /// it does not: no place in the queue, and nobody gives way to it.
  ///
  /// - Parameters:
  ///   - request: What is known of it.
  ///   - now: The time of this turn.
  /// - Returns: `nil` where the limit is reached, others wait, or its time is too short.
  public mutating func admitNow(_ request: AdmissionRequest, now: Instant) -> Permit? {
    advance(now)
    guard mayFinish(request), let gate = cells.admit() else { return nil }
    let bucket = TenantShares.bucket(request.tenant, seed: service.settings.tenantSeed)
    sums.add(1, to: .arrivals)
    cells.hold(bucket)
    return dispatch(request.route, bucket, isLimited: !gate.hasRoom)
  }

  /// The slow half: the limit is reached, or others wait.
  private mutating func enqueue(_ request: AdmissionRequest, _ bucket: UInt8) -> Decision {
    var request = request
    request.priority.rawValue = UInt8(min(Int(request.priority.rawValue), classes - 1))
    let priority = Int(request.priority.rawValue)
    let standing = cells.load(ServiceCells.Place.standing)
    // Strict order would never serve it: it fails fast instead.
    if standing & ((1 << UInt64(priority)) - 1) != 0 { return .refused(refusal(.standingClass)) }
    let cost = cost(of: request.route)
    var due = due(request)
    guard due >= now else { return .refused(refusal(.deadline)) }
    var reason = RefusalReason.deadline
    if cells.load(ServiceCells.Place.isGrowing) != 0 {
      let end = now + QueueTimeout.growing(request.deadline - now)
      if end < due { (due, reason) = (end, .timedOut) }
    }
    let isStanding = standing >> UInt64(priority) & 1 == 1
    let bound = Int(cells.load(ServiceCells.Place.queueBound))
    // Without memory nobody is evicted for a newcomer that could not be queued.
    guard queue.hasMemory else { return .refused(refusal(.queueFull)) }
    // Where this worker's own queue is full, room with another one is of no use.
    if queue.isFull || cells.gate.waiting >= bound,
      !makeRoom(for: request, cost, isStanding: isStanding, queue.isFull ? 0 : bound)
    {
      return .refused(refusal(.queueFull))
    }
    let index = queue.push(
      request,
      bucket: bucket,
      cost: cost,
      now: now,
      due: wheelDue(due),
      reason: reason
    )
    guard index >= 0 else {
      publish()
      return .refused(refusal(.queueFull))
    }
    publish()
    // A permit may have ended between the first look and the count: nobody else would wake this one.
    fill()
    guard queue.entries[index].pointee.state == .ready else { return .queued(queue.ticket(index)) }
    let entry = queue.entries[index].pointee
    leaveOutbox(index)
    queue.release(index)
    return .dispatched(dispatch(entry.route, entry.bucket, isLimited: entry.wasLimited))
  }

  /// Makes room for a request in a full queue, at the expense of what counts for less.
  ///
  /// - Returns: False when nothing does.
  private mutating func makeRoom(
    for request: AdmissionRequest,
    _ cost: UInt16,
    isStanding: Bool,
    _ bound: Int
  ) -> Bool {
    let priority = Int(request.priority.rawValue)
    var lower = classes - 1
    while lower > priority {
      if queue.counts[lower] > 0 {
        refuse(queue.victim(lower), .evicted)
        return true
      }
      lower -= 1
    }
    // What counts for less may wait with another worker, which alone can evict it: both wait until it
    // trims its queue at its next turn.
    if cells.gate.waiting < 2 * bound,
      waitsElsewhere(below: priority) || isStanding && queue.counts[priority] == 0
    {
      return true
    }
    let tallies = queue.tallies(request.tenant, priority)
    guard tallies.most > 0, isStanding || tallies.own + Int(cost) < tallies.most else {
      return false
    }
    refuse(queue.victim(priority), .evicted)
    return true
  }

  /// True when a request of a lower class waits with another worker.
  private mutating func waitsElsewhere(below priority: Int) -> Bool {
    guard cells.workers > 1, priority < 7 else { return false }
    let mask = ~UInt64(0) << UInt64(8 * (priority + 1))
    for other in 0..<cells.workers where other != worker {
      if cells.waiting(of: other) & mask != 0 { return true }
    }
    return false
  }

  /// Evicts of this worker's lowest class what is beyond the service's bound: classes are the
  /// service's, but only the worker that holds an entry can take it out.
  mutating func trim() {
    guard cells.workers > 1, queue.count > 0 else { return }
    let bound = Int(cells.load(ServiceCells.Place.queueBound))
    var excess = cells.gate.waiting - bound
    guard excess > 0 else { return }
    var lowest = classes - 1
    while lowest >= 0, queue.counts[lowest] == 0 { lowest -= 1 }
    while excess > 0, lowest >= 0, queue.counts[lowest] > 0, !waitsElsewhere(below: lowest) {
      refuse(queue.victim(lowest), .evicted)
      excess -= 1
    }
    publish()
  }

  /// False when the request could not be answered in time whatever is done.
  ///
  /// Half of the requests finish within the median, which for a wide range of services is about 0.7
  /// of the mean. Below half of the limit it is tried all the same: a service that is refused
  /// everything would never be seen to have recovered.
  private mutating func mayFinish(_ request: AdmissionRequest) -> Bool {
    guard request.deadline != .never else { return true }
    let left = (request.deadline - now).seconds
    guard left > 0 else { return false }
    let scale = cells.number(ServiceCells.Place.scale)
    guard left < 0.7 * cells.number(cells.weights + place(of: request.route)) * scale else {
      return true
    }
    let gate = cells.gate
    return gate.inFlight * 2 < gate.limit
  }

  /// When a queued request has to leave so that it can still finish.
  ///
  /// Slow routes beside a quick one do not make it leave early.
  private mutating func due(_ request: AdmissionRequest) -> Instant {
    guard request.deadline != .never else { return .never }
    let usual = cells.number(ServiceCells.Place.latency)
    let weight = cells.number(cells.weights + place(of: request.route))
    let own = weight * cells.number(ServiceCells.Place.scale)
    let reserve = 2e9 * (own > 0 ? min(usual, own) : usual)
    return request.deadline + Nanoseconds(-Int64(Bounds.clamp(reserve, 0, 1e13)))
  }

  /// The same for the wheel, which holds only what leaves before its class's time-out.
  private mutating func wheelDue(_ due: Instant) -> Instant {
    due < now + QueueTimeout.longest ? due : .never
  }

  /// What a request counts for in its tenant's tally: its route's weight over the mean, in quarters.
  private mutating func cost(of route: Int32) -> UInt16 {
    let weight = cells.number(cells.weights + place(of: route))
    let scale = cells.number(ServiceCells.Place.scale)
    let usual = cells.number(ServiceCells.Place.latency)
    guard weight > 0, usual > 0 else { return 4 }
    return UInt16(Bounds.whole(4 * weight * scale / usual, in: 1...4_096))
  }

  mutating func place(of route: Int32) -> Int { Int(min(max(route, 0), routes - 1)) }
}
