internal import Configuration
internal import Glibc
internal import Synchronization
internal import Units
internal import Upstream

/// What became of a route's second attempts, and when they go out now, by worker.
final class RouteHedges: @unchecked Sendable {
  // Safe to share: every cell is an atomic with one writer.
  let name: String
  /// The route's place in each worker's table of estimates.
  let place: Int32
  private let workers: Int
  private let cells: UnsafeMutablePointer<Atomic<UInt64>>

  private static let delayCell = HedgeResult.allCases.count
  private static let sampleCell = delayCell + 1
  /// Whole cache lines, so that workers do not share one.
  private static let stride = (sampleCell + 8) / 8 * 8

  init(name: String, place: Int32, workers: Int) {
    self.name = name
    self.place = place
    self.workers = workers
    cells = zeroedMemory(Atomic<UInt64>.self, workers * Self.stride)
  }

  deinit { free(cells) }

  /// Counts a result; the worker's own thread only.
  func count(_ result: HedgeResult, worker: Int) {
    let cell = cells + worker * Self.stride + Int(result.rawValue)
    cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  /// Says when second attempts go out; the worker's own thread only.
  func publish(_ delay: Nanoseconds?, samples: Float, worker: Int) {
    let cells = cells + worker * Self.stride
    cells[Self.delayCell].store(UInt64(max(0, delay?.rawValue ?? 0)), ordering: .relaxed)
    cells[Self.sampleCell].store(UInt64(max(0, samples)), ordering: .relaxed)
  }

  /// A result over all workers.
  func count(_ result: HedgeResult) -> UInt64 {
    (0..<workers).reduce(0) { sum, worker in
      sum &+ cells[worker * Self.stride + Int(result.rawValue)].load(ordering: .relaxed)
    }
  }

  /// What workers that know enough wait before a second attempt, and the samples of all.
  var estimate: (delays: [Nanoseconds], samples: UInt64) {
    var delays: [Nanoseconds] = []
    var samples: UInt64 = 0
    for worker in 0..<workers {
      let cells = cells + worker * Self.stride
      let delay = cells[Self.delayCell].load(ordering: .relaxed)
      if delay > 0 { delays.append(Nanoseconds(Int64(clamping: delay))) }
      samples &+= cells[Self.sampleCell].load(ordering: .relaxed)
    }
    return (delays, samples)
  }
}

/// The second attempts of routes by name, which outlive snapshots; slow plane only.
final class HedgeDirectory: Sendable {
  /// Routes with second attempts that a process may ever have known.
  static let capacity = 1_024

  private let workers: Int
  private let routes = Locked<[String: RouteHedges]>([:])

  init(workers: Int) { self.workers = workers }

  /// What is known of a route.
  ///
  /// - Throws: `EdgeError` when there were too many.
  func hedges(of name: String) throws(EdgeError) -> RouteHedges {
    try routes.withLock { routes throws(EdgeError) in
      if let known = routes[name] { return known }
      guard routes.count < Self.capacity else {
        throw EdgeError(.bound, "more than \(Self.capacity) routes ever had hedges")
      }
      let new = RouteHedges(name: name, place: Int32(routes.count), workers: self.workers)
      routes[name] = new
      return new
    }
  }
}

/// A route's second attempts as the request path sees them.
struct CompiledHedge: BitwiseCopyable {
  /// The route's place in the worker's table of estimates.
  var place: Int32
  /// What of a response does not win while the other attempt is out: a place among what routes have
  /// repeated.
  var judge: Int32
  /// The percentile, in `0...1`.
  var share: Double
  /// The snapshot keeps it alive.
  var record: Unmanaged<RouteHedges>
}
