internal import Synchronization
public import Units

/// One worker's side of a service's admission: it decides, holds the worker's queue, and ends permits.
///
/// How a worker drives it, on its own thread alone:
///
/// 1. For a request, `decide`. Dispatched: send it and keep the permit. Queued: park the exchange
///    under its ticket. Refused: answer.
/// 2. When the exchange ends, `end` its permit; when the client of a queued one goes away, `cancel`.
/// 3. In each turn of its loop, and 10 ms after the last one while `hasQueued`, `turn`. The same when
///    the bell of the service rings.
/// 4. After each of these: take what `next` gives until it gives nothing, then ring the other workers
///    that `takeBells` names. A worker that is rung calls `turn`; the permit that was left for it is
///    counted in shared memory, so a bell may be late, early or doubled, but must not be lost.
///
/// Nothing here allocates, locks or waits. What only looks is mutating all the same: for a borrow the
/// compiler copies the whole of it, 500 bytes a look. Times are those of the worker's turn, and one that goes
/// back counts as no time passed.
public struct WorkerAdmission: ~Copyable {
  let service: ServiceAdmission
  let cells: ServiceCells
  let sums: WorkerSums
  let worker: Int
  let classes: Int
  let routes: Int32
  var queue: ClassQueue
  var now = Instant(.min)
  var wallOffset = Nanoseconds.zero
  var nextExpiry = Instant(.min)
  var outboxHead: Int32 = -1
  var outboxTail: Int32 = -1
  var bells: UInt64 = 0
  var published: UInt64 = 0
  var choices = 0
  var isCohortBack = false
  /// Requests of this worker that hang, as the others were told.
  public private(set) var hanging = 0

  /// True while some hang, or as many may go out beside the limit still: `turn` is then due every
  /// 10 ms.
  public var isBesideHanging: Bool {
    mutating get { hanging > 0 || cells.load(ServiceCells.Place.allowance) > 0 }
  }

  /// - Parameters:
  ///   - service: What it shares with the other workers.
  ///   - worker: Its number among them, which no other has.
  ///   - seed: Of the hash of tenants; callers must not be able to guess it.
  public init(service: ServiceAdmission, worker: Int, seed: UInt64 = 0) {
    precondition(worker >= 0 && worker < service.settings.workers, "no such worker")
    self.service = service
    cells = service.cells
    sums = service.cells.sums(of: worker)
    self.worker = worker
    classes = service.settings.classes
    routes = Int32(service.settings.routes)
    queue = ClassQueue(
      capacity: service.settings.queueCapacity,
      classes: service.settings.classes,
      seed: seed
    )
  }

  /// True while a request waits here: `turn` is then due every 10 ms.
  public var hasQueued: Bool { mutating get { queue.count > 0 } }

  /// Requests of a class that wait here.
  public mutating func queued(_ priority: PriorityClass) -> Int {
    Int(queue.counts[Int(priority.rawValue) & 7])
  }

  /// What all workers together have in flight and waiting now, and the limit with what goes out beside
  /// it since as much hangs.
  public var occupancy: (inFlight: Int, limit: Int, waiting: Int) {
    mutating get {
      let gate = cells.gate
      return (gate.inFlight, gate.limit, gate.waiting)
    }
  }

  /// True when a request more would not go out at once, or a class has a standing queue: then nothing
  /// that need not be is to be sent, such as retries and hedges.
  ///
  /// `own`: Permits that the caller is about to end.
  public mutating func isLimited(besides own: Int) -> Bool {
    let gate = cells.gate
    return gate.waiting > 0 || gate.inFlight - own >= gate.limit
      || cells.load(ServiceCells.Place.standing) != 0
  }

  /// Notes how many requests of this worker hang, at endpoints that say nothing while others of the
  /// service do: they count no more among those of which the limit allows so many, from the next
  /// window on.
  ///
  /// A permit cannot be taken back: without this a few endpoints that hang would, within a moment,
  /// hold every permit there is, and those that work would have nothing to do until time-outs.
  public mutating func noteHanging(_ count: Int) {
    guard count != hanging else { return }
    cells.base[ServiceCells.Place.hanging]
      .wrappingAdd(UInt64(bitPattern: Int64(count - hanging)), ordering: .relaxed)
    hanging = count
  }

  /// Notes what the service says to be in use of all that it can do: 1 is all of it.
  ///
  /// `utilization`: Finite, at least 0; what is above 10 counts as that.
  public mutating func noteUtilization(_ utilization: Double) {
    sums.beginChange()
    sums.add(.reportCount, weight: Bounds.clamp(utilization, 0, 10))
    sums.endChange()
  }

  /// True when `next` or `takeBells` has something to give.
  public var hasEvents: Bool { mutating get { outboxHead >= 0 || bells != 0 } }

  /// The workers that have to be rung because a permit was left for them, a bit each.
  public mutating func takeBells() -> UInt64 {
    let taken = bells
    bells = 0
    return taken
  }

  /// A permit that lay in a table.
  public mutating func restore(_ permit: StoredPermit) -> Permit { Permit(permit, cells) }

  /// Expires what waited too long, uses permits that were left for this worker, and closes the window
  /// when it is over.
  ///
  /// - Parameters:
  ///   - now: The time of this turn.
  ///   - wallOffset: What to add to it to have the wall clock, read anew about once a second.
  public mutating func turn(_ now: Instant, wallOffset: Nanoseconds) {
    advance(now)
    self.wallOffset = wallOffset
    while cells.takeCredit(of: worker) { place() }
    if self.now >= nextExpiry {
      nextExpiry = self.now + DeadlineWheel.tick
      expire()
    }
    if service.closeWindow(self.now, wallOffset: wallOffset, isEarly: isCohortBack) {
      isCohortBack = false
    }
    trim()
    fill()
    serveBeside()
  }

  /// What became of queued requests since it was last asked.
  public mutating func next() -> QueueEvent {
    let index = outboxHead
    guard index >= 0 else { return .none }
    let entry = queue.entries[index].pointee
    leaveOutbox(index)
    queue.release(index)
    if entry.state == .ready {
      sums.addServed(Int(entry.priority))
      let permit = dispatch(entry.route, entry.bucket, isLimited: entry.wasLimited)
      return .dispatched(handle: entry.handle, permit)
    }
    return .refused(handle: entry.handle, refusal(entry.reason))
  }

  /// Takes a request out of the queue because nobody waits for it any more.
  ///
  /// - Returns: False when it had left before.
  @discardableResult
  public mutating func cancel(_ ticket: Ticket, now: Instant) -> Bool {
    advance(now)
    let index = queue.find(ticket)
    guard index >= 0 else { return false }
    switch queue.entries[index].pointee.state {
    case .queued:
      queue.unlink(index)
      queue.release(index)
      publish()
    case .ready:
      cells.letGo(queue.entries[index].pointee.bucket)
      leaveOutbox(index)
      queue.release(index)
      place()
    case .refused:
      leaveOutbox(index)
      queue.release(index)
    case .free:
      return false
    }
    return true
  }

  // MARK: Shared by the extensions

  mutating func advance(_ now: Instant) { self.now = max(self.now, now) }

  /// Tells the other workers what waits here, and counts the change in the gate, which comes last:
  /// whoever sees the count then also sees where.
  mutating func publish() {
    var packed: UInt64 = 0
    for index in 0..<classes {
      packed |= UInt64(min(queue.counts[index], 255)) << UInt64(8 * index)
    }
    for index in 0..<classes where queue.counts[index] != depths[index] {
      depths[index] = queue.counts[index]
      sums.setDepth(queue.counts[index], index)
    }
    if packed != published {
      published = packed
      cells.base[ServiceCells.Place.waiting + worker].store(packed, ordering: .releasing)
    }
    let change = queue.count - counted
    guard change != 0 else { return }
    counted = queue.count
    _ = cells.changeWaiting(change)
  }

  /// What the gate counts of this queue.
  var counted = 0
  /// What windows count of it, by class.
  private var depths = InlineArray<8, Int32>(repeating: 0)

  mutating func enterOutbox(_ index: Int32) {
    queue.entries[index].pointee.next = -1
    queue.entries[index].pointee.previous = outboxTail
    if outboxTail >= 0 {
      queue.entries[outboxTail].pointee.next = index
    } else {
      outboxHead = index
    }
    outboxTail = index
  }

  mutating func leaveOutbox(_ index: Int32) {
    let (next, previous) = (
      queue.entries[index].pointee.next, queue.entries[index].pointee.previous
    )
    if next >= 0 { queue.entries[next].pointee.previous = previous } else { outboxTail = previous }
    if previous >= 0 { queue.entries[previous].pointee.next = next } else { outboxHead = next }
  }

  /// Takes a queued request out with an answer; the caller publishes.
  mutating func refuse(_ index: Int32, _ reason: RefusalReason) {
    queue.unlink(index)
    queue.entries[index].pointee.state = .refused
    queue.entries[index].pointee.reason = reason
    enterOutbox(index)
  }

  mutating func refusal(_ reason: RefusalReason) -> Refusal {
    let gate = cells.gate
    let latency = cells.number(ServiceCells.Place.latency)
    var seconds = Double(gate.waiting) * latency / Double(max(gate.limit, 1))
    if reason == .standingClass {
      // An overload that has lasted will last about as long again, as far as anybody can tell.
      let since = Instant(cells.instant(ServiceCells.Place.standingSince))
      if since != .never { seconds = max(seconds, (now - since).seconds) }
    }
    let range = Refusal.retryAfterRange
    let bounded = Bounds.clamp(seconds, range.lowerBound.seconds, range.upperBound.seconds)
    return Refusal(reason: reason, retryAfter: Nanoseconds(Int64(bounded * 1e9)))
  }
}
