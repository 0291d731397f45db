internal import Synchronization
public import Units

/// The endpoints of a service as outlier detection compares them.
///
/// A view that a worker makes for one call. Whoever ends an interval first compares for all; who
/// wants to leave somebody out while another does, does not, and the next failure asks again: so
/// the share that may be out is never passed.
public struct OutlierFleet {
  let places: UnsafeBufferPointer<Int32>
  let health: HealthTable
  let service: Int32
  let settings: OutlierSettings

  public init(
    places: UnsafeBufferPointer<Int32>,
    health: HealthTable,
    service: Int32,
    settings: OutlierSettings
  ) {
    self.places = places
    self.health = health
    self.service = service
    self.settings = settings
  }

  /// Counts what came of a request to `place`, leaves that out if need be, and compares all when an
  /// interval is over.
  ///
  /// - Returns: Whether somebody was left out.
  @discardableResult
  public func note(
    _ outcome: AttemptOutcome,
    at place: Int32,
    latency: Nanoseconds,
    now: Instant
  ) -> Bool {
    var hasEjected = false
    let cause = health.record(place).note(outcome, latency: latency, settings)
    if let cause { hasEjected = eject(place, cause, now) }
    if health.service(service).takesSweep(at: now, every: settings.interval) {
      hasEjected = compare(now) || hasEjected
    }
    return hasEjected
  }

  private func eject(_ place: Int32, _ cause: EjectionCause, _ now: Instant) -> Bool {
    let cells = health.service(service)
    guard cells.takeEjection() else { return false }
    defer { cells.endEjection() }
    guard !health.record(place).isEjected(at: now) else { return false }
    var out = 0
    for other in places where health.record(other).isEjected(at: now) { out += 1 }
    guard out < settings.mostEjected(of: places.count) else {
      cells.countOverflow()
      return false
    }
    health.record(place).eject(cause, at: now, settings)
    cells.count(cause)
    return true
  }

  /// Compares endpoints with each other and begins the next interval.
  private func compare(_ now: Instant) -> Bool {
    let rate = successThreshold(now)
    let latencies = settings.latencyFactor > 0 ? latencySums(now) : (0, 0)
    var hasEjected = false
    for place in places {
      let record = health.record(place)
      let interval = record.interval
      guard !record.isEjected(at: now) else { continue }
      if let cause = verdict(interval, rate, latencies) {
        hasEjected = eject(place, cause, now) || hasEjected
      } else if interval.requests > 0, interval.failures * 10 <= interval.requests {
        record.forgive()
      }
    }
    for place in places { health.record(place).beginInterval() }
    return hasEjected
  }

  private func verdict(
    _ interval: EndpointRecord.Interval,
    _ successThreshold: Double,
    _ latencies: (count: Double, sum: Double)
  ) -> EjectionCause? {
    if settings.failurePercentage > 0, places.count >= Int(settings.minimumHosts),
      interval.requests >= UInt64(max(1, settings.failurePercentageVolume)),
      (1 - interval.successRate) * 100 >= Double(settings.failurePercentage)
    {
      return .failurePercentage
    }
    if interval.requests >= UInt64(max(1, settings.requestVolume)),
      interval.successRate < successThreshold
    {
      return .successRate
    }
    if settings.latencyFactor > 0, interval.answers >= UInt64(max(1, settings.requestVolume)),
      latencies.count >= Double(max(2, settings.minimumHosts))
    {
      // Without its own, which must not move what it is compared with.
      let others = (latencies.sum - interval.latency) / (latencies.count - 1)
      if others > 0, interval.latency > settings.latencyFactor * others { return .latency }
    }
    return nil
  }

  /// The share of successes below which one is out; below every share where too few can be compared.
  private func successThreshold(_ now: Instant) -> Double {
    guard settings.successRateDeviations > 0 else { return -1 }
    var (count, sum, squares) = (0.0, 0.0, 0.0)
    for place in places where !health.record(place).isEjected(at: now) {
      let interval = health.record(place).interval
      guard interval.requests >= UInt64(max(1, settings.requestVolume)) else { continue }
      count += 1
      sum += interval.successRate
      squares += interval.successRate * interval.successRate
    }
    guard count >= Double(max(2, settings.minimumHosts)) else { return -1 }
    let mean = sum / count
    let deviation = max(0, squares / count - mean * mean).squareRoot()
    return mean - settings.successRateDeviations * deviation
  }

  /// How many had enough answers to be compared, and the sum of their latencies.
  private func latencySums(_ now: Instant) -> (count: Double, sum: Double) {
    var (count, sum) = (0.0, 0.0)
    for place in places where !health.record(place).isEjected(at: now) {
      let interval = health.record(place).interval
      guard interval.answers >= UInt64(max(1, settings.requestVolume)) else { continue }
      count += 1
      sum += interval.latency
    }
    return (count, sum)
  }
}
