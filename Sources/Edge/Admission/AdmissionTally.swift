internal import Admission
internal import Glibc
internal import Synchronization
internal import Units

/// What admission came to for a request.
enum AdmissionResult {
  case admitted
  case shed(RefusalReason)
  /// Its client went away while it waited, or its time ended.
  case left

  /// Its place among counters.
  var place: Int {
    switch self {
    case .admitted: 0
    case .shed(let reason): 1 + Int(reason.rawValue)
    case .left: Self.places - 1
    }
  }

  static let places = 2 + RefusalReason.allCases.count

  /// The labels `decision` and `reason` of a place.
  static func labels(_ place: Int) -> (decision: String, reason: String) {
    switch place {
    case 0: ("admitted", "none")
    case places - 1: ("left", "none")
    default: ("shed", RefusalReason(rawValue: UInt8(place - 1)).map { "\($0.name)" } ?? "other")
    }
  }
}

/// The numbers on which a request was refused.
struct RefusalRecord {
  /// Nanoseconds of the wall clock.
  var time: Int64 = 0
  var priority = 0
  var route = 0
  var inFlight = 0
  var limit = 0
  var waiting = 0
  var retryAfter = Nanoseconds.zero
}

/// What a service's admission came to, by worker; the counts of a name never fall.
final class AdmissionTally: @unchecked Sendable {
  // Safe to share: every cell is an atomic with one writer, and the names have a lock.
  /// Routes of a service that are told apart; further ones share the last place.
  static let routes = 64
  static let classes = PriorityClasses.maximum
  static let modes = 2

  let workers: Int
  private let base: UnsafeMutablePointer<Atomic<UInt64>>
  private let names = Locked<[String]>([])

  init(workers: Int) {
    self.workers = workers
    base = zeroedMemory(Atomic<UInt64>.self, workers * WorkerTally.cells)
  }

  deinit { free(base) }

  func worker(_ number: Int) -> WorkerTally {
    WorkerTally(base: base + number * WorkerTally.cells)
  }

  /// The place of a route, which is its own for as long as the process lives.
  func place(of route: String) -> Int32 {
    names.withLock { names in
      if let place = names.firstIndex(of: route) { return Int32(place) }
      guard names.count < Self.routes - 1 else { return Int32(Self.routes - 1) }
      names.append(route)
      return Int32(names.count - 1)
    }
  }

  /// The places that routes have, the last one included.
  var places: [Int] {
    let count = names.withLock { $0.count }
    return Array(0..<count) + (count < Self.routes ? [Self.routes - 1] : [])
  }

  /// The names of the routes that are told apart, by place.
  var routeNames: [String] { names.withLock { $0 } }

  /// The name of a route's place.
  func route(_ place: Int) -> String {
    names.withLock { place < $0.count ? $0[place] : "other" }
  }

  /// Requests that came to a result, over all workers.
  func count(isShadow: Bool, route: Int, priority: Int, result: Int) -> UInt64 {
    (0..<workers).reduce(0) { sum, number in
      let place = WorkerTally.place(isShadow, route, priority, result)
      return sum &+ worker(number).load(place)
    }
  }

  /// Requests of a class that wait now.
  func queued(_ priority: Int) -> Int {
    (0..<workers).reduce(0) { $0 + Int(worker($1).load(WorkerTally.depths + priority)) }
  }

  /// Streams of a kind that found no room, over all workers.
  func refusedStreams(_ kind: StreamKind, isShadow: Bool) -> UInt64 {
    (0..<workers).reduce(0) { $0 &+ worker($1).load(WorkerTally.place(kind, isShadow)) }
  }

  /// The last refusal for a reason; `nil` while there was none.
  func lastRefusal(_ reason: RefusalReason) -> RefusalRecord? {
    let records = (0..<workers).compactMap { worker($0).refusal(reason) }
    return records.max { $0.time < $1.time }
  }
}

/// One worker's counts of a service.
struct WorkerTally: @unchecked Sendable {
  // Safe to share: atomics alone.
  let base: UnsafeMutablePointer<Atomic<UInt64>>

  private static let counts =
    AdmissionTally.modes * AdmissionTally.routes * AdmissionTally.classes * AdmissionResult.places
  static let depths = counts
  private static let refusals = depths + AdmissionTally.classes
  private static let refusalCells = 8
  private static let streams = refusals + RefusalReason.allCases.count * refusalCells
  static let cells = streams + StreamKind.allCases.count * AdmissionTally.modes

  static func place(_ isShadow: Bool, _ route: Int, _ priority: Int, _ result: Int) -> Int {
    (((isShadow ? 1 : 0) * AdmissionTally.routes + route) * AdmissionTally.classes + priority)
      * AdmissionResult.places + result
  }

  func load(_ cell: Int) -> UInt64 { base[cell].load(ordering: .relaxed) }

  private func store(_ cell: Int, _ value: UInt64) { base[cell].store(value, ordering: .relaxed) }

  func count(_ place: AdmissionPlace, _ result: AdmissionResult) {
    let cell = Self.place(place.isShadow, Int(place.route), Int(place.priority), result.place)
    store(cell, load(cell) &+ 1)
  }

  static func place(_ kind: StreamKind, _ isShadow: Bool) -> Int {
    streams + Int(kind.rawValue) * AdmissionTally.modes + (isShadow ? 1 : 0)
  }

  /// Counts a stream that found no room.
  func countRefused(_ kind: StreamKind, isShadow: Bool) {
    let cell = Self.place(kind, isShadow)
    store(cell, load(cell) &+ 1)
  }

  func publish(depth: Int, of priority: Int) { store(Self.depths + priority, UInt64(depth)) }

  /// Keeps the numbers of a refusal, in place of those of the one before.
  func note(_ reason: RefusalReason, _ record: RefusalRecord) {
    let first = Self.refusals + Int(reason.rawValue) * Self.refusalCells
    store(first, load(first) &+ 1)
    atomicMemoryFence(ordering: .releasing)
    store(first + 1, UInt64(bitPattern: record.time))
    store(first + 2, UInt64(record.priority))
    store(first + 3, UInt64(record.route))
    store(first + 4, UInt64(record.inFlight))
    store(first + 5, UInt64(record.limit))
    store(first + 6, UInt64(record.waiting))
    store(first + 7, UInt64(bitPattern: record.retryAfter.rawValue))
    base[first].store(load(first) &+ 1, ordering: .releasing)
  }

  /// The last refusal, whole; after some tries one that is half of two, which explains as much.
  func refusal(_ reason: RefusalReason) -> RefusalRecord? {
    let first = Self.refusals + Int(reason.rawValue) * Self.refusalCells
    guard load(first) > 0 else { return nil }
    var record = RefusalRecord()
    for _ in 0..<8 {
      let before = base[first].load(ordering: .acquiring)
      record.time = Int64(bitPattern: load(first + 1))
      record.priority = Int(load(first + 2))
      record.route = Int(load(first + 3))
      record.inFlight = Int(load(first + 4))
      record.limit = Int(load(first + 5))
      record.waiting = Int(load(first + 6))
      record.retryAfter = Nanoseconds(Int64(bitPattern: load(first + 7)))
      atomicMemoryFence(ordering: .acquiring)
      if before & 1 == 0, load(first) == before { break }
    }
    return record
  }
}
