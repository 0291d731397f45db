internal import Glibc
internal import Units

/// The requests of one service that wait with one worker: strict by class, in order of arrival inside
/// a class, counted by tenant.
///
/// Memory is taken once; entries are links in it, so that any of them leaves in constant time: the
/// next to be served from either end of its class, the oldest of the tenant with most queued when
/// there is no room, one whose deadline came, one whose client went away.
struct ClassQueue: ~Copyable {
  private(set) var entries: Slab<QueueEntry>
  /// Most requests that wait.
  private let capacity: Int
  private var tenants: TenantTallies
  private let heads: UnsafeMutablePointer<Int32>
  private let tails: UnsafeMutablePointer<Int32>
  /// Requests that wait, by class.
  let counts: UnsafeMutablePointer<Int32>
  private(set) var count = 0
  private var wheel = DeadlineWheel()

  /// - Parameters:
  ///   - capacity: Most requests that wait, at least 1. As many again may have left the order and not
  ///     been told yet: one that is evicted must not need the memory of the one it made room for.
  ///   - classes: Priority classes, in `1...PriorityClasses.maximum`.
  ///   - seed: Of the hash of tenants, which callers must not be able to guess.
  init(capacity: Int, classes: Int, seed: UInt64) {
    self.capacity = capacity
    entries = Slab(capacity: 2 * capacity)
    tenants = TenantTallies(capacity: capacity, classes: classes, seed: seed)
    let places = PriorityClasses.maximum
    heads = .allocate(capacity: 3 * places)
    tails = heads + places
    counts = tails + places
    heads.initialize(repeating: -1, count: 2 * places)
    counts.initialize(repeating: 0, count: places)
  }

  deinit { heads.deallocate() }

  /// As many wait as may.
  var isFull: Bool { count >= capacity }

  /// There is memory for one more entry.
  var hasMemory: Bool { entries.count < entries.capacity }

  /// Puts a request behind those of its class.
  ///
  /// It has to leave at `due` for this reason; `.never` when its class's time-out comes first.
  ///
  /// - Returns: Its entry, -1 when memory is used up.
  mutating func push(
    _ request: AdmissionRequest,
    bucket: UInt8 = 0,
    cost: UInt16,
    now: Instant,
    due: Instant,
    reason: RefusalReason = .deadline
  ) -> Int32 {
    guard !isFull else { return -1 }
    let index = entries.allocate()
    guard index >= 0 else { return -1 }
    let priority = Int(request.priority.rawValue)
    var record = tenants.find(request.tenant, request.priority.rawValue)
    if record < 0 { record = tenants.make(request.tenant, request.priority.rawValue) }
    let before = tenants.records[Int(record)].last
    entries[index].initialize(
      to: QueueEntry(
        handle: request.handle,
        tenant: request.tenant,
        arrival: now,
        due: due,
        route: request.route,
        cost: cost,
        priority: request.priority.rawValue,
        bucket: bucket,
        state: .queued,
        reason: reason,
        wasLimited: true,
        next: -1,
        previous: tails[priority],
        tenantNext: -1,
        tenantPrevious: before,
        tenantRecord: record,
        wheelSlot: -1,
        wheelNext: -1,
        wheelPrevious: -1
      )
    )
    if tails[priority] >= 0 { entries[tails[priority]].pointee.next = index }
    if heads[priority] < 0 { heads[priority] = index }
    tails[priority] = index
    if before >= 0 { entries[before].pointee.tenantNext = index }
    if tenants.records[Int(record)].first < 0 { tenants.records[Int(record)].first = index }
    tenants.records[Int(record)].last = index
    tenants.change(record, by: Int(cost))
    if due != .never { wheel.insert(index, entries.base, now: now) }
    counts[priority] += 1
    count += 1
    return index
  }

  /// The oldest of a class; -1 when it is empty.
  func oldest(_ priority: Int) -> Int32 { heads[priority] }

  /// The newest of a class; -1 when it is empty.
  func newest(_ priority: Int) -> Int32 { tails[priority] }

  /// The oldest of the tenant that has most queued in a class; -1 when the class is empty.
  func victim(_ priority: Int) -> Int32 {
    let record = tenants.heaviest(UInt8(priority))
    return record < 0 ? -1 : tenants.records[Int(record)].first
  }

  /// What the tenant with most has queued in a class, and what this one has.
  func tallies(_ tenant: UInt64, _ priority: Int) -> (most: Int, own: Int) {
    let heaviest = tenants.heaviest(UInt8(priority))
    guard heaviest >= 0 else { return (0, 0) }
    let own = tenants.find(tenant, UInt8(priority))
    return (
      tenants.records[Int(heaviest)].tally, own < 0 ? 0 : tenants.records[Int(own)].tally
    )
  }

  /// An entry whose deadline came, still queued; -1 when there is none.
  mutating func nextDue(_ now: Instant) -> Int32 { wheel.nextDue(entries.base, now: now) }

  /// Takes an entry out of every order; its memory stays until `release`.
  mutating func unlink(_ index: Int32) {
    let entry = entries[index]
    let priority = Int(entry.pointee.priority)
    let (next, previous) = (entry.pointee.next, entry.pointee.previous)
    if next >= 0 { entries[next].pointee.previous = previous } else { tails[priority] = previous }
    if previous >= 0 { entries[previous].pointee.next = next } else { heads[priority] = next }
    let record = tenants.records + Int(entry.pointee.tenantRecord)
    let (later, earlier) = (entry.pointee.tenantNext, entry.pointee.tenantPrevious)
    if later >= 0 {
      entries[later].pointee.tenantPrevious = earlier
    } else {
      record.pointee.last = earlier
    }
    if earlier >= 0 {
      entries[earlier].pointee.tenantNext = later
    } else {
      record.pointee.first = later
    }
    tenants.change(entry.pointee.tenantRecord, by: -Int(entry.pointee.cost))
    wheel.remove(index, entries.base)
    entry.pointee.next = -1
    entry.pointee.previous = -1
    counts[priority] -= 1
    count -= 1
  }

  /// Gives an unlinked entry's memory back; tickets that name it match no longer.
  mutating func release(_ index: Int32) {
    entries[index].pointee.state = .free
    entries.release(index)
  }

  func ticket(_ index: Int32) -> Ticket {
    Ticket(index: index, generation: entries.generation(index))
  }

  /// The entry that a ticket names; -1 when it has left.
  func find(_ ticket: Ticket) -> Int32 {
    guard ticket.index >= 0, Int(ticket.index) < entries.capacity,
      entries.generation(ticket.index) == ticket.generation, ticket.generation & 1 == 1
    else { return -1 }
    return ticket.index
  }
}
