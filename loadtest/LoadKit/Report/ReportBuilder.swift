public import Units

/// Makes a report of what was counted.
public struct ReportBuilder: Measured {
  private let scenario: Scenario
  private let account: Account
  public let capacity: Double
  private let counters: [String: Double]

  /// - Parameters:
  ///   - scenario: What was run.
  ///   - account: What came of it; nothing in it is pending.
  ///   - capacity: Requests per second, 0 when it is not known.
  ///   - counters: Of the simulated services over the run, by name.
  public init(
    _ scenario: Scenario,
    _ account: Account,
    capacity: Double,
    counters: [String: Double] = [:]
  ) {
    self.scenario = scenario
    self.account = account
    self.capacity = capacity
    self.counters = counters
  }

  // MARK: - Measured

  private var calmPhases: Int { scenario.unloaded == nil ? 0 : 1 }

  public func figures(priority: Int?, phase: Int?) -> Figures {
    let phases = phase.map { $0 + calmPhases..<$0 + calmPhases + 1 } ?? calmPhases..<account.phases
    return figures(priority, phases)
  }

  public func backend(_ counter: String) -> Double? { counters[counter] }

  public func unloaded(priority: Int?) -> Figures? {
    scenario.unloaded == nil ? nil : figures(priority, 0..<1)
  }

  private func figures(_ priority: Int?, _ phases: Range<Int>) -> Figures {
    let tally = account.tally(priority: priority, phases: phases)
    func count(_ outcome: Outcome) -> Double { Double(account.count(outcome, in: tally.counts)) }
    return Figures(
      offered: Double(tally.offered),
      attempts: Double(tally.attempts),
      success: count(.good),
      late: count(.late),
      shed: count(.shed),
      failed: count(.failed),
      errors: count(.error),
      duration: scenario.stretches[phases].reduce(0) { $0 + $1.duration.seconds },
      latencies: account.served(priority: priority, phases: phases)
    )
  }

  // MARK: - Parts of the report

  public var judgements: [RunReport.Judgement] {
    scenario.expectations.map { expectation in
      let verdict = expectation.judge(by: self)
      return RunReport.Judgement(
        text: verdict.text,
        isMet: verdict.isMet,
        found: verdict.found
      )
    }
  }

  public var phases: [RunReport.PhaseFigures] {
    var start = 0.0
    return scenario.stretches.enumerated().map { index, phase in
      defer { start += phase.duration.seconds }
      return RunReport.PhaseFigures(
        name: phase.name,
        load: Self.text(phase.load),
        start: start,
        duration: phase.duration.seconds,
        classes: scenario.classes.indices.map { classFigures($0, index) },
        all: classFigures(nil, index)
      )
    }
  }

  private func classFigures(_ priority: Int?, _ phase: Int) -> RunReport.ClassFigures {
    let phases = phase..<phase + 1
    let tally = account.tally(priority: priority, phases: phases)
    let refused = account.refused(priority: priority, phases: phases)
    return RunReport.ClassFigures(
      name: priority.map { scenario.classes[$0] } ?? "all",
      offered: tally.offered,
      attempts: tally.attempts,
      good: account.count(.good, in: tally.counts),
      late: account.count(.late, in: tally.counts),
      shed: account.count(.shed, in: tally.counts),
      failed: account.count(.failed, in: tally.counts),
      errors: account.count(.error, in: tally.counts),
      reasons: reasons(tally.counts),
      latency: Self.latencies(account.served(priority: priority, phases: phases)),
      refusalP99: Double(refused.percentile(99)) / 1e6
    )
  }

  private func reasons(_ counts: [UInt64]) -> [String: UInt64] {
    var named: [String: UInt64] = [:]
    for (place, entry) in account.reasons.entries.enumerated()
    where counts[place] > 0 && !entry.name.isEmpty {
      named["\(entry.outcome.name) \(entry.name)"] = counts[place]
    }
    return named
  }

  static func latencies(_ histogram: Histogram) -> RunReport.Latencies {
    func milliseconds(_ percentage: Double) -> Double {
      Double(histogram.percentile(percentage)) / 1e6
    }
    return RunReport.Latencies(
      p50: milliseconds(50),
      p90: milliseconds(90),
      p99: milliseconds(99),
      p999: milliseconds(99.9),
      maximum: Double(histogram.maximum) / 1e6,
      mean: histogram.mean / 1e6
    )
  }

  public var series: [RunReport.Series] {
    scenario.classes.indices.map { priority in
      let cells = (0..<account.intervals).map { account.interval($0, priority: priority) }
      func counts(_ outcome: Outcome) -> [UInt32] {
        cells.map {
          UInt32(truncatingIfNeeded: account.count(outcome, in: $0.counts.map(UInt64.init)))
        }
      }
      var reasons: [String: [UInt32]] = [:]
      for (place, entry) in account.reasons.entries.enumerated() where !entry.name.isEmpty {
        let values = cells.map { $0.counts[place] }
        if values.contains(where: { $0 > 0 }) {
          reasons["\(entry.outcome.name) \(entry.name)"] = values
        }
      }
      return RunReport.Series(
        name: scenario.classes[priority],
        offered: cells.map(\.offered),
        attempts: cells.map(\.attempts),
        good: counts(.good),
        late: counts(.late),
        shed: counts(.shed),
        failed: counts(.failed),
        errors: counts(.error),
        p50: cells.map { Double($0.latencies.percentile(50)) / 1e6 },
        p99: cells.map { Double($0.latencies.percentile(99)) / 1e6 },
        reasons: reasons
      )
    }
  }

  /// Why nothing of this can be believed, as far as the counts and the lag tell.
  ///
  /// `lagP99`: Of the harness's own sends.
  public func problems(lagP99: Nanoseconds) -> [String] {
    var problems: [String] = []
    if lagP99 > scenario.maximumLag {
      problems.append(
        "the harness sent late: p99 \(Decimal.text(lagP99.milliseconds, digits: 2)) ms after its "
          + "schedule, \(Decimal.text(scenario.maximumLag.milliseconds, digits: 2)) ms are allowed"
      )
    }
    let tally = account.tally(priority: nil, phases: 0..<account.phases)
    for reason in ErrorReason.allCases where reason.isOurs {
      let count = tally.counts[account.place(of: reason)]
      let share = Double(count) / Double(max(tally.offered, 1))
      guard count > 0, share > Self.tolerated || reason == .stopped else { continue }
      let percent = Decimal.text(share * 100, digits: 2)
      switch reason {
      case .noConnection:
        problems.append(
          "\(count) requests (\(percent) %) could not be sent: all "
            + "\(scenario.connections.most) connections were busy; raise connections"
        )
      case .noRoom:
        problems.append("\(count) requests (\(percent) %) were more than the harness can follow")
      case .harnessLate:
        problems.append("\(count) requests (\(percent) %) were due while the harness was too late")
      default: problems.append("the run was stopped, with \(count) requests under way")
      }
    }
    if tally.offered == 0 { problems.append("nothing was sent") }
    return problems
  }

  /// Requests that the harness may fail to send before a run says nothing.
  private static let tolerated = 0.0005

  static func text(_ load: Phase.Load) -> String {
    switch load {
    case .multiple(let factor): plain(factor) + "x"
    case .perSecond(let rate): plain(rate) + "/s"
    }
  }

  private static func plain(_ value: Double) -> String {
    var text = Decimal.text(value, digits: 3)
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }
}
