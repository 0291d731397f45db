internal import Synchronization
public import Units

/// The endpoints of a service as their checks see them.
///
/// A view that a worker makes for one call. Each endpoint is checked by one worker, the only one to
/// write what checks say of it; that nobody is left is found by whoever writes last.
public struct CheckFleet {
  let places: UnsafeBufferPointer<Int32>
  let health: HealthTable
  let service: Int32
  let settings: CheckSettings

  public init(
    places: UnsafeBufferPointer<Int32>,
    health: HealthTable,
    service: Int32,
    settings: CheckSettings
  ) {
    self.places = places
    self.health = health
    self.service = service
    self.settings = settings
  }

  /// Whether every endpoint that may be asked at all failed its checks.
  public var isOut: Bool {
    var count = 0
    for place in places {
      let record = health.record(place)
      if record.isDrained { continue }
      guard record.checkVerdict == .down else { return false }
      count += 1
    }
    return count > 0
  }

  /// Takes what a check came to.
  ///
  /// - Returns: Whether what is said of the endpoint changed by it.
  public func note(_ result: CheckResult, at place: Int32, now: Instant) -> Bool {
    health.service(service).count(result)
    var state = health.record(place).check
    // All endpoints are looked at where it matters alone: there may be thousands, all down.
    let isReturn = state.verdict == .down && result == .success
    let hasChanged = state.note(result, isOut: isReturn && isOut, settings)
    health.record(place).store(state, changedAt: hasChanged ? now : nil)
    if hasChanged, state.verdict == .up { health.breaker(place).returned(at: now) }
    // Orders and reloads change who counts, too, so one of them looks with each of its checks.
    if hasChanged || place == places.first { judge(at: now) }
    if hasChanged { health.service(service).noteChange() }
    return hasChanged
  }

  /// Looks whether anybody is left; also for when the endpoints themselves change.
  public func judge(at now: Instant) {
    let outage = health.service(service).outage
    if isOut {
      outage.update { $0.foundNobody(at: now) }
    } else {
      outage.update { $0.foundSomebody(at: now) }
    }
  }

  /// Forgets what checks said of an endpoint that is checked no more.
  public static func forget(_ place: Int32, in health: HealthTable) {
    health.record(place).store(CheckState(), changedAt: .some(Instant(0)))
  }
}

/// The outage of a service, shared by all workers.
///
/// A view of a cell in shared memory.
public struct SharedOutage: @unchecked Sendable {
  // Safe to share: an atomic alone.
  private let cell: UnsafeMutablePointer<Atomic<UInt64>>

  init(_ cell: UnsafeMutablePointer<Atomic<UInt64>>) { self.cell = cell }

  public var word: OutageWord { OutageWord(rawValue: cell.pointee.load(ordering: .relaxed)) }

  /// Changes the state as `change` says, however many others do at once.
  @discardableResult
  public func update<Result>(_ change: (inout OutageWord) -> Result) -> Result {
    var seen = cell.pointee.load(ordering: .relaxed)
    while true {
      var word = OutageWord(rawValue: seen)
      let result = change(&word)
      guard word.rawValue != seen else { return result }
      let (isDone, now) = cell.pointee.compareExchange(
        expected: seen,
        desired: word.rawValue,
        ordering: .relaxed
      )
      if isDone { return result }
      seen = now
    }
  }
}
