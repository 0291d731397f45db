internal import Glibc

/// One line of a plot; what is no number is a gap.
struct PlotLine {
  var name: String
  var values: [Double]
}

/// A moment with a name, such as the start of a phase.
struct PlotMark {
  /// Seconds.
  var at: Double
  var text: String
}

/// Lines over time as SVG.
struct TimePlot {
  var title: String
  var unit: String
  /// Seconds between two values.
  var interval: Double
  var lines: [PlotLine]
  var marks: [PlotMark] = []
  /// A level to compare with, such as the capacity.
  var reference: Double?

  private static let width = 960.0
  private static let height = 260.0
  private static let left = 64.0
  private static let right = 12.0
  private static let top = 24.0
  private static let bottom = 52.0

  private var count: Int { lines.map(\.values.count).max() ?? 0 }
  private var span: Double { max(Double(count) * interval, interval) }
  private var most: Double {
    let values = lines.flatMap(\.values).filter(\.isFinite)
    return max(values.max() ?? 0, reference ?? 0)
  }

  /// The figure with caption, drawing and legend.
  var svg: String {
    let ceiling = Self.ceiling(most)
    var body = ""
    for tick in 0...4 { body += gridLine(ceiling * Double(tick) / 4, ceiling) }
    body += marks.enumerated().map { markLine($0.offset, $0.element) }.joined()
    if let reference {
      let y = Self.number(y(reference, ceiling))
      body += "<line class=\"reference\" x1=\"\(Self.number(Self.left))\" x2=\""
      body += "\(Self.number(Self.width - Self.right))\" y1=\"\(y)\" y2=\"\(y)\"/>"
    }
    for (index, line) in lines.enumerated() {
      body += "<path class=\"curve s\(index % 6)\" d=\"\(path(line.values, ceiling))\"/>"
    }
    body += timeAxis + legend
    let name = HTMLReport.escaped("\(title), in \(unit)")
    return """
      <figure><figcaption>\(name)</figcaption>
      <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" \
      aria-label="\(name). \(HTMLReport.escaped(summary))">
      <title>\(name)</title>\(body)</svg></figure>
      """
  }

  /// The plot in a sentence.
  private var summary: String {
    lines.map { line in
      let values = line.values.filter(\.isFinite)
      guard let low = values.min(), let high = values.max() else { return "\(line.name): nothing" }
      return "\(line.name): \(Self.short(low)) to \(Self.short(high)) \(unit)"
    }.joined(separator: "; ")
  }

  // MARK: - Parts

  private func gridLine(_ value: Double, _ ceiling: Double) -> String {
    let place = y(value, ceiling)
    let label = Self.short(value)
    return "<line class=\"grid\" x1=\"\(Self.number(Self.left))\" x2=\""
      + "\(Self.number(Self.width - Self.right))\" y1=\"\(Self.number(place))\" "
      + "y2=\"\(Self.number(place))\"/><text text-anchor=\"end\" x=\""
      + "\(Self.number(Self.left - 8))\" y=\"\(Self.number(place + 4))\">\(label)</text>"
  }

  private func markLine(_ index: Int, _ mark: PlotMark) -> String {
    let place = x(mark.at)
    let line =
      "<line class=\"mark\" x1=\"\(Self.number(place))\" x2=\"\(Self.number(place))\" y1=\""
      + "\(Self.number(Self.top - 8))\" y2=\"\(Self.number(Self.height - Self.bottom))\"/>"
    // A name that would run into the next one is left out; the tables have them all.
    let next = index + 1 < marks.count ? x(marks[index + 1].at) : Self.width
    guard Double(mark.text.count) * 6.5 + 8 < next - place else { return line }
    return line + "<text x=\"\(Self.number(place + 4))\" y=\"\(Self.number(Self.top - 10))\">"
      + "\(HTMLReport.escaped(mark.text))</text>"
  }

  private var timeAxis: String {
    let step = Self.timeStep(span)
    return (0...Int(span / step)).map { tick in
      let time = Double(tick) * step
      // The last one would run out of the drawing.
      let anchor = span - time < span / 40 ? "end" : "middle"
      return "<text text-anchor=\"\(anchor)\" x=\"\(Self.number(x(time)))\" y=\""
        + "\(Self.number(Self.height - Self.bottom + 18))\">\(Self.short(time)) s</text>"
    }.joined()
  }

  /// Seconds between two labels of the time axis: round ones, and at most nine labels.
  static func timeStep(_ span: Double) -> Double {
    let steps: [Double] = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600]
    return steps.first { span / $0 <= 8 } ?? (span / 8 / 3_600).rounded(.up) * 3_600
  }

  private var legend: String {
    var place = Self.left
    let y = Self.height - 10
    var text = ""
    func entry(_ name: String, _ style: String) {
      text += "<line class=\"\(style)\" x1=\"\(Self.number(place))\" x2=\""
      text +=
        "\(Self.number(place + 26))\" y1=\"\(Self.number(y - 4))\" y2=\"\(Self.number(y - 4))\"/>"
      text += "<text x=\"\(Self.number(place + 32))\" y=\"\(Self.number(y))\">"
      text += "\(HTMLReport.escaped(name))</text>"
      place += 56 + Double(name.count) * 7
    }
    for (index, line) in lines.enumerated() { entry(line.name, "curve s\(index % 6)") }
    if reference != nil { entry("capacity", "reference") }
    return text
  }

  private func path(_ values: [Double], _ ceiling: Double) -> String {
    var text = ""
    var isDown = false
    for (index, value) in values.enumerated() {
      guard value.isFinite else {
        isDown = false
        continue
      }
      // A value stands for its whole interval and is drawn in its middle.
      let place = x((Double(index) + 0.5) * interval)
      text += "\(isDown ? "L" : "M")\(Self.number(place)) \(Self.number(y(value, ceiling)))"
      // A single point between gaps would be a line without length.
      let isLone = !isDown && (index + 1 >= values.count || !values[index + 1].isFinite)
      if isLone { text += "h2" }
      isDown = true
    }
    return text
  }

  // MARK: - Scales

  private func x(_ seconds: Double) -> Double {
    Self.left + (Self.width - Self.left - Self.right) * min(max(seconds / span, 0), 1)
  }

  private func y(_ value: Double, _ ceiling: Double) -> Double {
    let room = Self.height - Self.top - Self.bottom
    return Self.top + room * (1 - min(max(value / ceiling, 0), 1))
  }

  /// The next of 1, 2, 4, 5, 8, 10 times a power of ten.
  static func ceiling(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 1 }
    let unit = pow(10, floor(log10(value)))
    let steps: [Double] = [1, 2, 4, 5, 8, 10]
    return (steps.first { $0 * unit >= value * 0.999 } ?? 10) * unit
  }

  private static func number(_ value: Double) -> String { Decimal.text(value, digits: 1) }

  private static func short(_ value: Double) -> String {
    var text = Decimal.text(value, digits: abs(value) < 10 ? 2 : abs(value) < 100 ? 1 : 0)
    guard text.contains(".") else { return text }
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }
}
