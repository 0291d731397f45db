internal import Glibc
internal import Synchronization
internal import Units

/// Numbers of which each worker has its own; only it writes them, and anybody reads.
final class WorkerCells: @unchecked Sendable {
  // Safe to share: every cell is an atomic with one writer.
  let workers: Int
  private let stride: Int
  private let cells: UnsafeMutablePointer<Atomic<UInt64>>

  /// `count` numbers for each worker, all 0.
  init(workers: Int, count: Int) {
    self.workers = workers
    // Whole cache lines, so that workers do not share one.
    stride = (count + 7) / 8 * 8
    cells = zeroedMemory(Atomic<UInt64>.self, workers * stride)
  }

  deinit { free(cells) }

  /// The number at a place.
  func value(_ place: Int, worker: Int) -> UInt64 {
    cells[worker * stride + place].load(ordering: .relaxed)
  }

  /// Sets it; the worker's own thread only.
  func set(_ place: Int, to value: UInt64, worker: Int) {
    cells[worker * stride + place].store(value, ordering: .relaxed)
  }

  /// Adds one; the worker's own thread only.
  func increment(_ place: Int, worker: Int) {
    set(place, to: value(place, worker: worker) &+ 1, worker: worker)
  }

  /// The number over all workers.
  func sum(_ place: Int) -> UInt64 {
    (0..<workers).reduce(0) { $0 &+ value(place, worker: $1) }
  }
}
