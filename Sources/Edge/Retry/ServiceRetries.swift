internal import Configuration
internal import Glibc
internal import Synchronization
internal import Units
internal import Upstream

/// What is known of a service's retries: their budget, and what became of them.
final class ServiceRetries: @unchecked Sendable {
  // Safe to share: every cell is an atomic with one writer.
  let name: String
  let budget: RetryBudget
  private let workers: Int
  private let cells: UnsafeMutablePointer<Atomic<UInt64>>

  private static let stride = RetryCause.allCases.count * RetryOutcome.allCases.count

  init(name: String, workers: Int) {
    self.name = name
    self.workers = workers
    budget = RetryBudget(workers: workers)
    cells = zeroedMemory(Atomic<UInt64>.self, workers * Self.stride)
  }

  deinit { free(cells) }

  private static func place(_ cause: RetryCause, _ outcome: RetryOutcome) -> Int {
    Int(cause.rawValue) * RetryOutcome.allCases.count + Int(outcome.rawValue)
  }

  /// Counts what became of a failure; the worker's own thread only.
  func count(_ cause: RetryCause, _ outcome: RetryOutcome, worker: Int) {
    let cell = cells + worker * Self.stride + Self.place(cause, outcome)
    cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  /// The same over all workers.
  func count(_ cause: RetryCause, _ outcome: RetryOutcome) -> UInt64 {
    (0..<workers).reduce(0) { sum, worker in
      sum &+ cells[worker * Self.stride + Self.place(cause, outcome)].load(ordering: .relaxed)
    }
  }
}

/// The retries of services by name, which outlive snapshots; slow plane only.
///
/// A reload that changes what a budget allows, or takes the last route with retries away for a while,
/// leaves what was used as it is.
final class RetryDirectory: Sendable {
  /// Service names that ever had retries.
  static let capacity = Settings.maximumServices

  private let workers: Int
  private let services = Locked<[String: ServiceRetries]>([:])

  init(workers: Int) { self.workers = workers }

  /// The retries of a service.
  ///
  /// - Throws: `EdgeError` when there were too many.
  func retries(of name: String) throws(EdgeError) -> ServiceRetries {
    try services.withLock { services throws(EdgeError) in
      if let known = services[name] { return known }
      guard services.count < Self.capacity else {
        throw EdgeError(.bound, "more than \(Self.capacity) services ever had retries")
      }
      let new = ServiceRetries(name: name, workers: self.workers)
      services[name] = new
      return new
    }
  }
}
