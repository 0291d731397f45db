internal import Admission
internal import Glibc
internal import Synchronization
internal import Units

/// What presses on this process, as its threads see it: each worker's counts, and the memory that the
/// upkeep thread looks at.
///
/// A worker adds up all of them when it judges the pressure, so that what one has begun counts with
/// the others by their next look.
final class EdgeLoad: @unchecked Sendable {
  // Safe to share: every cell is an atomic with one writer.
  private enum Cell: Int {
    case inFlight, descriptors, connections, loop, buffers, mostBuffers, shed
  }

  /// A cache line for each worker.
  private static let stride = 8

  private let workers: Int
  private let cells: UnsafeMutablePointer<Atomic<UInt64>>
  private let usedMemory = Atomic<UInt64>(0)

  init(workers: Int) {
    self.workers = workers
    cells = zeroedMemory(Atomic<UInt64>.self, workers * Self.stride)
  }

  deinit { free(cells) }

  @inline(__always)
  private func store(_ worker: Int, _ cell: Cell, _ value: UInt64) {
    cells[worker * Self.stride + cell.rawValue].store(value, ordering: .relaxed)
  }

  private func load(_ worker: Int, _ cell: Cell) -> UInt64 {
    cells[worker * Self.stride + cell.rawValue].load(ordering: .relaxed)
  }

  /// What a worker has; its own thread only.
  @inline(__always)
  func publish(_ worker: Int, _ reading: EdgePressure.Reading) {
    store(worker, .inFlight, UInt64(truncatingIfNeeded: reading.inFlight))
    store(worker, .descriptors, UInt64(truncatingIfNeeded: reading.descriptors))
    store(worker, .connections, UInt64(truncatingIfNeeded: reading.connections))
    store(worker, .buffers, UInt64(truncatingIfNeeded: reading.buffers))
    store(worker, .mostBuffers, UInt64(truncatingIfNeeded: reading.mostBuffers))
  }

  /// What a worker makes of it; its own thread only.
  func publish(_ worker: Int, _ pressure: EdgePressure) {
    store(worker, .loop, pressure[.loopDelay].bitPattern)
    store(worker, .shed, UInt64(pressure.shedClasses) | (pressure.refusesHandshakes ? 1 << 8 : 0))
  }

  /// The share of memory in use, in `0...1`; the upkeep thread only.
  func publish(memory: Double) { usedMemory.store(memory.bitPattern, ordering: .relaxed) }

  /// All that is known at this moment but the delay of loops and buffers, which each worker knows of
  /// its own.
  var reading: EdgePressure.Reading {
    var reading = EdgePressure.Reading()
    reading.memory = Double(bitPattern: usedMemory.load(ordering: .relaxed))
    for worker in 0..<workers {
      reading.inFlight += Int(truncatingIfNeeded: load(worker, .inFlight))
      reading.descriptors += Int(truncatingIfNeeded: load(worker, .descriptors))
      reading.connections += Int(truncatingIfNeeded: load(worker, .connections))
    }
    return reading
  }

  /// The highest pressure of a loop, averaged by its worker.
  var loopPressure: Double {
    (0..<workers).reduce(0) { max($0, Double(bitPattern: load($1, .loop))) }
  }

  /// The highest pressure of a worker's buffers.
  func bufferPressure(_ settings: EdgePressure.Settings) -> Double {
    (0..<workers).reduce(0) { highest, worker in
      var reading = EdgePressure.Reading()
      reading.buffers = Int(truncatingIfNeeded: load(worker, .buffers))
      reading.mostBuffers = Int(truncatingIfNeeded: load(worker, .mostBuffers))
      return max(highest, settings.pressure(of: .buffers, in: reading))
    }
  }

  /// The classes that some worker sheds, a bit each.
  var shedClasses: UInt8 {
    (0..<workers).reduce(0) { $0 | UInt8(truncatingIfNeeded: load($1, .shed)) }
  }

  /// Whether some worker refuses handshakes.
  var refusesHandshakes: Bool { (0..<workers).contains { load($0, .shed) >> 8 & 1 == 1 } }
}
