/// Several scenarios before several peers, side by side.
public struct SuiteReport: Codable, Sendable {
  public struct Entry: Codable, Sendable {
    /// What stood between the callers and the service.
    public var peer: String
    /// What it says of itself.
    public var version: String
    public var scenario: String
    /// Absent where the run could not begin; `trouble` says why.
    public var report: RunReport?
    public var trouble: String

    public init(
      peer: String,
      version: String,
      scenario: String,
      report: RunReport?,
      trouble: String = ""
    ) {
      self.peer = peer
      self.version = version
      self.scenario = scenario
      self.report = report
      self.trouble = trouble
    }

    public enum Verdict: String, Sendable {
      case passed, failed, invalid, absent
    }

    public var verdict: Verdict {
      guard let report else { return .absent }
      if !report.problems.isEmpty { return .invalid }
      return report.isPassed ? .passed : .failed
    }
  }

  public var entries: [Entry]
  /// Peers that are not installed, and why.
  public var skipped: [String]

  public init(entries: [Entry] = [], skipped: [String] = []) {
    self.entries = entries
    self.skipped = skipped
  }

  /// The heaviest phase of a run: what an overload is judged by.
  static func heaviest(_ report: RunReport) -> RunReport.PhaseFigures? {
    report.phases.filter { $0.name != "unloaded" }.max {
      Double($0.all.offered) / $0.duration < Double($1.all.offered) / $1.duration
    }
  }

  /// Columns behind scenario, peer and verdict.
  static let columns = [
    "offered/s", "goodput/s", "of capacity", "first class", "its p99 ms", "unmet",
  ]

  /// The figures of an entry, in its heaviest phase.
  static func cells(_ entry: Entry) -> [String] {
    guard let report = entry.report, let phase = heaviest(report), let first = phase.classes.first
    else { return columns.map { _ in "-" } }
    let goodput = Double(phase.all.good) / phase.duration
    let unmet = report.expectations.filter { !$0.isMet }.count
    return [
      Decimal.text(Double(phase.all.offered) / phase.duration, digits: 0),
      Decimal.text(goodput, digits: 0),
      report.capacity > 0 ? Decimal.text(goodput * 100 / report.capacity, digits: 1) + " %" : "-",
      first.offered > 0 ? Decimal.text(first.success * 100, digits: 2) + " %" : "-",
      first.latency.p99 > 0 ? Decimal.text(first.latency.p99, digits: 1) : "-",
      "\(unmet) of \(report.expectations.count)",
    ]
  }

  // MARK: - For a terminal

  public var text: String {
    var lines = [Self.line("scenario", "before", "verdict", Self.columns)]
    for entry in entries {
      lines.append(
        Self.line(entry.scenario, entry.peer, entry.verdict.rawValue, Self.cells(entry))
      )
      if !entry.trouble.isEmpty { lines.append("    \(entry.trouble)") }
      for item in entry.report?.expectations ?? [] where !item.isMet {
        lines.append("    unmet: \(item.text)   (\(item.found))")
      }
      lines += (entry.report?.problems ?? []).map { "    invalid: \($0)" }
    }
    lines += skipped.map { "skipped: \($0)" }
    return lines.joined(separator: "\n")
  }

  private static func line(
    _ scenario: String,
    _ peer: String,
    _ verdict: String,
    _ cells: [String]
  ) -> String {
    func left(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.count))
    }
    return left(scenario, 16) + left(peer, 11) + left(verdict, 9)
      + cells.map { String(repeating: " ", count: max(1, 13 - $0.count)) + $0 }.joined()
  }

  // MARK: - For a browser

  /// One page: the table, then every run as its own report has it.
  public var html: String {
    var text = "<header><h1>Load suite</h1><p class=\"quiet\">Figures are those of each run's "
    text +=
      "heaviest phase: of the first class, which is the most important one, its success.</p></header>"
    text += "<div class=\"scroll\"><table><thead><tr>"
    text += (["Scenario", "Before", "Verdict"] + Self.columns)
      .map { "<th scope=\"col\">\($0)</th>" }.joined()
    text += "</tr></thead><tbody>"
    for (index, entry) in entries.enumerated() {
      let style = entry.verdict == .passed ? "good" : "bad"
      text += "<tr><th scope=\"row\"><a href=\"#run-\(index)\">"
      text += "\(HTMLReport.escaped(entry.scenario))</a></th>"
      text += "<td>\(HTMLReport.escaped(entry.peer))</td>"
      text += "<td class=\"\(style)\">\(entry.verdict.rawValue)</td>"
      text += Self.cells(entry).map { "<td class=\"number\">\($0)</td>" }.joined() + "</tr>"
    }
    text += "</tbody></table></div>"
    if !skipped.isEmpty {
      text += "<p class=\"quiet\">Skipped: "
      text += "\(HTMLReport.escaped(skipped.joined(separator: "; "))).</p>"
    }
    for (index, entry) in entries.enumerated() {
      text += "<article id=\"run-\(index)\"><p class=\"quiet before\">"
      let version = entry.version.isEmpty ? entry.peer : entry.version
      text += "Before: \(HTMLReport.escaped(version))</p>"
      if let report = entry.report {
        text += HTMLReport(report).content
      } else {
        text += "<h1>\(HTMLReport.escaped(entry.scenario))</h1>"
        text += "<section class=\"bad box\"><p>\(HTMLReport.escaped(entry.trouble))</p></section>"
      }
      text += "</article>"
    }
    return HTMLReport.page("Load suite", text)
  }
}
