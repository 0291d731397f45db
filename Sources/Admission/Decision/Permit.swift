internal import Synchronization
public import Units

/// How an admitted request ended.
public enum PermitOutcome: Sendable, BitwiseCopyable {
  /// The service answered; the latency is learned.
  case served
  /// The service lacked capacity or broke: connect failure, reset, time-out, 429, 503, gRPC 8 and 14.
  case dropped
  /// It says nothing about capacity: other 5xx, work that was cancelled, a local answer.
  case ignored
}

/// The right to run one admitted request, held until it ends.
///
/// It is ended by `WorkerAdmission.end`, which consumes it, so that ending it twice does not compile.
/// One that is forgotten stops a debug build; a release build gives its place back, counts it in
/// `ServiceAdmission.forgottenPermits`, and serves on. It must not outlive its service.
public struct Permit: ~Copyable {
  let record: StoredPermit
  private let cells: UnsafeMutablePointer<Cell>

  init(_ record: StoredPermit, _ cells: ServiceCells) {
    self.record = record
    self.cells = cells.base
  }

  /// When the request was dispatched.
  public var dispatchedAt: Instant { record.dispatchedAt }

  deinit {
    ServiceCells.giveBackForgotten(cells, record.bucket)
    assertionFailure("a permit was forgotten: end it as served, dropped or ignored")
  }

  /// The permit as a plain value, for tables whose entries are plain memory.
  ///
  /// Nothing then watches over it but the table's owner: turn it back with `WorkerAdmission.restore`
  /// exactly once.
  public consuming func stored() -> StoredPermit {
    let record = record
    discard self
    return record
  }
}

/// A permit that lies in a table; see `Permit.stored`.
public struct StoredPermit: Sendable, BitwiseCopyable {
  var dispatchedAt: Instant
  var route: Int32
  var drain: UInt32
  var cohort: UInt32
  /// Where the tenant's permits are counted.
  var bucket: UInt8
  var wasLimited: Bool
  var wasIdle: Bool

  init(
    dispatchedAt: Instant,
    route: Int32,
    drain: UInt32,
    cohort: UInt32,
    bucket: UInt8,
    wasLimited: Bool,
    wasIdle: Bool
  ) {
    self.dispatchedAt = dispatchedAt
    self.route = route
    self.drain = drain
    self.cohort = cohort
    self.bucket = bucket
    self.wasLimited = wasLimited
    self.wasIdle = wasIdle
  }

  /// An empty place of a table; it must not be restored.
  public init() {
    self.init(
      dispatchedAt: .never,
      route: 0,
      drain: 0,
      cohort: 0,
      bucket: 0,
      wasLimited: false,
      wasIdle: false
    )
  }
}

extension ServiceCells {
  /// Gives back the place of a permit that nobody ended; the next tick wakes whoever may have it.
  static func giveBackForgotten(_ base: UnsafeMutablePointer<Cell>, _ bucket: UInt8) {
    letGo(base, bucket)
    var seen = Gate(rawValue: base[Place.gate].load(ordering: .acquiring))
    while seen.inFlight > 0 {
      let (exchanged, original) = base[Place.gate].compareExchange(
        expected: seen.rawValue,
        desired: seen.rawValue - Gate.oneInFlight,
        ordering: .acquiringAndReleasing
      )
      if exchanged { break }
      seen = Gate(rawValue: original)
    }
    base[Place.forgotten].wrappingAdd(1, ordering: .relaxed)
  }
}
