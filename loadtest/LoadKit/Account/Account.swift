public import Units

/// What became of every request of a run, by class, phase, point in time and reason.
///
/// A request counts where it was *intended*: in the phase and the interval of its scheduled send
/// time, however late its end comes. So in each of them what was offered is the sum of what became
/// of it, and no slow target can move its failures to where they do not show.
public final class Account {
  /// Where a request counts.
  public struct Place: Sendable, BitwiseCopyable {
    public var phase: UInt16
    public var interval: UInt16
    public var priority: UInt8

    public init(phase: Int, interval: Int, priority: Int) {
      self.phase = UInt16(truncatingIfNeeded: phase)
      self.interval = UInt16(truncatingIfNeeded: interval)
      self.priority = UInt8(truncatingIfNeeded: priority)
    }
  }

  public let classes: Int
  public let phases: Int
  public let intervals: Int
  public private(set) var reasons = ReasonTable()
  /// Requests that have not ended yet.
  public private(set) var pending: Int64 = 0
  private var phaseCells: [PhaseCell]
  private var intervalCells: [IntervalCell]

  /// - Parameters:
  ///   - classes: At least 1.
  ///   - phases: At least 1.
  ///   - intervals: Points in time, at least 1.
  public init(classes: Int, phases: Int, intervals: Int) {
    precondition(classes > 0 && phases > 0 && intervals > 0, "unvalidated scenario")
    self.classes = classes
    self.phases = phases
    self.intervals = intervals
    phaseCells = (0..<classes * phases).map { _ in PhaseCell() }
    intervalCells = (0..<classes * intervals).map { _ in IntervalCell() }
  }

  // MARK: - Counting

  public func offered(_ place: Place) {
    pending += 1
    phaseCells[phaseIndex(place)].tally.offered += 1
    intervalCells[intervalIndex(place)].offered += 1
  }

  /// One sending of a request, the first or a retry.
  public func attempted(_ place: Place) {
    phaseCells[phaseIndex(place)].tally.attempts += 1
    intervalCells[intervalIndex(place)].attempts += 1
  }

  /// What one attempt came to; the last one's is the request's own.
  public func attemptEnded(_ place: Place, reason: Int) {
    phaseCells[phaseIndex(place)].tally.attemptCounts[reason] += 1
  }

  /// The end of a request.
  ///
  /// `latency`: From the intended send time to the end of the answer.
  public func ended(_ place: Place, reason: Int, latency: Nanoseconds) {
    pending -= 1
    let phase = phaseCells[phaseIndex(place)]
    let interval = intervalCells[intervalIndex(place)]
    phase.tally.counts[reason] += 1
    interval.counts[reason] += 1
    switch reason {
    case ReasonTable.good, ReasonTable.late:
      phase.served.record(latency.rawValue)
      interval.latencies.record(latency.rawValue)
    default:
      if reasons.entries[reason].outcome == .shed { phase.refused.record(latency.rawValue) }
    }
  }

  public func place(of reason: ErrorReason) -> Int { reasons.place(of: reason) }

  public func place(of outcome: Outcome, word: UnsafeBufferPointer<UInt8>) -> Int {
    reasons.place(of: outcome, word: word)
  }

  public func place(of outcome: Outcome, status: UInt16) -> Int {
    reasons.place(of: outcome, status: status)
  }

  // MARK: - Reading

  /// The counts of a class in some phases; of all classes together for `nil`.
  public func tally(priority: Int?, phases: some Sequence<Int>) -> Tally {
    var sum = Tally()
    for phase in phases {
      for place in priority.map({ $0..<$0 + 1 }) ?? 0..<classes {
        sum.add(phaseCells[phase * classes + place].tally)
      }
    }
    return sum
  }

  /// Latencies of what was served, in time or late.
  public func served(priority: Int?, phases: some Sequence<Int>) -> Histogram {
    merged(priority, phases, digits: 3) { $0.served }
  }

  /// How long refusals took.
  public func refused(priority: Int?, phases: some Sequence<Int>) -> Histogram {
    merged(priority, phases, digits: 2) { $0.refused }
  }

  public func interval(_ index: Int, priority: Int) -> IntervalCell {
    intervalCells[index * classes + priority]
  }

  /// The number of requests of an outcome.
  public func count(_ outcome: Outcome, in counts: [UInt64]) -> UInt64 {
    var sum: UInt64 = 0
    for (place, entry) in reasons.entries.enumerated() where entry.outcome == outcome {
      sum += counts[place]
    }
    return sum
  }

  private func merged(
    _ priority: Int?,
    _ phases: some Sequence<Int>,
    digits: Int,
    _ part: (PhaseCell) -> Histogram
  ) -> Histogram {
    let sum = Histogram(significantDigits: digits)
    for phase in phases {
      for place in priority.map({ $0..<$0 + 1 }) ?? 0..<classes {
        sum.merge(part(phaseCells[phase * classes + place]))
      }
    }
    return sum
  }

  private func phaseIndex(_ place: Place) -> Int {
    min(Int(place.phase), phases - 1) * classes + Int(place.priority)
  }

  private func intervalIndex(_ place: Place) -> Int {
    min(Int(place.interval), intervals - 1) * classes + Int(place.priority)
  }
}

/// Counts of requests; `counts` goes by the places of a `ReasonTable`.
public struct Tally: Sendable {
  public var offered: UInt64 = 0
  public var attempts: UInt64 = 0
  /// Requests by how they ended.
  public var counts = [UInt64](repeating: 0, count: ReasonTable.capacity)
  /// Attempts by how they ended.
  public var attemptCounts = [UInt64](repeating: 0, count: ReasonTable.capacity)

  public init() {}

  public mutating func add(_ other: Tally) {
    offered += other.offered
    attempts += other.attempts
    for place in counts.indices {
      counts[place] += other.counts[place]
      attemptCounts[place] += other.attemptCounts[place]
    }
  }
}

/// One class in one phase.
final class PhaseCell {
  var tally = Tally()
  let served = Histogram(significantDigits: 3)
  let refused = Histogram(significantDigits: 2)
}

/// One class in one interval.
public final class IntervalCell {
  public internal(set) var offered: UInt32 = 0
  public internal(set) var attempts: UInt32 = 0
  /// Requests by how they ended.
  public internal(set) var counts = [UInt32](repeating: 0, count: ReasonTable.capacity)
  /// Of what was served.
  public let latencies = Histogram(significantDigits: 2)
}
