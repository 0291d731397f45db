internal import Glibc
internal import Synchronization
internal import Units

/// What all workers share of one service's admission: the limit, what is in flight, who waits where,
/// and what is learned.
///
/// It belongs in a registry by the service's name and outlives snapshots and permits. Each worker
/// makes a `WorkerAdmission` of it. No thread ever waits here: whoever first sees that a window of
/// 10 ms is over closes it, and the others go on with what was published before.
public final class ServiceAdmission: @unchecked Sendable {
  // Safe to share: `cells` are atomics; all else that changes is touched only by the thread that
  // holds `Place.isMerging`.
  let cells: ServiceCells
  let settings: ServiceSettings
  private var limiter: Limiter
  private let copies: UnsafeMutablePointer<Double>
  private let routeCopies: UnsafeMutablePointer<Double>
  private let routesSeen: UnsafeMutablePointer<Double>
  private let scratch: UnsafeMutablePointer<Double>
  private var rule = StandingRule()
  private var shares = TenantShares()
  private var beside = TenantShares.Beside()
  private var standing: UInt8 = 0
  private let served: UnsafeMutablePointer<Double>
  private var standingSince = Instant.never
  private var guidance = LimitGuidance()

  /// - Parameters:
  ///   - settings: Sizes, fixed for the life of the service.
  ///   - limiter: The rule that learns the limit.
  ///   - weights: Weights of routes learned before, by place; empty for none.
  public init(
    settings: ServiceSettings,
    limiter: Limiter = .standard,
    weights: [Double] = []
  ) {
    self.settings = settings
    self.limiter = limiter
    self.limiter.bound(to: settings.limits)
    cells = ServiceCells(workers: settings.workers, routes: settings.routes)
    copies = zeroedMemory(Double.self, settings.workers * WorkerSums.count)
    routeCopies = zeroedMemory(Double.self, settings.workers * settings.routes * 2)
    routesSeen = zeroedMemory(Double.self, settings.routes)
    scratch = zeroedMemory(Double.self, WorkerSums.count)
    served = zeroedMemory(Double.self, PriorityClasses.maximum)
    cells.store(UInt64(bitPattern: .min), ServiceCells.Place.nextTick)
    streamBound = Bounds.limit
    for route in 0..<settings.routes { routesSeen[route] = 1 }
    for (route, weight) in weights.prefix(settings.routes).enumerated()
    where weight.isFinite && weight > 0 {
      cells.store(Bounds.clamp(weight, 1e-9, 1e9), cells.weights + route)
      routesSeen[route] = 256
    }
    publish()
  }

  deinit {
    free(copies)
    free(routeCopies)
    free(routesSeen)
    free(scratch)
    free(served)
    cells.deallocate()
  }

  /// Permits that were neither ended nor stored: always 0, or there is a fault in the caller.
  public var forgottenPermits: UInt64 { cells.load(ServiceCells.Place.forgotten) }

  /// Requests that hold a permit now.
  public var inFlight: Int { cells.gate.inFlight }

  /// Requests that may hold one, beside those that hang.
  public var limit: Int {
    max(1, cells.gate.limit - Int(cells.load(ServiceCells.Place.allowance)))
  }

  /// Requests in flight at endpoints that say nothing while others do.
  public var hanging: Int {
    max(0, Int(truncatingIfNeeded: cells.load(ServiceCells.Place.hanging)))
  }

  /// Requests queued with any worker.
  public var waiting: Int { cells.gate.waiting }

  /// Streams that are open, which hold no permit.
  public var openStreams: Int { Int(truncatingIfNeeded: cells.load(ServiceCells.Place.streams)) }

  /// How many streams may be open; may be set at any time, and ends none that is.
  public var streamBound: Int {
    get { Int(truncatingIfNeeded: cells.load(ServiceCells.Place.streamBound)) }
    set { cells.store(UInt64(max(0, newValue)), ServiceCells.Place.streamBound) }
  }

  /// The classes that have a standing queue, a bit each, bit 0 for the highest.
  ///
  /// Classes below the highest bit are shed at once, which a caller may look at before it does
  /// anything dear for a request.
  public var standingClasses: UInt8 { UInt8(cells.load(ServiceCells.Place.standing)) }

  /// What the limit has learned, for diagnostics and for saving; nothing while a window is being
  /// closed at this moment, or for limits that keep nothing.
  public func inspect() -> ServiceInspection? {
    guard beginMerging() else { return nil }
    defer { endMerging() }
    var learned: LearnedLimit?
    if case .latencyGradient(let rule) = limiter { learned = rule.learned }
    return ServiceInspection(
      guidance: guidance,
      learned: learned,
      weights: (0..<settings.routes).map { cells.number(cells.weights + $0) }
    )
  }

  // MARK: Windows

  /// Closes the window when it is over.
  ///
  /// - Parameters:
  ///   - now: The time of the caller's turn.
  ///   - wallOffset: What to add to `now` to have the wall clock.
  ///   - isEarly: True to look before the tick, because a cohort is back.
  /// - Returns: True when a window was closed: the limit may have changed.
  func closeWindow(_ now: Instant, wallOffset: Nanoseconds, isEarly: Bool = false) -> Bool {
    let isTick = now.rawValue >= cells.instant(ServiceCells.Place.nextTick)
    guard isTick || isEarly, beginMerging() else { return false }
    defer { endMerging() }
    // Another worker may have closed it since.
    let isStillTick = now.rawValue >= cells.instant(ServiceCells.Place.nextTick)
    guard isStillTick || isEarly else { return false }
    let (wall, overflow) = now.rawValue.addingReportingOverflow(wallOffset.rawValue)
    merge(now, wallClock: overflow ? now.rawValue : wall)
    if isStillTick { tick(now, wallClock: overflow ? now.rawValue : wall) }
    publish()
    return true
  }

  private func beginMerging() -> Bool {
    cells.base[ServiceCells.Place.isMerging].compareExchange(
      expected: 0,
      desired: 1,
      ordering: .acquiring
    ).exchanged
  }

  private func endMerging() {
    cells.base[ServiceCells.Place.isMerging].store(0, ordering: .releasing)
  }

  private func merge(_ now: Instant, wallClock: Int64) {
    for index in 0..<WorkerSums.count { scratch[index] = 0 }
    var peak = 0.0
    for worker in 0..<settings.workers {
      let sums = cells.sums(of: worker)
      let copy = copies + worker * WorkerSums.count
      for index in 0..<WorkerSums.count { scratch[index] -= copy[index] }
      sums.copy(to: copy)
      for index in 0..<WorkerSums.count { scratch[index] += copy[index] }
      peak = max(peak, sums.takePeak())
      mergeRoutes(of: worker, sums)
    }
    var window = LimitWindow(scratch)
    window.now = now
    window.wallClock = wallClock
    let hanging = Double(cells.load(ServiceCells.Place.allowance))
    window.inFlight = max(0, Double(cells.gate.inFlight) - hanging)
    window.peakInFlight = max(0, peak - hanging)
    window.cohortFirst = Instant(cells.instant(ServiceCells.Place.cohortFirst))
    window.cohortLast = Instant(cells.instant(ServiceCells.Place.cohortLast))
    for priority in 0..<PriorityClasses.maximum {
      served[priority] += WorkerSums.served(scratch, priority)
    }
    limiter.observe(window)
  }

  /// Moves the weights of the routes a worker has seen: a plain mean at first, then a moving one.
  private func mergeRoutes(of worker: Int, _ sums: WorkerSums) {
    // Looked up once, and only where a route is new: there may be thousands.
    lazy var usual = usualWeight
    for group in 0..<(settings.routes + 63) / 64 {
      var marks = sums.takeMarks(group)
      while marks != 0 {
        let route = group * 64 + marks.trailingZeroBitCount
        marks &= marks - 1
        let copy = routeCopies + (worker * settings.routes + route) * 2
        let (count, ratio) = sums.route(route)
        let (added, addedRatio) = (count - copy[0], ratio - copy[1])
        (copy[0], copy[1]) = (count, ratio)
        guard added >= 1, addedRatio > 0 else { continue }
        var old = cells.number(cells.weights + route)
        if old == 0, let usual {
          old = usual
          routesSeen[route] = Self.supposed
        }
        routesSeen[route] += added
        let gain = max(added / routesSeen[route], 1 - pow(2_047.0 / 2_048, added))
        let mean = addedRatio / added
        let new = old > 0 ? old + min(gain, 1) * (mean - old) : mean
        cells.store(Bounds.clamp(new, 1e-9, 1e9), cells.weights + route)
      }
    }
  }

  /// The mean weight of what was asked for, `nil` before the first answer.
  private var usualWeight: Double? {
    var (count, sum) = (0.0, 0.0)
    for route in 0..<settings.routes where cells.number(cells.weights + route) > 0 {
      count += routesSeen[route]
      sum += routesSeen[route] * cells.number(cells.weights + route)
    }
    return count > 0 ? sum / count : nil
  }

  /// A route that is asked for the first time beside others is supposed to be like them, with the weight
  /// of so many answers: the first ones to come are the quickest, and if they alone said what is usual,
  /// those behind them would look like a queue.
  private static let supposed = 16.0

  private func tick(_ now: Instant, wallClock: Int64) {
    let length = DeadlineWheel.tick.rawValue
    let remainder = ((wallClock % length) + length) % length
    let next = now + Nanoseconds(length - remainder)
    cells.store(UInt64(bitPattern: next.rawValue), ServiceCells.Place.nextTick)
    var waiting = InlineArray<8, Int>(repeating: 0)
    var served = InlineArray<8, Double>(repeating: 0)
    for index in 0..<PriorityClasses.maximum {
      for worker in 0..<settings.workers { waiting[index] += cells.sums(of: worker).depth(index) }
      served[index] = self.served[index]
      self.served[index] = 0
    }
    let verdict = rule.tick(waiting, served: served, isGrowing: limiter.guidance.isGrowing)
    standing = verdict.standing
    if standing == 0 {
      standingSince = .never
    } else if standingSince == .never {
      standingSince = now
    }
    cells.store(UInt64(standing), ServiceCells.Place.standing)
    cells.store(UInt64(verdict.late), ServiceCells.Place.late)
    cells.store(UInt64(bitPattern: standingSince.rawValue), ServiceCells.Place.standingSince)
    beside = shares.tick(now, latency: limiter.guidance.latency, cells)
  }

  private func publish() {
    let before = guidance
    guidance = limiter.guidance
    cells.store(guidance.scale, ServiceCells.Place.scale)
    cells.store(UInt64(max(guidance.period.rawValue, 1)), ServiceCells.Place.period)
    let drain: UInt64 = UInt64(guidance.drainSample) << 32 | UInt64(guidance.drainDispatch)
    cells.store(drain, ServiceCells.Place.drain)
    cells.store(guidance.latency, ServiceCells.Place.latency)
    if guidance.cohort != before.cohort || guidance.cohortSize != before.cohortSize {
      beginCohort()
    }
    cells.store(guidance.isGrowing ? 1 : 0 as UInt64, ServiceCells.Place.isGrowing)
    cells.store(UInt64(queueBound), ServiceCells.Place.queueBound)
    let limit = bounded(limiter.limit)
    // What hangs at some endpoints says nothing of the others: as much goes out beside it, and at most
    // twice the limit is out. Where all of them hang nobody says so.
    let allowance = min(hanging, limit)
    cells.store(UInt64(allowance), ServiceCells.Place.allowance)
    // What a client keeps from others may be the same requests.
    var beside = beside
    beside.excess = max(0, min(beside.excess, limit) - allowance)
    cells.store(beside.rawValue, ServiceCells.Place.beside)
    cells.setLimit(limit + allowance)
  }

  private func beginCohort() {
    let place = ServiceCells.Place.self
    let never = UInt64(bitPattern: Instant.never.rawValue)
    let number = UInt64(guidance.cohort) << 32
    cells.store(UInt64(0), place.cohort)
    cells.store(never, place.cohortFirst)
    cells.store(never, place.cohortLast)
    cells.store(number, place.cohortBack)
    cells.base[place.cohortSent].store(number, ordering: .releasing)
    guard guidance.cohort != 0 else { return }
    let sizes = UInt64(guidance.cohortQuorum) << 16 | UInt64(guidance.cohortSize)
    cells.base[place.cohort].store(number | sizes, ordering: .releasing)
  }

  /// How many may wait: a quarter second of service once a class stands, and else as many as come.
  ///
  /// What waits is bounded by time in calm, and by the memory of each worker's queue: a page may begin
  /// a hundred requests in one turn, and whether the service keeps up with them shows only later.
  private var queueBound: Int {
    let most = Gate.maximumWaiting
    if standing == 0 { return most }
    // A rule that knows nothing of its bounds may have drifted far beyond them.
    let limit = min(guidance.smoothLimit, Double(settings.limits.upperBound))
    return Bounds.whole(0.25 * limit / max(0.001, guidance.latency), in: 16...most)
  }

  private func bounded(_ limit: Int) -> Int {
    min(max(limit, settings.limits.lowerBound), settings.limits.upperBound)
  }
}

extension LimitWindow {
  /// The differences of the workers' sums.
  fileprivate init(_ sums: UnsafeMutablePointer<Double>) {
    self.init()
    func value(_ sum: WorkerSums.Sum) -> Double { max(sums[sum.rawValue], 0) }
    func ratio(_ sum: WorkerSums.Sum) -> RatioSum {
      let first = sums + sum.rawValue
      return RatioSum(
        count: max(first[0], 0),
        latency: max(first[1], 0),
        weight: max(first[2], 0),
        residual: max(first[3], 0)
      )
    }
    func pair(_ sum: WorkerSums.Sum) -> RatioSum {
      let first = sums + sum.rawValue
      return RatioSum(count: max(first[0], 0), weight: max(first[1], 0))
    }
    dispatched = value(.dispatched)
    dispatchedLimited = value(.dispatchedLimited)
    dropped = value(.dropped)
    samples = value(.samples)
    busySamples = value(.busySamples)
    latency = value(.latency)
    cappedLatency = value(.cappedLatency)
    weight = value(.weight)
    limited = ratio(.limitedCount)
    idle = ratio(.idleCount)
    drain = ratio(.drainCount)
    cohort = ratio(.cohortCount)
    drainSent = pair(.drainSentCount)
    drainGone = pair(.drainGoneCount)
    cohortSent = pair(.cohortSentCount)
    cohortGone = pair(.cohortGoneCount)
    reports = pair(.reportCount)
  }
}
