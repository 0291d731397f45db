/// A report for a terminal or a log.
public struct TextReport {
  private let report: RunReport

  public init(_ report: RunReport) { self.report = report }

  public var text: String {
    var lines: [String] = []
    for phase in report.phases {
      lines.append("")
      lines.append(
        "\(phase.name): \(phase.load) for \(Decimal.text(phase.duration, digits: 1)) s"
      )
      lines.append(Self.row("class", Self.columns))
      for figures in phase.classes + (phase.classes.count > 1 ? [phase.all] : []) {
        lines.append(row(figures, phase.duration))
      }
      let reasons = phase.all.reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      if !reasons.isEmpty {
        lines.append("  " + reasons.map { "\($0.key): \($0.value)" }.joined(separator: ", "))
      }
    }
    lines.append("")
    if report.capacity > 0 {
      lines.append(
        "capacity \(Decimal.text(report.capacity, digits: 0))/s, \(report.capacitySource)"
      )
    }
    let harness = report.harness
    lines.append(
      "own lag p99 \(Decimal.text(harness.lagP99, digits: 3)) ms, maximum "
        + "\(Decimal.text(harness.lagMaximum, digits: 3)) ms; "
        + "\(harness.connects) connects, at most \(harness.mostConnections) connections; "
        + "\(Decimal.text(harness.processorTime, digits: 2)) s of CPU"
    )
    if !report.backend.isEmpty {
      let names = ["received", "served", "refused", "failed", "reset", "abandoned", "wasted"]
      let parts = names.compactMap { name in
        report.backend[name].map { "\(name) \(Decimal.text($0, digits: 0))" }
      }
      lines.append("backend: " + parts.joined(separator: ", "))
    }
    lines += report.notes.map { "note: \($0)" }
    for expectation in report.expectations {
      lines.append(
        "\(expectation.isMet ? "met  " : "UNMET") \(expectation.text)   (\(expectation.found))"
      )
    }
    lines += report.problems.map { "INVALID: \($0)" }
    return lines.joined(separator: "\n")
  }

  private static let columns = [
    "offered/s", "goodput/s", "success", "late", "shed", "failed", "errors", "p50 ms", "p99 ms",
  ]

  private func row(_ figures: RunReport.ClassFigures, _ duration: Double) -> String {
    func percent(_ count: UInt64) -> String {
      figures.offered == 0
        ? "-" : Decimal.text(Double(count) * 100 / Double(figures.offered), digits: 2) + "%"
    }
    // No answer takes no time: there was none.
    func time(_ value: Double) -> String { value > 0 ? Decimal.text(value, digits: 2) : "-" }
    return Self.row(
      figures.name,
      [
        Decimal.text(Double(figures.offered) / duration, digits: 0),
        Decimal.text(Double(figures.good) / duration, digits: 0),
        percent(figures.good), percent(figures.late), percent(figures.shed),
        percent(figures.failed), percent(figures.errors),
        time(figures.latency.p50), time(figures.latency.p99),
      ]
    )
  }

  /// Columns of a table: the first one to the left, numbers to the right.
  public static func row(_ name: String, _ cells: [String]) -> String {
    let first = name.count < 14 ? name + String(repeating: " ", count: 14 - name.count) : name
    return "  " + first
      + cells.map { String(repeating: " ", count: max(1, 10 - $0.count)) + $0 }.joined()
  }
}
