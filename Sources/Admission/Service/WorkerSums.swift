internal import Synchronization

/// What one worker has seen of a service since it began: sums that only it writes and whoever closes
/// a window reads.
///
/// They only grow, and the reader takes differences, so nothing is reset while it is written. A
/// version that is odd during a change lets the reader see whole changes only.
struct WorkerSums {
  enum Sum: Int, CaseIterable {
    case version, arrivals, dispatched, dispatchedLimited, dropped, samples, busySamples
    case latency, cappedLatency, weight
    case limitedCount, limitedLatency, limitedWeight, limitedResidual
    case idleCount, idleLatency, idleWeight, idleResidual
    case drainCount, drainLatency, drainWeight, drainResidual
    case cohortCount, cohortLatency, cohortWeight, cohortResidual
    case drainSentCount, drainSentWeight, drainGoneCount, drainGoneWeight
    case cohortSentCount, cohortSentWeight, cohortGoneCount, cohortGoneWeight
    /// What the service reported of its load, and how often.
    case reportCount, reportUtilization
    /// Not a sum: the most in flight since it was last taken.
    case peak
  }

  /// Behind the named ones, one for each class: requests that got a permit from the queue.
  private static let served = Sum.allCases.count
  static let count = served + PriorityClasses.maximum

  let base: UnsafeMutablePointer<Cell>
  let routes: Int

  /// Requests that wait, by class: no sums.
  private var depths: UnsafeMutablePointer<Cell> { base + Self.count }
  private var routeMarks: UnsafeMutablePointer<Cell> { depths + PriorityClasses.maximum }
  private var routeSums: UnsafeMutablePointer<Cell> { routeMarks + (routes + 63) / 64 }

  /// Cells that a worker's sums take with so many routes.
  static func cells(routes: Int) -> Int {
    count + PriorityClasses.maximum + (routes + 63) / 64 + 2 * routes
  }

  subscript(_ sum: Sum) -> Double {
    Double(bitPattern: base[sum.rawValue].load(ordering: .relaxed))
  }

  func add(_ value: Double, to sum: Sum) {
    base[sum.rawValue].store((self[sum] + value).bitPattern, ordering: .relaxed)
  }

  /// Adds one sample to the four sums of a kind, whose places follow each other.
  func add(_ first: Sum, latency: Double, weight: Double, scale: Double) {
    let cells = base + first.rawValue
    let difference = latency - weight * scale
    Self.add(1, cells)
    Self.add(latency, cells + 1)
    Self.add(weight, cells + 2)
    Self.add(difference * difference, cells + 3)
  }

  /// Adds one request to a count and the sum of weights behind it.
  func add(_ first: Sum, weight: Double) {
    Self.add(1, base + first.rawValue)
    Self.add(weight, base + first.rawValue + 1)
  }

  private static func add(_ value: Double, _ cell: UnsafeMutablePointer<Cell>) {
    let old = Double(bitPattern: cell.pointee.load(ordering: .relaxed))
    cell.pointee.store((old + value).bitPattern, ordering: .relaxed)
  }

  func beginChange() {
    let version = base[0].load(ordering: .relaxed)
    base[0].store(version &+ 1, ordering: .relaxed)
    atomicMemoryFence(ordering: .releasing)
  }

  func endChange() {
    let version = base[0].load(ordering: .relaxed)
    base[0].store(version &+ 1, ordering: .releasing)
  }

  func raisePeak(_ inFlight: Double) {
    if inFlight > self[.peak] {
      base[Sum.peak.rawValue].store(inFlight.bitPattern, ordering: .relaxed)
    }
  }

  /// Counts a request that got a permit from the queue.
  func addServed(_ priority: Int) { Self.add(1, base + Self.served + priority) }

  /// Of sums, or differences of them, what was served of a class.
  static func served(_ sums: UnsafeMutablePointer<Double>, _ priority: Int) -> Double {
    max(sums[served + priority], 0)
  }

  func setDepth(_ depth: Int32, _ priority: Int) {
    depths[priority].store(UInt64(max(depth, 0)), ordering: .relaxed)
  }

  func depth(_ priority: Int) -> Int { Int(depths[priority].load(ordering: .relaxed)) }

  func takePeak() -> Double {
    Double(bitPattern: base[Sum.peak.rawValue].exchange(0, ordering: .relaxed))
  }

  // MARK: Routes

  /// Adds a sample of a route, its latency divided by the scale of its moment.
  ///
  /// - Returns: The worker's own mean for the route, for use until a weight is published.
  func addRoute(_ route: Int, ratio: Double) -> Double {
    let cells = routeSums + 2 * route
    Self.add(1, cells)
    Self.add(ratio, cells + 1)
    let mark: UInt64 = 1 << UInt64(route & 63)
    if routeMarks[route >> 6].load(ordering: .relaxed) & mark == 0 {
      routeMarks[route >> 6].bitwiseOr(mark, ordering: .releasing)
    }
    return Double(bitPattern: cells[1].load(ordering: .relaxed))
      / Double(bitPattern: cells[0].load(ordering: .relaxed))
  }

  /// The routes of a group of 64 that were added to since they were last taken.
  func takeMarks(_ group: Int) -> UInt64 {
    guard routeMarks[group].load(ordering: .relaxed) != 0 else { return 0 }
    return routeMarks[group].exchange(0, ordering: .acquiring)
  }

  func route(_ route: Int) -> (count: Double, ratio: Double) {
    let cells = routeSums + 2 * route
    return (
      Double(bitPattern: cells[0].load(ordering: .relaxed)),
      Double(bitPattern: cells[1].load(ordering: .relaxed))
    )
  }

  // MARK: Reading from another thread

  /// Copies all sums as of one moment.
  ///
  /// The writer is never waited for: after a few tries a copy with half of one sample is taken, which
  /// the next difference evens out.
  func copy(to target: UnsafeMutablePointer<Double>) {
    for _ in 0..<4 {
      let before = base[0].load(ordering: .acquiring)
      for index in 1..<Self.count {
        target[index] = Double(bitPattern: base[index].load(ordering: .relaxed))
      }
      atomicMemoryFence(ordering: .acquiring)
      if before & 1 == 0, base[0].load(ordering: .relaxed) == before { return }
    }
  }
}
