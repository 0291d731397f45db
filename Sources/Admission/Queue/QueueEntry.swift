internal import Units

/// A request that waits, linked into its class, its tenant and perhaps the wheel of deadlines.
struct QueueEntry: BitwiseCopyable {
  enum State: UInt8 { case free, queued, ready, refused }

  /// The caller's name for it.
  var handle: UInt64
  var tenant: UInt64
  var arrival: Instant
  /// When it has to leave the queue because it could not finish in time; `.never` without a deadline.
  var due: Instant
  var route: Int32
  /// What it counts for in its tenant's tally, at least 1.
  var cost: UInt16
  var priority: UInt8
  /// Where its tenant's permits are counted.
  var bucket: UInt8
  var state: State
  /// Why it was refused; while it waits, why it will be when it is due.
  var reason: RefusalReason
  /// True when the permit it holds was dispatched while limited.
  var wasLimited: Bool
  /// The class's order of arrival; the outbox's when it waits no longer.
  var next: Int32
  var previous: Int32
  /// The tenant's order of arrival in this class.
  var tenantNext: Int32
  var tenantPrevious: Int32
  var tenantRecord: Int32
  /// The wheel's slot, -1 when it is in none.
  var wheelSlot: Int32
  var wheelNext: Int32
  var wheelPrevious: Int32
}

/// The name of a queued request, which its next tenant of the same place does not have.
public struct Ticket: Hashable, Sendable, BitwiseCopyable {
  let index: Int32
  let generation: UInt32

  init(index: Int32, generation: UInt32) {
    self.index = index
    self.generation = generation
  }

  /// The name of no request, for tables whose entries are plain memory.
  public init() { self.init(index: -1, generation: 0) }
}
