import Configuration
import Testing

@Suite struct FaultReportTests {
  private static func report(_ text: String) throws -> String {
    do {
      _ = try ConfigurationSource.parse(text, file: "x.yaml")
    } catch {
      return FaultReport(error, isColoured: false).text
    }
    Issue.record("the text is valid")
    return ""
  }

  /// The line of an excerpt and the column that its caret points at, from 0.
  private static func excerpts(_ report: String) -> [(line: [Character], caret: Int)] {
    let lines = report.split(separator: "\n").map(Array.init)
    return lines.indices.dropFirst().compactMap { index in
      guard let caret = lines[index].firstIndex(of: "^"), lines[index].count == caret + 1 else {
        return nil
      }
      return (lines[index - 1], caret)
    }
  }

  @Test(arguments: ["\n", "\r\n", "\r"])
  func `the caret stands below the fault, whatever ends lines`(end: String) throws {
    let text = ["environment: test", "workers: no", "routes: 5", ""].joined(separator: end)

    let excerpts = Self.excerpts(try Self.report(text))

    #expect(excerpts.map { String($0.line) }.contains("  workers: no"))
    #expect(excerpts.contains { $0.line[$0.caret...].starts(with: "no") })
    #expect(excerpts.contains { $0.line[$0.caret...].starts(with: "5") })
  }

  @Test func `a long line is cut to a window around the fault`() throws {
    let padding = String(repeating: "x", count: 100_000)
    let text = "{environment: \(padding), workers: no, stateDirectory: \(padding)}"

    let report = try Self.report(text)
    let excerpts = Self.excerpts(report)

    #expect(report.utf8.count < 4_000)
    #expect(excerpts.contains { $0.line[$0.caret...].starts(with: "no, stateDirectory: xx") })
    #expect(excerpts.contains { $0.line.first { $0 != " " } == "…" && $0.line.last == "…" })
  }

  @Test(arguments: [
    "workers: \"\u{9B}31m\"\n", "\"a\u{202E}b\": 1\n", "\u{1B}]0;title\u{7}: 1\n", "\0\u{1}\u{7F}",
    "name: \"\\e[2J\"\n\"\\e[31m\": 1\n", "listeners: [{name: \"\\e]52;c;x\\a\", address: a}]\n",
  ])
  func `nothing of the file steers the terminal`(text: String) throws {
    let report = try Self.report(text)

    let steers = report.unicodeScalars.filter { scalar in
      scalar != "\n" && (scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value))
        || (0x202A...0x202E).contains(scalar.value)
    }
    #expect(steers.isEmpty, "\(report.debugDescription)")
  }

  @Test func `a file of another kind does not flood the terminal`() throws {
    let text = (0..<5_000).map { "field-\($0): 1\n" }.joined()

    let report = try Self.report(text)

    #expect(report.split(separator: "\n").count < 1_000)
    #expect(report.hasSuffix("\n5002 faults\n"))
  }
}
