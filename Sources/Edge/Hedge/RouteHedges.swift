internal import Configuration
internal import Units
internal import Upstream

/// What became of a route's second attempts, and when they go out now, by worker.
final class RouteHedges: Sendable {
  let name: String
  /// The route's place in each worker's table of estimates.
  let place: Int32
  private let cells: WorkerCells

  private static let delayCell = HedgeResult.allCases.count
  private static let sampleCell = delayCell + 1

  init(name: String, place: Int32, workers: Int) {
    self.name = name
    self.place = place
    cells = WorkerCells(workers: workers, count: Self.sampleCell + 1)
  }

  /// Counts a result; the worker's own thread only.
  func count(_ result: HedgeResult, worker: Int) {
    cells.increment(Int(result.rawValue), worker: worker)
  }

  /// Says when second attempts go out; the worker's own thread only.
  func publish(_ delay: Nanoseconds?, samples: Float, worker: Int) {
    cells.set(Self.delayCell, to: UInt64(max(0, delay?.rawValue ?? 0)), worker: worker)
    cells.set(Self.sampleCell, to: UInt64(max(0, samples)), worker: worker)
  }

  /// A result over all workers.
  func count(_ result: HedgeResult) -> UInt64 { cells.sum(Int(result.rawValue)) }

  /// What workers that know enough wait before a second attempt, and the samples of all.
  var estimate: (delays: [Nanoseconds], samples: UInt64) {
    let delays = (0..<cells.workers)
      .map { cells.value(Self.delayCell, worker: $0) }
      .filter { $0 > 0 }
      .map { Nanoseconds(Int64(clamping: $0)) }
    return (delays, cells.sum(Self.sampleCell))
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
