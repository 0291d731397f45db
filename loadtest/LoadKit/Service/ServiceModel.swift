public import Units

/// The queueing inside a simulated service: workers, backlog, service times.
///
/// ```
///           worker free                     time is over
/// arrive ────────────────▶ working ──────────────────────────▶ finished
///   │  none free             ▲  │ caller left, work is dropped
///   ├────────────▶ waiting ──┘  └──────────────────────────▶ gone
///   │ backlog full    │ caller left
///   ▼                 └──────────▶ gone
/// refused
/// ```
///
/// It keeps its own time: a worker that ends at t takes the next request at t, however late the
/// process looks, so that its capacity is what was stated and not what the machine's timers leave
/// of it. How late the process looks is `lag`, and what a run is judged by.
public struct ServiceModel {
  public enum Arrival: Equatable, Sendable {
    case accepted
    /// The backlog is full.
    case refused
  }

  public struct Finished: Equatable, Sendable {
    public var job: Int32
    /// When the worker was done, at or before the time that was asked about.
    public var at: Instant
  }

  public private(set) var settings: ServiceSettings
  /// Requests that are worked on.
  public private(set) var working = 0
  /// Workers busy with requests whose callers left.
  public private(set) var wasted = 0
  private var generator: SplitMix64
  private var running = FinishHeap()
  private var queue: JobQueue
  private var states: [State]
  /// Scales all service times; 1 is as set.
  public private(set) var timeFactor = 1.0
  /// Scales the number of workers; 1 is as set.
  public private(set) var workerFactor = 1.0

  private enum State: UInt8 { case none, waiting, waitingAbandoned, working, abandoned }

  /// - Parameters:
  ///   - settings: Validated.
  ///   - jobs: Names of requests are in `0..<jobs`.
  public init(_ settings: ServiceSettings, jobs: Int) {
    self.settings = settings
    generator = SplitMix64(seed: settings.seed)
    states = Array(repeating: .none, count: jobs)
    queue = JobQueue(jobs: jobs)
  }

  /// Requests that wait for a worker.
  public var waiting: Int { queue.count }

  /// Workers there are now.
  public var workers: Int { max(1, Int((Double(settings.workers) * workerFactor).rounded())) }

  /// When the next worker is done; `.never` when none is busy.
  public var nextFinish: Instant { running.first?.at ?? .never }

  /// A request comes in.
  ///
  /// - Parameters:
  ///   - job: Its name; not in use.
  ///   - route: A place in the settings' routes, or -1.
  ///   - now: Not before the last event that was taken.
  /// - Returns: Whether it is inside now.
  public mutating func arrive(job: Int32, route: Int32, at now: Instant) -> Arrival {
    if working < workers, queue.count == 0 {
      start(job, route, at: now)
      return .accepted
    }
    if let backlog = settings.backlog, queue.count >= backlog { return .refused }
    states[Int(job)] = .waiting
    queue.append(job, route, now)
    return .accepted
  }

  /// The next request that is done by `now`; its worker goes on with the next one at that time.
  public mutating func takeFinished(at now: Instant) -> Finished? {
    while let next = running.first, next.at <= now {
      running.removeFirst()
      working -= 1
      let isAbandoned = states[Int(next.job)] == .abandoned
      states[Int(next.job)] = .none
      if isAbandoned { wasted -= 1 }
      fill(at: next.at)
      return next
    }
    return nil
  }

  /// The caller left.
  ///
  /// - Returns: Whether the name is free at once; otherwise its end is still to come.
  public mutating func abandon(job: Int32, at now: Instant) -> Bool {
    switch states[Int(job)] {
    case .none, .abandoned, .waitingAbandoned: return true
    case .waiting where settings.finishesAbandoned:
      // A server that does not look at its connections will work for nobody.
      states[Int(job)] = .waitingAbandoned
      return false
    case .waiting:
      queue.remove(job)
      states[Int(job)] = .none
      return true
    case .working where settings.finishesAbandoned:
      states[Int(job)] = .abandoned
      wasted += 1
      return false
    case .working:
      running.remove(job)
      states[Int(job)] = .none
      working -= 1
      fill(at: now)
      return true
    }
  }

  /// Scales times and workers; requests that are worked on keep the time they were given.
  ///
  /// - Parameters:
  ///   - time: Factor on service times, above 0.
  ///   - workers: Factor on the number of workers, above 0; at least one stays.
  ///   - now: Since when.
  public mutating func scale(time: Double, workers: Double, at now: Instant) {
    timeFactor = time
    workerFactor = workers
    fill(at: now)
  }

  /// Forgets everything inside: the process was killed.
  ///
  /// - Returns: The requests that were inside.
  public mutating func kill() -> [Int32] {
    var inside: [Int32] = []
    while let next = running.first {
      running.removeFirst()
      inside.append(next.job)
    }
    while let next = queue.popFirst() { inside.append(next.job) }
    for job in inside { states[Int(job)] = .none }
    working = 0
    wasted = 0
    return inside
  }

  private mutating func fill(at now: Instant) {
    while working < workers, let next = queue.popFirst() {
      start(next.job, next.route, at: max(now, next.arrived))
    }
  }

  private mutating func start(_ job: Int32, _ route: Int32, at now: Instant) {
    let time = route >= 0 ? settings.routes[Int(route)].serviceTime : settings.serviceTime
    var span = Double(time.draw(&generator).rawValue) * timeFactor
    if let knee = settings.knee { span *= knee.factor(inside: working + queue.count + 1) }
    let isAbandoned = states[Int(job)] == .waitingAbandoned
    states[Int(job)] = isAbandoned ? .abandoned : .working
    if isAbandoned { wasted += 1 }
    working += 1
    running.insert(Finished(job: job, at: now + Nanoseconds(Int64(min(span, 3.6e12)))))
  }
}
