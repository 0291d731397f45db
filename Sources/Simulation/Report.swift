internal import Admission

/// What a run came to; shares are of 1, spans in seconds.
public struct Report: Sendable {
  /// Responses in time over what the living places could serve; in work where routes differ.
  public var goodput = 0.0
  /// Critical requests that were served, of those that came.
  public var critical = 1.0
  /// The same in the first second after the event.
  public var criticalFirstSecond = 1.0
  public var criticalMedian = 0.0
  public var critical99 = 0.0
  public var median = 0.0
  public var latency99 = 0.0
  public var queueWait99 = 0.0
  /// Requests that were not served.
  public var shed = 0.0
  /// The same without those that take longer than their deadline however they are served.
  public var avoidable = 0.0
  /// Attempts that admission refused over requests that came: what is not served in time because the
  /// service alone takes too long is no fault of admission.
  public var refused = 0.0
  /// From the event until goodput stays near what could be reached; infinite when it never does.
  public var convergence = 0.0
  /// From the event's end until all but 1 % are served again.
  public var recovery = 0.0
  /// Jain's index of what the edges got served.
  public var fairness = 1.0
  public var meanLimit = 0.0
  /// Permits that were in flight at the end, beyond what the requests of the world hold.
  public var leaked = 0
}

extension World {
  /// The figures of a run that is over.
  public func report() -> Report {
    var report = Report()
    let from = Int(scenario.measured.lowerBound * 10)
    let to = Int(min(scenario.measured.upperBound, scenario.length - 2) * 10)
    var offered = 0.0
    var served = 0.0
    var finished = 0.0
    var work = 0.0
    var limit = 0.0
    var criticalOffered = 0.0
    var criticalServed = 0.0
    var refused = 0.0
    var hopeless = 0.0
    var places = 0.0
    var rate = 0.0
    for index in from..<to {
      let bucket = buckets[index]
      for priority in 0..<Self.classes {
        offered += bucket.offered[priority]
        served += bucket.served[priority]
        finished += bucket.finished[priority]
      }
      criticalOffered += bucket.offered[0]
      criticalServed += bucket.served[0]
      refused += bucket.refused
      hopeless += bucket.hopeless
      work += bucket.work
      limit += bucket.limit
      let time = Double(index) * 0.1
      let alive = scenario.capacity.at(time) * 0.1
      places += Double(scenario.backends * scenario.places) * alive
      rate += scenario.capacityRate(at: time) * alive
    }
    report.goodput = scenario.countsWork ? work / places : finished / rate
    report.critical = criticalOffered > 0 ? criticalServed / criticalOffered : 1
    report.shed = offered > 0 ? 1 - served / offered : 0
    report.avoidable = offered > 0 ? (offered - served - hopeless) / offered : 0
    report.refused = offered > 0 ? refused / offered : 0
    report.meanLimit = limit / Double(max(to - from, 1))
    report.median = latency.quantile(0.5)
    report.latency99 = latency.quantile(0.99)
    report.criticalMedian = criticalLatency.quantile(0.5)
    report.critical99 = criticalLatency.quantile(0.99)
    report.queueWait99 = queueWait.quantile(0.99)
    let sum = finishedByEdge.reduce(0, +)
    let squares = finishedByEdge.reduce(0) { $0 + $1 * $1 }
    report.fairness = squares > 0 ? sum * sum / (Double(scenario.edges) * squares) : 1
    if let event = scenario.event { measureEvent(event.start, event.end, &report) }
    let held = requests.reduce(0) { $0 + ($1.permit == nil ? 0 : 1) }
    report.leaked = edges.reduce(0) { $0 + $1.service.inFlight } - held
    return report
  }

  private func measureEvent(_ start: Double, _ end: Double?, _ report: inout Report) {
    let first = shareServed(from: start, length: 1, critical: true)
    report.criticalFirstSecond = first
    report.convergence = .infinity
    let last = end ?? (scenario.length - 1)
    var time = start
    while time + 3 < last {
      let best = reachable(from: max(start + 1, scenario.measured.lowerBound), to: last)
      if finishedRate(time, 0.5) >= 0.93 * best, finishedRate(time + 0.5, 2.5) >= 0.95 * best {
        report.convergence = Self.tenths(time - start)
        break
      }
      time += 0.1
    }
    guard let end else { return }
    report.recovery = .infinity
    time = end
    while time + 4 < scenario.length {
      if shareServed(from: time, length: 1) > 0.99, shareServed(from: time, length: 3) > 0.99 {
        report.recovery = Self.tenths(time - end)
        break
      }
      time += 0.1
    }
  }

  /// Without what a sum of tenths is off by: 3 s are not more than 3 s.
  private static func tenths(_ time: Double) -> Double { (time * 10).rounded() / 10 }

  /// Requests per second that one who knew everything would serve.
  private func reachable(from: Double, to: Double) -> Double {
    var sum = 0.0
    var count = 0.0
    var time = from
    while time < to {
      let unit = scenario.fixedRate > 0 ? scenario.fixedRate : scenario.capacityRate(at: time)
      let whole = scenario.capacityRate(at: time) * scenario.capacity.at(time)
      sum += min(unit * scenario.load.at(time), whole)
      count += 1
      time += 0.1
    }
    // What the oracle of the reference simulator reaches, which waits for nothing.
    return 0.99 * sum / max(count, 1)
  }

  private func finishedRate(_ from: Double, _ length: Double) -> Double {
    var sum = 0.0
    for index in Int(from * 10)..<min(Int((from + length) * 10), buckets.count) {
      for priority in 0..<Self.classes { sum += buckets[index].finished[priority] }
    }
    return sum / length
  }

  private func shareServed(from: Double, length: Double, critical: Bool = false) -> Double {
    var offered = 0.0
    var served = 0.0
    for index in Int(from * 10)..<min(Int((from + length) * 10), buckets.count) {
      for priority in 0..<(critical ? 1 : Self.classes) {
        offered += buckets[index].offered[priority]
        served += buckets[index].served[priority]
      }
    }
    return offered > 0 ? served / offered : 1
  }
}
