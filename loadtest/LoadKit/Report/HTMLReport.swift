/// A report as one page without any outside resource: tables, and plots as SVG.
///
/// Names in it come from scenarios and targets, so every text is escaped. Colours follow the
/// reader's light or dark setting, and print on white; each plot has a name and a sentence for
/// those who do not see it.
public struct HTMLReport {
  private let report: RunReport

  public init(_ report: RunReport) { self.report = report }

  /// The whole page.
  public var text: String { Self.page(report.name, content) }

  /// What stands on the page.
  var content: String {
    """
    \(heading)
    \(judgement)
    \(plots)
    \(tables)
    \(details)
    """
  }

  /// A page around some content, which is markup.
  static func page(_ title: String, _ content: String) -> String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>\(escaped(title))</title>
    <style>\(HTMLStyle.sheet)</style>
    </head>
    <body>
    <main>
    \(content)
    </main>
    </body>
    </html>

    """
  }

  // MARK: - Parts

  private var heading: String {
    let about = report.about.isEmpty ? "" : "<p>\(Self.escaped(report.about))</p>"
    let capacity =
      report.capacity > 0
      ? "Capacity <b>\(Decimal.text(report.capacity, digits: 0))/s</b>, "
        + "\(Self.escaped(report.capacitySource)). " : ""
    return """
      <header>
      <h1>\(Self.escaped(report.name))</h1>
      \(about)
      <p class="quiet">\(Self.escaped(report.target)), \(Self.escaped(report.arrivals)), seed \
      \(report.seed), \(Self.escaped(report.startedAt)). \(capacity)</p>
      </header>
      """
  }

  private var judgement: String {
    var text = ""
    if !report.problems.isEmpty {
      text += "<section class=\"bad box\"><h2>This run cannot be believed</h2><ul>"
      text += report.problems.map { "<li>\(Self.escaped($0))</li>" }.joined()
      text += "</ul></section>"
    }
    if !report.notes.isEmpty {
      text += "<section class=\"box\"><h2>Notes</h2><ul>"
      text += report.notes.map { "<li>\(Self.escaped($0))</li>" }.joined() + "</ul></section>"
    }
    guard !report.expectations.isEmpty else { return text }
    text += "<section><h2>Expectations</h2><table><thead><tr><th scope=\"col\">Expected</th>"
    text += "<th scope=\"col\">Found</th><th scope=\"col\">Met</th></tr></thead><tbody>"
    for item in report.expectations {
      text += "<tr><td>\(Self.escaped(item.text))</td><td>\(Self.escaped(item.found))</td>"
      text += item.isMet ? "<td class=\"good\">✓ yes</td></tr>" : "<td class=\"bad\">✗ no</td></tr>"
    }
    return text + "</tbody></table></section>"
  }

  private var plots: String {
    guard let first = report.series.first, !first.offered.isEmpty else { return "" }
    let marks = report.phases.map { PlotMark(at: $0.start, text: "\($0.name) \($0.load)") }
    func plot(
      _ title: String,
      _ unit: String,
      _ lines: [(String, [Double])],
      reference: Double? = nil
    ) -> String {
      TimePlot(
        title: title,
        unit: unit,
        interval: report.interval,
        lines: lines.map { PlotLine(name: $0.0, values: $0.1) },
        marks: marks,
        reference: reference
      ).svg
    }
    func perSecond(_ values: [UInt32]) -> [Double] { values.map { Double($0) / report.interval } }
    func sum(_ part: (RunReport.Series) -> [UInt32]) -> [Double] {
      report.series.dropFirst().reduce(perSecond(part(first))) { sum, series in
        zip(sum, perSecond(part(series))).map { $0 + $1 }
      }
    }
    let capacity = report.capacity > 0 ? report.capacity : nil
    var text = "<section><h2>Over time</h2><p class=\"quiet\">Each request counts at its intended "
    text += "send time.</p>"
    text += plot(
      "Offered and what became of it",
      "requests/s",
      [
        ("offered", sum(\.offered)), ("goodput", sum(\.good)), ("late", sum(\.late)),
        ("shed", sum(\.shed)), ("failed", sum(\.failed)), ("errors", sum(\.errors)),
      ].filter { $0.0 == "offered" || $0.1.contains { $0 > 0 } },
      reference: capacity
    )
    text += plot(
      "Success by class",
      "%",
      report.series.map { series in
        (
          series.name,
          zip(series.good, series.offered).map { $1 == 0 ? .nan : Double($0) * 100 / Double($1) }
        )
      }
    )
    text += plot(
      "Goodput by class",
      "requests/s",
      report.series.map { ($0.name, perSecond($0.good)) }
    )
    text += plot(
      "Offered by class",
      "requests/s",
      report.series.map { ($0.name, perSecond($0.offered)) }
    )
    let reasons = largestReasons
    if !reasons.isEmpty {
      text += plot(
        "Refused, failed and broken, by reason",
        "requests/s",
        reasons.map { reason in (reason, sum { $0.reasons[reason] ?? $0.offered.map { _ in 0 } }) }
      )
    }
    func served(_ values: [Double]) -> [Double] { values.map { $0 > 0 ? $0 : .nan } }
    text += plot(
      "Latency p50 of what was served",
      "ms",
      report.series.map { ($0.name, served($0.p50)) }
    )
    text += plot(
      "Latency p99 of what was served",
      "ms",
      report.series.map { ($0.name, served($0.p99)) }
    )
    return text + "</section>"
  }

  /// As many reasons as a reader can tell apart.
  private var largestReasons: [String] {
    var sums: [String: UInt64] = [:]
    for series in report.series {
      for (reason, values) in series.reasons {
        sums[reason, default: 0] += values.reduce(0) { $0 + UInt64($1) }
      }
    }
    return sums.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(6).map(\.key)
  }

  private var tables: String {
    let columns = [
      "Class", "Offered", "Success", "Late", "Shed", "Failed", "Errors", "Attempts", "p50 ms",
      "p99 ms", "p99.9 ms", "Refusal p99 ms",
    ]
    var text = "<section><h2>Phases</h2>"
    for phase in report.phases {
      text += "<div class=\"scroll\"><table><caption>\(Self.escaped(phase.name)): "
      text +=
        "\(Self.escaped(phase.load)) for \(Decimal.text(phase.duration, digits: 1)) s, goodput "
      text +=
        "\(Decimal.text(Double(phase.all.good) / phase.duration, digits: 0))/s</caption><thead><tr>"
      text += columns.map { "<th scope=\"col\">\($0)</th>" }.joined() + "</tr></thead><tbody>"
      for figures in phase.classes + (phase.classes.count > 1 ? [phase.all] : []) {
        text += row(figures)
      }
      text += "</tbody></table></div>"
    }
    return text + "</section>"
  }

  private func row(_ figures: RunReport.ClassFigures) -> String {
    func share(_ count: UInt64) -> String {
      figures.offered == 0
        ? "-" : Decimal.text(Double(count) * 100 / Double(figures.offered), digits: 2) + " %"
    }
    // No answer takes no time: there was none.
    func time(_ value: Double) -> String { value > 0 ? Decimal.text(value, digits: 2) : "-" }
    let cells = [
      "\(figures.offered)", share(figures.good), share(figures.late), share(figures.shed),
      share(figures.failed), share(figures.errors), "\(figures.attempts)",
      time(figures.latency.p50), time(figures.latency.p99), time(figures.latency.p999),
      time(figures.refusalP99),
    ]
    return "<tr><th scope=\"row\">\(Self.escaped(figures.name))</th>"
      + cells.map { "<td class=\"number\">\($0)</td>" }.joined() + "</tr>"
  }

  private var details: String {
    let harness = report.harness
    var rows: [(String, String)] = [
      (
        "Own lag p50, p99, maximum",
        [harness.lagP50, harness.lagP99, harness.lagMaximum]
          .map { Decimal.text($0, digits: 3) }.joined(separator: ", ") + " ms"
      ),
      ("Connects, failed", "\(harness.connects), \(harness.connectFailures)"),
      ("Most connections at once", "\(harness.mostConnections)"),
      ("Requests that waited for a connection", "\(harness.waited)"),
      ("Sent again on a fresh connection", "\(harness.resent)"),
      ("Connections spoilt by unasked bytes", "\(harness.unsolicited)"),
      ("Bytes received", "\(harness.bytesReceived)"),
      ("CPU time of the harness", Decimal.text(harness.processorTime, digits: 2) + " s"),
      ("Machine busy", Decimal.text(harness.machineBusy * 100, digits: 0) + " %"),
    ]
    for (name, value) in report.backend.sorted(by: { $0.key < $1.key }) {
      rows.append(
        ("Backend: \(name)", Decimal.text(value, digits: value == value.rounded() ? 0 : 6))
      )
    }
    let body = rows.map {
      "<tr><th scope=\"row\">\(Self.escaped($0.0))</th>"
        + "<td class=\"number\">\(Self.escaped($0.1))</td></tr>"
    }
    return
      "<section><h2>The harness itself</h2><table><tbody>\(body.joined())</tbody></table></section>"
  }

  /// Text that is no markup, whatever it holds.
  static func escaped(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      case "'": out += "&#39;"
      default: out.unicodeScalars.append(scalar.value < 0x20 ? " " : scalar)
      }
    }
    return out
  }
}
