internal import Units

/// What an expectation is judged by.
public protocol Measured {
  /// The sum of a class in a phase, of all classes or of all phases but the calm one for `nil`.
  func figures(priority: Int?, phase: Int?) -> Figures
  /// The same of the calm stretch, where there was one.
  func unloaded(priority: Int?) -> Figures?
  /// Requests per second.
  var capacity: Double { get }
  /// A counter of the simulated services over the run; `nil` where there is none of that name.
  func backend(_ counter: String) -> Double?
}

/// The measures of a class in a phase.
public struct Figures {
  public var offered: Double
  public var attempts: Double
  public var success: Double
  public var late: Double
  public var shed: Double
  public var failed: Double
  public var errors: Double
  /// In seconds.
  public var duration: Double
  public var latencies: Histogram

  public init(
    offered: Double,
    attempts: Double,
    success: Double,
    late: Double,
    shed: Double,
    failed: Double,
    errors: Double,
    duration: Double,
    latencies: Histogram
  ) {
    self.offered = offered
    self.attempts = attempts
    self.success = success
    self.late = late
    self.shed = shed
    self.failed = failed
    self.errors = errors
    self.duration = duration
    self.latencies = latencies
  }

  fileprivate func count(of share: Expectation.Share) -> Double {
    switch share {
    case .success: success
    case .late: late
    case .shed: shed
    case .failed: failed
    case .errors: errors
    }
  }

  fileprivate func count(of rate: Expectation.Rate) -> Double {
    switch rate {
    case .goodput: success
    case .offered: offered
    case .attempts: attempts
    }
  }
}

/// Whether an expectation was met, and by how much.
public struct Verdict: Equatable, Sendable {
  public var text: String
  public var isMet: Bool
  /// What was found, in the unit of the bound; why there is nothing to judge otherwise.
  public var found: String
}

extension Expectation {
  /// Judges the expectation; what cannot be measured is not met.
  public func judge(by measured: some Measured) -> Verdict {
    let figures = measured.figures(priority: priority, phase: phase)
    switch (measure, bound) {
    case (.share(let share), .percent(let wanted)):
      guard figures.offered > 0 else { return unmet("nothing was offered") }
      let found = figures.count(of: share) * 100 / figures.offered
      return verdict(found, wanted, Self.percent(found))
    case (.share(let share), .count(let wanted)):
      let found = figures.count(of: share)
      return verdict(found, wanted, "\(Int64(found))")
    case (.rate(let rate), .perSecond(let wanted)):
      let found = figures.count(of: rate) / figures.duration
      return verdict(found, wanted, Decimal.text(found, digits: 1) + "/s")
    case (.rate(let rate), .percentOfCapacity(let wanted)):
      guard measured.capacity > 0 else { return unmet("the capacity is not known") }
      let found = figures.count(of: rate) * 100 / (figures.duration * measured.capacity)
      return verdict(found, wanted, Self.percent(found) + " of capacity")
    case (.backend(let name), let bound):
      guard let found = measured.backend(name) else {
        return unmet("no backend has counted \(name)")
      }
      // What services count begins with the calm stretch.
      let calm = measured.unloaded(priority: nil)?.offered ?? 0
      return judge(found, bound, figures.offered + calm, measured.capacity)
    case (_, .duration(let wanted)):
      guard let found = latency(figures) else { return unmet("nothing was served") }
      return verdict(found, Double(wanted.rawValue), Self.milliseconds(found))
    case (_, .timesUnloaded(let wanted)):
      guard let found = latency(figures) else { return unmet("nothing was served") }
      guard let calm = measured.unloaded(priority: priority), let base = latency(calm), base > 0
      else { return unmet("nothing was served in the calm stretch") }
      return verdict(
        found / base,
        wanted,
        "\(Decimal.text(found / base, digits: 2)) x unloaded "
          + "(\(Self.milliseconds(found)), \(Self.milliseconds(base)) unloaded)"
      )
    case (.share, _), (.rate, _), (.percentile, _), (.mean, _):
      // The parser lets no other pair through.
      return unmet("cannot be compared")
    }
  }

  private func judge(
    _ counted: Double,
    _ bound: Bound,
    _ offered: Double,
    _ capacity: Double
  ) -> Verdict {
    switch bound {
    case .percentOfCapacity(let wanted):
      guard capacity > 0 else { return unmet("the capacity is not known") }
      let found = counted * 100 / capacity
      return verdict(found, wanted, Self.percent(found) + " of capacity")
    case .percentOfOffered(let wanted):
      guard offered > 0 else { return unmet("nothing was offered") }
      let found = counted * 100 / offered
      return verdict(found, wanted, Self.percent(found) + " of offered")
    case .count(let wanted): return verdict(counted, wanted, "\(Int64(counted))")
    // The parser lets no other one through.
    case .percent, .perSecond, .duration, .timesUnloaded: return unmet("cannot be compared")
    }
  }

  private func latency(_ figures: Figures) -> Double? {
    guard figures.latencies.count > 0 else { return nil }
    if case .percentile(let percentage) = measure {
      return Double(figures.latencies.percentile(percentage))
    }
    return figures.latencies.mean
  }

  private func verdict(_ found: Double, _ wanted: Double, _ text: String) -> Verdict {
    let isMet =
      switch comparison {
      case .atLeast: found >= wanted
      case .atMost: found <= wanted
      case .equal: found == wanted
      case .above: found > wanted
      case .below: found < wanted
      }
    return Verdict(text: self.text, isMet: isMet, found: text)
  }

  private func unmet(_ why: String) -> Verdict { Verdict(text: text, isMet: false, found: why) }

  private static func percent(_ percentage: Double) -> String {
    Decimal.text(percentage, digits: 3) + " %"
  }

  private static func milliseconds(_ nanoseconds: Double) -> String {
    Decimal.text(nanoseconds / 1e6, digits: 2) + " ms"
  }
}
