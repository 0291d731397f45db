import Configuration
import Testing
import Units

@Suite struct HostileDocumentTests {
  @Test(arguments: [
    String(repeating: "[", count: 60_000),
    String(repeating: "[", count: 1_000_000),
    String(repeating: "{a: ", count: 60_000),
    String(repeating: "- ", count: 500_000),
    String(repeating: "? ", count: 500_000),
    String(repeating: "[ # ]\n", count: 50_000),
    String(repeating: "x: [\"]\", ", count: 20_000),
  ])
  func `deep nesting is refused without deep recursion`(_ text: String) {
    #expect(ConfigurationFaultTests.faults(in: text).count == 1)
  }

  @Test func `a document that nests by indentation is refused`() {
    let text = (0..<600).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")

    #expect(ConfigurationFaultTests.faults(in: text).count == 1)
  }

  @Test func `aliases that stand for gigabytes are refused before they expand`() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in 1...20 {
      let items = [String](repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(items)]\n"
    }
    text += "? *a20\n: x\n"

    let faults = ConfigurationFaultTests.faults(in: text)

    #expect(faults.count == 1)
    #expect(faults.first?.message.contains("aliases") == true)
  }

  @Test func `brackets in quotes and comments are no nesting`() throws {
    let noise = (0..<500).map { "# [[{ \($0)" }.joined(separator: "\n")

    _ = try ConfigurationSource.parse(noise + "\n" + ConfigurationFaultTests.good, file: "x.yaml")
  }

  @Test(arguments: [
    "", " ", "#", "---", "...", "null", "[]", "{}", "1", "\u{0}", "\u{FEFF}", "a: b: c",
    "--- a\n--- b", "%YAML 9.9\n---\n", "a: !!binary x", "? [a]\n: b", "\t- a",
  ])
  func `a file that is no configuration is refused`(_ text: String) {
    #expect(!ConfigurationFaultTests.faults(in: text).isEmpty)
  }

  @Test func `no change of a good file traps`() {
    let words = [
      "[", "]", "{", "}", ":", "-", "#", "&a", "*a", "\"", "'", "|", ">", "!", "%", "\n", "  ",
      "\t", "0", "-1", "99999999999999999999", "1e999", "nan", "\u{0}", "\u{E9}", "~", "null",
      "unix:",
      "[::1]:80", "/", "1.5.5s", ".", "? ", "<<: ",
    ]
    var random = SplitMix64(seed: 0x5EED)
    let source = Array(ConfigurationFaultTests.good.unicodeScalars)
    for _ in 0..<4_000 {
      var scalars = source
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let start = Int.random(in: 0..<scalars.count, using: &random)
        let end = min(scalars.count, start + Int.random(in: 0...6, using: &random))
        let word = words.randomElement(using: &random) ?? ""
        scalars.replaceSubrange(start..<end, with: word.unicodeScalars)
        if scalars.isEmpty { scalars = source }
      }
      var text = ""
      text.unicodeScalars.append(contentsOf: scalars)
      for fault in ConfigurationFaultTests.faults(in: text) {
        #expect(fault.line >= 1 && fault.column >= 1)
      }
    }
  }
}
