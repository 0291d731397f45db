internal import Admission

/// An edge of the simulated world: the real admission of one service, shared by its workers.
final class SimulatedEdge {
  let service: ServiceAdmission
  let workers: UnsafeMutablePointer<WorkerAdmission>
  private let count: Int
  /// What its wall clock is ahead of the others', in seconds.
  let skew: Double
  /// Requests that are out to each backend, for power-of-two-choices.
  var outstanding: [Int]

  init(_ scenario: Scenario, limiter: Limiter, weights: [Double], skew: Double) {
    guard
      let settings = ServiceSettings(
        workers: scenario.workers,
        routes: 2,
        classes: World.classes,
        queueCapacity: 16_384
      )
    else { fatalError("a scenario with \(scenario.workers) workers") }
    service = ServiceAdmission(settings: settings, limiter: limiter, weights: weights)
    count = scenario.workers
    self.skew = skew
    outstanding = Array(repeating: 0, count: scenario.backends)
    workers = .allocate(capacity: count)
    for index in 0..<count {
      (workers + index).initialize(to: WorkerAdmission(service: service, worker: index))
    }
  }

  /// What a restarted edge would start from.
  func saved() -> (Limiter, [Double])? {
    guard let state = service.inspect(), let learned = state.learned else { return nil }
    return (.latencyGradient(LatencyGradientLimit(learned: learned)), state.weights)
  }

  deinit {
    workers.deinitialize(count: count)
    workers.deallocate()
  }
}
