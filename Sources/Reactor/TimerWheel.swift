public import Units

/// A hashed timer wheel of two levels: arm, re-arm and cancel in O(1), no heap object per timer.
///
/// A tick is 2^20 ns (1.05 ms). The lower level holds the next 1,024 ticks, the upper one 1,024
/// groups of 1,024 ticks (18 minutes); what lies further is put at the end and looked at again.
/// Moving a deadline later costs one store: the node stays where it is and moves on when its old
/// place comes up, so a connection that is busy never touches the lists. Timers fire at or after
/// their deadline, never before.
///
/// Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, schemes 6 and 7.
public struct TimerWheel: ~Copyable {
  private struct Node: BitwiseCopyable {
    var owner: Owner
    /// When it is due, in ticks; `Int64.max` when it is not armed.
    var due: Int64
    /// When its place in the wheel comes up; never later than `due`.
    var place: Int64
    var previous: Int32
    var next: Int32
    /// The list that holds it, or -1.
    var list: Int32
  }

  private static let slots: Int64 = 1_024
  private static let slotMask: Int64 = 1_023
  private static let levelShift: Int64 = 10
  private static let expiredList: Int32 = 2_048
  private static let tickShift: Int64 = 20
  /// Furthest place from now, in ticks: one group less than the upper level holds.
  private static let horizon = (slots - 1) << levelShift

  private var nodes: Slab<Node>
  private let heads: UnsafeMutablePointer<Int32>
  /// One bit per list of both levels.
  private let occupied: UnsafeMutablePointer<UInt64>
  /// One bit per word of `occupied`: the lower level in bits 0 to 15, the upper in 16 to 31.
  private var summary: UInt64 = 0
  private var now: Int64
  /// No place comes up before this tick while it lies ahead; once it is past it says nothing.
  ///
  /// It may be early, where the timer that it came from is gone.
  private var earliest: Int64

  /// - Parameters:
  ///   - capacity: Most timers at once.
  ///   - start: The instant the wheel begins at.
  public init(capacity: Int, at start: Instant) {
    nodes = Slab(capacity: capacity)
    heads = .allocate(capacity: 2_049)
    heads.initialize(repeating: -1, count: 2_049)
    occupied = .allocate(capacity: 32)
    occupied.initialize(repeating: 0, count: 32)
    now = start.rawValue >> Self.tickShift
    earliest = .max
  }

  deinit {
    heads.deallocate()
    occupied.deallocate()
  }

  /// Timers that exist, armed or not.
  public var count: Int { nodes.count }

  /// Makes a timer that is not armed.
  ///
  /// - Returns: Its name, or -1 when the bound is reached.
  public mutating func allocate(for owner: Owner) -> Int32 {
    let timer = nodes.allocate()
    guard timer >= 0 else { return -1 }
    nodes[timer].initialize(
      to: Node(owner: owner, due: .max, place: .max, previous: -1, next: -1, list: -1)
    )
    return timer
  }

  /// Gives a timer to another owner, armed or not.
  public mutating func rename(_ timer: Int32, for owner: Owner) {
    nodes[timer].pointee.owner = owner
  }

  /// Ends a timer's life, armed or not.
  public mutating func release(_ timer: Int32) {
    if nodes[timer].pointee.list >= 0 { unlink(timer) }
    nodes.release(timer)
  }

  /// Arms a timer, or moves it; `.never` disarms it.
  public mutating func set(_ timer: Int32, at deadline: Instant) {
    let node = nodes[timer]
    // Rounded up, so that it never fires early; close to the end of time, which is as good as never,
    // that would overflow, and a deadline is made of what an operator or a peer says.
    let roundUp: Int64 = (1 << Self.tickShift) - 1
    let due =
      deadline.rawValue > .max - roundUp
      ? Int64.max : (deadline.rawValue + roundUp) >> Self.tickShift
    node.pointee.due = due
    if node.pointee.list == Self.expiredList {
      unlink(timer)
    } else if node.pointee.list >= 0 {
      // Lazy: its place comes up first and moves it on.
      guard node.pointee.place > due else { return }
      unlink(timer)
    }
    if due != .max { link(timer) }
  }

  /// Moves the wheel to `instant` and collects what is due.
  public mutating func advance(to instant: Instant) {
    let target = instant.rawValue >> Self.tickShift
    while now < target {
      let lastOfGroup = now | Self.slotMask
      let end = min(target, lastOfGroup)
      var tick = now + 1
      while tick <= end {
        tick = nextOccupied(from: tick, through: end)
        guard tick <= end else { break }
        now = tick
        expire(Int32(tick & Self.slotMask))
        tick += 1
      }
      now = end
      guard now < target else { break }
      // The first tick of the next group: spread that group over the lower level first.
      now += 1
      expire(Int32(Self.slots + ((now >> Self.levelShift) & Self.slotMask)))
      expire(Int32(now & Self.slotMask))
    }
  }

  /// Takes one timer that is due, disarmed.
  public mutating func takeExpired() -> Owner? {
    let timer = heads[Int(Self.expiredList)]
    guard timer >= 0 else { return nil }
    unlink(timer)
    nodes[timer].pointee.due = .max
    return nodes[timer].pointee.owner
  }

  /// Whether `takeExpired` would give one.
  public var hasExpired: Bool { heads[Int(Self.expiredList)] >= 0 }

  /// How long a sleep may last from `instant` before the wheel must move; `nil` when it need not.
  ///
  /// It may be shorter than it had to be, by a timer that was disarmed since the wheel last moved.
  public mutating func wait(from instant: Instant) -> Nanoseconds? {
    guard !hasExpired else { return .zero }
    if earliest <= now { earliest = firstPlace() }
    guard earliest != .max else { return nil }
    return max(.zero, Instant(earliest << Self.tickShift) - instant)
  }

  /// The first tick at which a list comes up, `Int64.max` when all are empty.
  private func firstPlace() -> Int64 {
    let low = nextOccupied(from: now + 1, through: now + Self.slotMask)
    let high = nextGroup().map { $0 << Self.levelShift } ?? .max
    return low <= now + Self.slotMask ? min(low, high) : high
  }

  private mutating func link(_ timer: Int32) {
    let node = nodes[timer]
    let place = min(max(node.pointee.due, now + 1), now + Self.horizon)
    node.pointee.place = place
    let list =
      place - now < Self.slots
      ? Int32(place & Self.slotMask)
      : Int32(Self.slots + ((place >> Self.levelShift) & Self.slotMask))
    if list >= Int32(Self.slots) {
      // The group is spread when it begins; that is when this node is looked at.
      node.pointee.place = place & ~Self.slotMask
    }
    earliest = min(earliest, node.pointee.place)
    push(timer, onto: list)
  }

  private mutating func push(_ timer: Int32, onto list: Int32) {
    let node = nodes[timer]
    let head = heads[Int(list)]
    node.pointee.list = list
    node.pointee.previous = -1
    node.pointee.next = head
    if head >= 0 { nodes[head].pointee.previous = timer }
    heads[Int(list)] = timer
    guard list < Self.expiredList else { return }
    occupied[Int(list >> 6)] |= 1 << UInt64(list & 63)
    summary |= 1 << UInt64(list >> 6)
  }

  private mutating func unlink(_ timer: Int32) {
    let node = nodes[timer]
    let list = node.pointee.list
    if node.pointee.previous >= 0 {
      nodes[node.pointee.previous].pointee.next = node.pointee.next
    } else {
      heads[Int(list)] = node.pointee.next
      if node.pointee.next < 0, list < Self.expiredList {
        occupied[Int(list >> 6)] &= ~(1 << UInt64(list & 63))
        if occupied[Int(list >> 6)] == 0 { summary &= ~(1 << UInt64(list >> 6)) }
      }
    }
    if node.pointee.next >= 0 {
      nodes[node.pointee.next].pointee.previous = node.pointee.previous
    }
    node.pointee.list = -1
  }

  /// Empties a list: what is due goes to the expired ones, what is not moves to its place.
  private mutating func expire(_ list: Int32) {
    var timer = heads[Int(list)]
    while timer >= 0 {
      let next = nodes[timer].pointee.next
      unlink(timer)
      let due = nodes[timer].pointee.due
      if due <= now {
        push(timer, onto: Self.expiredList)
      } else if due != .max {
        link(timer)
      }
      timer = next
    }
  }

  /// The first tick of the lower level in the range that has timers, or one past its end.
  private func nextOccupied(from first: Int64, through last: Int64) -> Int64 {
    min(first + distance(from: first & Self.slotMask, level: 0), last + 1)
  }

  /// The first group of ticks after this one that has timers in the upper level.
  private func nextGroup() -> Int64? {
    let group = now >> Self.levelShift
    let steps = distance(from: (group + 1) & Self.slotMask, level: 1)
    return steps < Self.slots ? group + 1 + steps : nil
  }

  /// Slots from `slot` to the next occupied one of a level, going round; 1,024 when there is none.
  private func distance(from slot: Int64, level: Int) -> Int64 {
    let words = occupied + level * 16
    let word = Int(slot >> 6)
    let bit = UInt64(slot & 63)
    let here = words[word] >> bit
    if here != 0 { return Int64(here.trailingZeroBitCount) }
    let marks = summary >> UInt64(level * 16) & 0xFFFF
    // Rotated so that the word behind this one comes first and this one, its low bits, last.
    let rotated = (marks >> UInt64(word + 1) | marks << UInt64(15 - word)) & 0xFFFF
    guard rotated != 0 else { return Self.slots }
    let step = rotated.trailingZeroBitCount
    var found = words[(word + 1 + step) & 15]
    if step == 15 { found &= (1 << bit) - 1 }
    guard found != 0 else { return Self.slots }
    return 64 - Int64(bit) + Int64(step) * 64 + Int64(found.trailingZeroBitCount)
  }
}
