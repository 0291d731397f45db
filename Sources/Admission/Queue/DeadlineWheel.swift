internal import Units

/// Entries by the tick at which they have to leave.
///
/// Deadlines come in any order, so a class's own order does not find them. Only those that come
/// before the class's time-out are here, and no time-out is longer than the wheel.
struct DeadlineWheel: ~Copyable {
  static let tick = Nanoseconds.milliseconds(10)
  private static let slots: Int64 = 128
  // Apart from the struct: what lies in it is moved about with the whole queue.
  private let heads: UnsafeMutablePointer<Int32>
  /// The tick up to which everything has left.
  private var reached = Int64.min
  private var count = 0

  init() {
    heads = .allocate(capacity: Int(Self.slots))
    heads.initialize(repeating: -1, count: Int(Self.slots))
  }

  deinit { heads.deallocate() }

  mutating func insert(
    _ index: Int32,
    _ entries: UnsafeMutablePointer<QueueEntry>,
    now: Instant
  ) {
    if count == 0 { reached = max(reached, Self.number(now) - 1) }
    let number = max(Self.number(entries[Int(index)].due) + 1, reached + 1)
    guard number - reached < Self.slots else { return }
    let slot = Int(Self.remainder(number))
    entries[Int(index)].wheelSlot = Int32(slot)
    entries[Int(index)].wheelPrevious = -1
    entries[Int(index)].wheelNext = heads[slot]
    if heads[slot] >= 0 { entries[Int(heads[slot])].wheelPrevious = index }
    heads[slot] = index
    count += 1
  }

  mutating func remove(_ index: Int32, _ entries: UnsafeMutablePointer<QueueEntry>) {
    let entry = entries + Int(index)
    guard entry.pointee.wheelSlot >= 0 else { return }
    let (next, previous) = (entry.pointee.wheelNext, entry.pointee.wheelPrevious)
    if next >= 0 { entries[Int(next)].wheelPrevious = previous }
    if previous >= 0 {
      entries[Int(previous)].wheelNext = next
    } else {
      heads[Int(entry.pointee.wheelSlot)] = next
    }
    entry.pointee.wheelSlot = -1
    count -= 1
  }

  /// An entry of a tick that has passed; the caller unlinks it before it asks again.
  mutating func nextDue(_ entries: UnsafeMutablePointer<QueueEntry>, now: Instant) -> Int32 {
    let target = Self.number(now)
    guard count > 0 else {
      reached = max(reached, target)
      return -1
    }
    // After a long pause every slot is due, once.
    if target - Self.slots > reached { reached = target - Self.slots }
    while reached < target {
      let index = heads[Int(Self.remainder(reached + 1))]
      if index >= 0 { return index }
      reached += 1
    }
    return -1
  }

  private static func number(_ instant: Instant) -> Int64 {
    // Far from the ends, so that the sums above cannot overflow.
    min(max(instant.rawValue, -(1 << 62)), 1 << 62) / tick.rawValue
  }

  private static func remainder(_ number: Int64) -> Int64 {
    ((number % slots) + slots) % slots
  }
}
