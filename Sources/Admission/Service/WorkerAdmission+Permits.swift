internal import Synchronization
public import Units

extension WorkerAdmission {
  /// Ends a permit, learns from it, and gives it on to whoever waits.
  ///
  /// - Parameters:
  ///   - permit: Taken by this worker, of this service.
  ///   - outcome: How its request ended.
  ///   - now: The time of this turn.
  ///   - responseHead: When the response head came, where that was earlier: what the client and a long
  ///     body take says nothing about capacity.
  public mutating func end(
    _ permit: consuming Permit,
    _ outcome: PermitOutcome,
    now: Instant,
    responseHead: Instant = .never
  ) {
    advance(now)
    let record = permit.stored()
    cells.letGo(record.bucket)
    let outcome = outcome == .dropped && isExcess(record.bucket) ? .ignored : outcome
    learn(record, outcome, (min(responseHead, self.now) - record.dispatchedAt).seconds)
    place()
    if isCohortBack, service.closeWindow(self.now, wallOffset: wallOffset, isEarly: true) {
      isCohortBack = false
      fill()
    }
  }

  /// The permit of a request that goes out now; its place in the gate is taken already.
  mutating func dispatch(_ route: Int32, _ bucket: UInt8, isLimited: Bool) -> Permit {
    let gate = cells.gate
    let weight = cells.number(cells.weights + place(of: route))
    let drains = cells.load(ServiceCells.Place.drain)
    let drain = UInt32(truncatingIfNeeded: drains)
    sums.beginChange()
    sums.add(1, to: .dispatched)
    if isLimited { sums.add(1, to: .dispatchedLimited) }
    if drain != 0 { sums.add(.drainSentCount, weight: weight) }
    var cohort: UInt32 = 0
    if isLimited {
      let wanted = cells.base[ServiceCells.Place.cohort].load(ordering: .acquiring)
      if wanted != 0 { cohort = joinCohort(wanted, weight) }
    }
    sums.endChange()
    sums.raisePeak(Double(gate.inFlight))
    let record = StoredPermit(
      dispatchedAt: now,
      route: route,
      drain: drain,
      cohort: cohort,
      bucket: bucket,
      wasLimited: isLimited,
      wasIdle: gate.inFlight * 2 <= gate.limit
    )
    return Permit(record, cells)
  }

  /// A permit again for a request that had given its own back and is at the service all the same.
  ///
  /// It is granted above the limit, too. Nothing is learned from its end: it is to be ended as ignored
  /// or dropped.
  public mutating func resume(_ record: StoredPermit, now: Instant) -> Permit {
    advance(now)
    var gate = cells.gate
    while !cells.replace(gate, by: gate.rawValue + Gate.oneInFlight) { gate = cells.gate }
    cells.hold(record.bucket)
    var record = record
    record.dispatchedAt = self.now
    record.drain = 0
    record.cohort = 0
    record.wasLimited = false
    record.wasIdle = false
    return Permit(record, cells)
  }

  private mutating func joinCohort(_ wanted: UInt64, _ weight: Double) -> UInt32 {
    let number = UInt32(wanted >> 32)
    let size = Int(wanted & 0xFFFF)
    let before = cells.join(ServiceCells.Place.cohortSent, cohort: number, size: size)
    guard before >= 0 else { return 0 }
    let time = UInt64(bitPattern: now.rawValue)
    if before == 0 { cells.store(time, ServiceCells.Place.cohortFirst) }
    if before == size - 1 { cells.store(time, ServiceCells.Place.cohortLast) }
    sums.add(.cohortSentCount, weight: weight)
    return number
  }

  private mutating func learn(
    _ record: StoredPermit,
    _ outcome: PermitOutcome,
    _ seconds: Double
  ) {
    let latency = Bounds.clamp(seconds, Bounds.shortestLatency, Bounds.latency)
    let period = Double(cells.load(ServiceCells.Place.period)) / 1e9
    let drainSample = UInt32(cells.load(ServiceCells.Place.drain) >> 32)
    let isDrained = record.drain != 0 && record.drain == drainSample
    let isMember = record.cohort != 0 && countBack(record.cohort)
    let route = place(of: record.route)
    sums.beginChange()
    defer { sums.endChange() }
    guard outcome == .served else {
      if outcome == .dropped { sums.add(1, to: .dropped) }
      let weight = cells.number(cells.weights + route)
      // One of a drain that was dropped late was slow: it stays out, and counts at the cap. A cohort has
      // no end, and would wait for it for ever.
      let wasSlow = outcome == .dropped && latency >= period
      if isDrained, !wasSlow { sums.add(.drainGoneCount, weight: weight) }
      if isMember { sums.add(.cohortGoneCount, weight: weight) }
      return
    }
    let scale = cells.number(ServiceCells.Place.scale)
    let capped = min(latency, period)
    let mean = sums.addRoute(route, ratio: capped / scale)
    let learned = cells.number(cells.weights + route)
    let weight = learned > 0 ? learned : mean
    sums.add(1, to: .samples)
    sums.add(latency, to: .latency)
    sums.add(capped, to: .cappedLatency)
    sums.add(weight, to: .weight)
    if !record.wasIdle { sums.add(1, to: .busySamples) }
    if isMember { sums.add(.cohortCount, latency: latency, weight: weight, scale: scale) }
    if record.drain != 0 {
      if isDrained { sums.add(.drainCount, latency: capped, weight: weight, scale: scale) }
    } else if record.wasLimited {
      sums.add(.limitedCount, latency: capped, weight: weight, scale: scale)
    } else if record.wasIdle {
      sums.add(.idleCount, latency: capped, weight: weight, scale: scale)
    }
  }

  /// Counts a member of the present cohort back; enough of them are a reason to close the window.
  private mutating func countBack(_ cohort: UInt32) -> Bool {
    let before = cells.join(ServiceCells.Place.cohortBack, cohort: cohort, size: 0xFFFF)
    guard before >= 0 else { return false }
    let quorum = Int(cells.load(ServiceCells.Place.cohort) >> 16 & 0xFFFF)
    let isSent = Instant(cells.instant(ServiceCells.Place.cohortLast)) != .never
    if isSent, before + 1 >= quorum { isCohortBack = true }
    return true
  }

  // MARK: Handing on

  /// Gives a permit in hand to the highest class that waits anywhere, or back.
  ///
  /// In this order no wake-up is lost: a waiter is seen in its worker's counts before the gate counts
  /// it, and a permit that goes back while the gate counts somebody is followed by another look.
  mutating func place() {
    while true {
      let gate = cells.gate
      if gate.inFlight > gate.limit || gate.waiting == 0 {
        if giveBack(gate) { return }
        continue
      }
      guard let (chosen, priority) = choose() else {
        if giveBack(gate) {
          fill()
          return
        }
        continue
      }
      guard chosen == worker else {
        cells.addCredit(to: chosen)
        bells |= 1 << UInt64(chosen)
        return
      }
      if serveOwn(priority) { return }
    }
  }

  /// Dispatches while there is room and somebody waits.
  mutating func fill() {
    while true {
      let gate = cells.gate
      guard gate.waiting > 0, gate.hasRoom, choose() != nil else { return }
      if cells.replace(gate, by: gate.rawValue + Gate.oneInFlight) { place() }
    }
  }

  private mutating func giveBack(_ gate: Gate) -> Bool {
    gate.inFlight == 0 || cells.replace(gate, by: gate.rawValue - Gate.oneInFlight)
  }

  /// The worker where the highest class waits that has no permit on its way.
  ///
  /// Of several the own one is preferred, except each fourth time: one that holds no permits would
  /// else never get one.
  private mutating func choose() -> (worker: Int, priority: Int)? {
    let count = cells.workers
    guard count > 1 else {
      for priority in 0..<classes where queue.counts[priority] > 0 { return (worker, priority) }
      return nil
    }
    choices &+= 1
    var candidate = worker
    if choices & 3 == 0 { candidate = (worker + (choices >> 2) % count) % count }
    var best: (worker: Int, priority: Int)?
    for _ in 0..<count {
      let packed = candidate == worker ? published : cells.waiting(of: candidate)
      if packed != 0 {
        let priority = Self.highest(packed, provided: cells.credit(of: candidate))
        if priority < best?.priority ?? PriorityClasses.maximum { best = (candidate, priority) }
      }
      candidate = candidate + 1 == count ? 0 : candidate + 1
    }
    return best
  }

  /// The highest class of a worker that its permits on the way do not yet provide for.
  static func highest(_ packed: UInt64, provided: UInt64) -> Int {
    var left = provided
    var rest = packed
    var priority = 0
    while rest != 0 {
      let count = rest & 0xFF
      // A full byte means many.
      if count > left || count == 255 { return priority }
      left -= count
      rest >>= 8
      priority += 1
    }
    return PriorityClasses.maximum
  }

  /// Gives a permit in hand to a request of a class that waits here.
  ///
  /// - Returns: False when all of them had waited too long.
  private mutating func serveOwn(_ priority: Int) -> Bool {
    let isLate = cells.load(ServiceCells.Place.late) >> UInt64(priority) & 1 == 1
    expire(priority, isLate: isLate)
    let index = isLate ? queue.newest(priority) : queue.oldest(priority)
    guard index >= 0 else {
      publish()
      return false
    }
    ready(index)
    return true
  }

  /// Takes a queued request, whose place in the gate is taken, out to be dispatched.
  mutating func ready(_ index: Int32) {
    queue.unlink(index)
    publish()
    let gate = cells.gate
    queue.entries[index].pointee.state = .ready
    queue.entries[index].pointee.wasLimited = gate.waiting > 0 || !gate.hasRoom
    cells.hold(queue.entries[index].pointee.bucket)
    enterOutbox(index)
  }

  // MARK: Expiry

  /// Refuses what waited too long, in every class.
  mutating func expire() {
    guard queue.count > 0 else { return }
    let late = cells.load(ServiceCells.Place.late)
    for priority in 0..<classes {
      expire(priority, isLate: late >> UInt64(priority) & 1 == 1)
    }
    var index = queue.nextDue(now)
    while index >= 0 {
      refuse(index, queue.entries[index].pointee.reason)
      index = queue.nextDue(now)
    }
    publish()
  }

  /// The same in one class, whose oldest are its first; the caller publishes.
  private mutating func expire(_ priority: Int, isLate: Bool) {
    let timeout =
      isLate
      ? QueueTimeout.standing(priority)
      : cells.load(ServiceCells.Place.isGrowing) != 0
        ? QueueTimeout.longest : QueueTimeout.calm(priority)
    var index = queue.oldest(priority)
    while index >= 0, now - queue.entries[index].pointee.arrival > timeout {
      refuse(index, .timedOut)
      index = queue.oldest(priority)
    }
    while isDue(index) {
      refuse(index, queue.entries[index].pointee.reason)
      index = queue.oldest(priority)
    }
    if isLate {
      index = queue.newest(priority)
      while isDue(index) {
        refuse(index, queue.entries[index].pointee.reason)
        index = queue.newest(priority)
      }
    }
  }

  private mutating func isDue(_ index: Int32) -> Bool {
    index >= 0 && queue.entries[index].pointee.due < now
  }
}
