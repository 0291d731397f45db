/// The snapshots that a worker's exchanges still use, counted with plain integers.
///
/// Each holds its snapshot by one unbalanced retain, given back when its last exchange ends, so
/// that no request pays for reference counting.
struct SnapshotTable: ~Copyable {
  private struct Slot {
    var snapshot: Unmanaged<Snapshot>?
    var users: Int
  }

  /// Configurations that may be in use at once; beyond it a worker keeps what it has until a long
  /// request ends, rather than grow.
  static let defaultCapacity = 256

  private let slots: UnsafeMutablePointer<Slot>
  // Behind the pointer: Swift 6.3 crashes under the thread sanitizer where a number comes first.
  private let capacity: Int
  private var current = -1
  /// Snapshots that nobody uses any more, to be freed off the request path.
  private(set) var retired: [Snapshot] = []

  /// `capacity`: At least two, so that a newest one can come before the last one goes.
  init(capacity: Int = defaultCapacity) {
    self.capacity = max(capacity, 2)
    slots = .allocate(capacity: self.capacity)
    slots.initialize(repeating: Slot(snapshot: nil, users: 0), count: self.capacity)
  }

  deinit {
    for index in 0..<capacity { slots[index].snapshot?.release() }
    slots.deallocate()
  }

  /// Makes a snapshot the newest.
  ///
  /// - Returns: `false` when every slot is in use.
  mutating func adopt(_ snapshot: Snapshot) -> Bool {
    guard let free = (0..<capacity).first(where: { slots[$0].snapshot == nil }) else {
      return false
    }
    let previous = current
    slots[free] = Slot(snapshot: .passRetained(snapshot), users: 0)
    current = free
    count += 1
    if previous >= 0, slots[previous].users == 0 { retire(previous) }
    return true
  }

  var isEmpty: Bool { current < 0 }

  /// Snapshots that are in use, the newest included.
  private(set) var count = 0

  /// Whether some exchange still uses a snapshot that is not the newest.
  var holdsOld: Bool {
    (0..<capacity).contains { $0 != current && slots[$0].snapshot != nil }
  }

  /// The snapshot that new requests use.
  var newest: Snapshot {
    guard let snapshot = slots[current].snapshot else { fatalError("no snapshot was adopted") }
    return snapshot._withUnsafeGuaranteedRef { $0 }
  }

  /// The snapshot of an exchange.
  subscript(_ slot: Int32) -> Snapshot {
    guard let snapshot = slots[Int(slot)].snapshot else { fatalError("a snapshot ended too early") }
    return snapshot._withUnsafeGuaranteedRef { $0 }
  }

  /// Counts a user of the newest snapshot.
  ///
  /// - Returns: The slot to name it by, until `release`.
  mutating func use() -> Int32 {
    slots[current].users += 1
    return Int32(current)
  }

  /// Counts another user of a snapshot that is in use.
  mutating func use(_ slot: Int32) { slots[Int(slot)].users += 1 }

  mutating func release(_ slot: Int32) {
    slots[Int(slot)].users -= 1
    if slots[Int(slot)].users == 0, Int(slot) != current { retire(Int(slot)) }
  }

  private mutating func retire(_ slot: Int) {
    guard let snapshot = slots[slot].snapshot else { return }
    retired.append(snapshot.takeRetainedValue())
    slots[slot].snapshot = nil
    count -= 1
  }

  /// Takes what can be freed.
  mutating func takeRetired() -> [Snapshot] {
    defer { retired = [] }
    return retired
  }
}
