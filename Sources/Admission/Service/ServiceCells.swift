internal import Glibc
internal import Synchronization

typealias Cell = Atomic<UInt64>

/// Where in a service's shared memory each thing lies; places that different threads write often have
/// cache lines of their own.
struct ServiceCells: @unchecked Sendable {
  // Safe to share: every cell is an atomic.
  let base: UnsafeMutablePointer<Cell>
  let workers: Int
  let routes: Int

  /// Cells of a cache line; two, since processors fetch lines in pairs.
  private static let line = 16

  enum Place {
    static let gate = 0
    // Written at the end of a window, read by every request.
    static let scale = 16
    static let period = 17
    static let drain = 18
    static let cohort = 19
    static let latency = 20
    static let queueBound = 21
    static let standing = 22
    static let standingSince = 23
    static let isGrowing = 24
    static let beside = 25
    static let late = 26
    static let allowance = 27
    // Written by limited requests while the limit grows.
    static let cohortSent = 32
    static let cohortBack = 33
    static let cohortFirst = 34
    static let cohortLast = 35
    // The end of windows.
    static let nextTick = 48
    static let isMerging = 49
    static let forgotten = 50
    // Streams that outlast their permits, and how many may.
    static let streams = 51
    static let streamBound = 52
    // Requests that hang, as workers count them.
    static let hanging = 53
    // Permits that tenants hold, by bucket.
    static let holds = 64
    static let waiting = holds + TenantShares.buckets
  }

  let credits: Int
  let weights: Int
  private let blocks: Int
  private let blockLength: Int
  private let count: Int

  init(workers: Int, routes: Int) {
    func lines(_ cells: Int) -> Int { (cells + Self.line - 1) / Self.line * Self.line }
    self.workers = workers
    self.routes = routes
    credits = Place.waiting + lines(workers)
    weights = credits + workers * Self.line
    blocks = weights + lines(routes)
    blockLength = lines(WorkerSums.cells(routes: routes))
    count = blocks + workers * blockLength
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, 128, count * MemoryLayout<Cell>.stride) == 0, let memory else {
      fatalError("out of memory for a service of \(workers) workers and \(routes) routes")
    }
    memset(memory, 0, count * MemoryLayout<Cell>.stride)
    // Zero bytes are a valid atomic of zero.
    base = memory.bindMemory(to: Cell.self, capacity: count)
  }

  func deallocate() { free(base) }

  // MARK: Plain reading and writing

  func load(_ place: Int) -> UInt64 { base[place].load(ordering: .relaxed) }

  func store(_ value: UInt64, _ place: Int) { base[place].store(value, ordering: .relaxed) }

  func number(_ place: Int) -> Double { Double(bitPattern: load(place)) }

  func store(_ value: Double, _ place: Int) { store(value.bitPattern, place) }

  func instant(_ place: Int) -> Int64 { Int64(bitPattern: load(place)) }

  // MARK: The gate

  var gate: Gate { Gate(rawValue: base[Place.gate].load(ordering: .acquiring)) }

  /// Replaces the gate if it still is what was seen.
  func replace(_ seen: Gate, by rawValue: UInt64) -> Bool {
    base[Place.gate].compareExchange(
      expected: seen.rawValue,
      desired: rawValue,
      ordering: .acquiringAndReleasing
    ).exchanged
  }

  /// Takes a permit for a newcomer: below the limit, and only when nothing waits.
  ///
  /// - Returns: The gate after, or nothing when there is no permit.
  func admit() -> Gate? {
    var seen = gate
    while seen.hasRoom, seen.waiting == 0 {
      let (exchanged, original) = base[Place.gate].compareExchange(
        expected: seen.rawValue,
        desired: seen.rawValue + Gate.oneInFlight,
        ordering: .acquiringAndReleasing
      )
      if exchanged { return Gate(rawValue: seen.rawValue + Gate.oneInFlight) }
      seen = Gate(rawValue: original)
    }
    return nil
  }

  /// Takes a permit beyond the limit, up to so many.
  ///
  /// - Returns: False when there is none.
  func admit(beyond excess: Int) -> Bool {
    var seen = gate
    while seen.inFlight < min(seen.limit + excess, Bounds.limit) {
      let (exchanged, original) = base[Place.gate].compareExchange(
        expected: seen.rawValue,
        desired: seen.rawValue + Gate.oneInFlight,
        ordering: .acquiringAndReleasing
      )
      if exchanged { return true }
      seen = Gate(rawValue: original)
    }
    return false
  }

  // MARK: Tenants

  /// Permits that the tenants of a bucket hold.
  func held(_ bucket: UInt8) -> Int {
    Int(truncatingIfNeeded: load(Place.holds + Int(bucket)))
  }

  func hold(_ bucket: UInt8) {
    base[Place.holds + Int(bucket)].wrappingAdd(1, ordering: .relaxed)
  }

  func letGo(_ bucket: UInt8) { Self.letGo(base, bucket) }

  static func letGo(_ base: UnsafeMutablePointer<Cell>, _ bucket: UInt8) {
    base[Place.holds + Int(bucket)].wrappingSubtract(1, ordering: .relaxed)
  }

  // MARK: Streams

  /// Counts a stream that begins.
  ///
  /// - Returns: False when as many are open as may be, and it was not counted.
  func openStream(isForced: Bool) -> Bool {
    let bound = load(Place.streamBound)
    var seen = load(Place.streams)
    while isForced || seen < bound {
      let (exchanged, original) = base[Place.streams].weakCompareExchange(
        expected: seen,
        desired: seen + 1,
        ordering: .relaxed
      )
      if exchanged { return true }
      seen = original
    }
    return false
  }

  func closeStream() { base[Place.streams].wrappingSubtract(1, ordering: .relaxed) }

  // MARK: Waiting

  /// Counts requests into or out of the queues.
  func changeWaiting(_ change: Int) -> Gate {
    let amount = UInt64(bitPattern: Int64(change)) &* Gate.oneWaiting
    let (_, new) = base[Place.gate].wrappingAdd(amount, ordering: .acquiringAndReleasing)
    return Gate(rawValue: new)
  }

  func setLimit(_ limit: Int) {
    var seen = gate
    while seen.limit != limit, !replace(seen, by: seen.withLimit(limit).rawValue) { seen = gate }
  }

  // MARK: Workers

  func waiting(of worker: Int) -> UInt64 {
    base[Place.waiting + worker].load(ordering: .acquiring)
  }

  func credit(of worker: Int) -> UInt64 {
    base[credits + worker * Self.line].load(ordering: .acquiring)
  }

  func addCredit(to worker: Int) {
    base[credits + worker * Self.line].wrappingAdd(1, ordering: .acquiringAndReleasing)
  }

  /// Takes one of a worker's credits, when it has any; that worker alone may.
  func takeCredit(of worker: Int) -> Bool {
    guard credit(of: worker) > 0 else { return false }
    base[credits + worker * Self.line].wrappingSubtract(1, ordering: .acquiringAndReleasing)
    return true
  }

  func sums(of worker: Int) -> WorkerSums {
    WorkerSums(base: base + blocks + worker * blockLength, routes: routes)
  }

  // MARK: Cohorts, a number and a count in one cell

  /// Counts into the cohort of a number.
  ///
  /// - Returns: The count before, or -1 when the cohort is another one or full.
  func join(_ place: Int, cohort: UInt32, size: Int) -> Int {
    var seen = load(place)
    while true {
      let count = Int(seen & 0xFFFF_FFFF)
      guard seen >> 32 == UInt64(cohort), count < size else { return -1 }
      let (exchanged, original) = base[place].weakCompareExchange(
        expected: seen,
        desired: seen + 1,
        ordering: .acquiringAndReleasing
      )
      if exchanged { return count }
      seen = original
    }
  }
}
