internal import Configuration
internal import Units
internal import Upstream

/// What is known of a service's retries: their budget, and what became of them.
final class ServiceRetries: Sendable {
  let name: String
  let budget: RetryBudget
  private let counts: WorkerCells

  init(name: String, workers: Int) {
    self.name = name
    budget = RetryBudget(workers: workers)
    counts = WorkerCells(
      workers: workers,
      count: RetryCause.allCases.count * RetryOutcome.allCases.count
    )
  }

  private static func place(_ cause: RetryCause, _ outcome: RetryOutcome) -> Int {
    Int(cause.rawValue) * RetryOutcome.allCases.count + Int(outcome.rawValue)
  }

  /// Counts what became of a failure; the worker's own thread only.
  func count(_ cause: RetryCause, _ outcome: RetryOutcome, worker: Int) {
    counts.increment(Self.place(cause, outcome), worker: worker)
  }

  /// The same over all workers.
  func count(_ cause: RetryCause, _ outcome: RetryOutcome) -> UInt64 {
    counts.sum(Self.place(cause, outcome))
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
