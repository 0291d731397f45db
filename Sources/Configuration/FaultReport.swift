/// Faults with the lines they stand in, as compilers show them.
///
/// The file may be anything, so nothing of it reaches the terminal as it is: lines are cut to a
/// window around the fault, and what could steer a terminal is shown as a picture of itself.
public struct FaultReport {
  /// Faults that are shown; a file of another kind can have one for each line.
  static let maximumFaults = 200
  /// Characters of a line around its fault.
  static let window = 120
  /// Characters of a path or a message, which may quote the file.
  static let maximumQuote = 400

  private let error: ConfigurationError
  private let bold: String
  private let red: String
  private let plain: String

  /// `isColoured`: For a terminal, and not for a file or a pipe.
  public init(_ error: ConfigurationError, isColoured: Bool) {
    self.error = error
    (bold, red, plain) = isColoured ? ("\u{1B}[1m", "\u{1B}[31m", "\u{1B}[0m") : ("", "", "")
  }

  /// The whole report, ending with a newline.
  public var text: String {
    let file = Self.visible(error.file.unicodeScalars)
    var output = error.problem.map { "\(file): \(Self.quote($0))\n" } ?? ""
    let lines = Self.lines(of: error.text)
    for fault in error.faults.prefix(Self.maximumFaults) {
      output += "\(bold)\(file):\(fault.line):\(fault.column):\(plain) "
      output += fault.path.isEmpty ? "" : "\(bold)\(Self.quote(fault.path))\(plain): "
      output += "\(Self.quote(fault.message))\n"
      guard lines.indices.contains(fault.line - 1) else { continue }
      output += excerpt(of: lines[fault.line - 1], column: fault.column)
    }
    let more = error.faults.count - Self.maximumFaults
    if more > 0 { output += "and \(more) more\n" }
    if error.faults.count > 1 { output += "\(error.faults.count) faults\n" }
    return output
  }

  private func excerpt(of line: Substring.UnicodeScalarView, column: Int) -> String {
    let place = max(0, column - 1)
    let start = max(0, place - Self.window / 2)
    let rest = line.dropFirst(start)
    let shown = rest.prefix(Self.window)
    let before = start > 0 ? "…" : ""
    let after = shown.endIndex < rest.endIndex ? "…" : ""
    let blanks = String(repeating: " ", count: place - start + before.unicodeScalars.count)
    return "  \(before)\(Self.visible(shown))\(after)\n  \(blanks)\(red)^\(plain)\n"
  }

  /// The lines as YAML counts them.
  private static func lines(of text: String) -> [Substring.UnicodeScalarView] {
    let scalars = text.unicodeScalars
    var lines: [Substring.UnicodeScalarView] = []
    var start = scalars.startIndex
    var index = start
    while index < scalars.endIndex {
      let end = index
      index = scalars.index(after: end)
      switch scalars[end] {
      case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": break
      default: continue
      }
      if scalars[end] == "\r", index < scalars.endIndex, scalars[index] == "\n" {
        index = scalars.index(after: index)
      }
      lines.append(scalars[start..<end])
      start = index
    }
    lines.append(scalars[start...])
    return lines
  }

  private static func quote(_ text: String) -> String {
    let scalars = text.unicodeScalars
    let shown = scalars.prefix(maximumQuote)
    return visible(shown) + (shown.endIndex < scalars.endIndex ? "…" : "")
  }

  /// One character for each of the text's, so that columns stay: controls as their pictures, what
  /// reorders text or ends lines as a replacement character.
  private static func visible(_ text: some Sequence<Unicode.Scalar>) -> String {
    var out = String.UnicodeScalarView()
    for scalar in text {
      switch scalar.value {
      case 0x09: out.append(" ")
      case 0..<0x20: out.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
      case 0x7F: out.append("\u{2421}")
      case 0x80..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
        out.append("\u{FFFD}")
      default: out.append(scalar)
      }
    }
    return String(out)
  }
}
