import Foundation
import LoadKit
import Testing

/// The files of the suite: scenarios, and what may stand in the edge's place.
struct SuiteTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private static func files(_ folder: String, _ ending: String) -> [String] {
    let all = try? FileManager.default.contentsOfDirectory(
      atPath: root.appendingPathComponent(folder).path
    )
    return (all ?? []).filter { $0.hasSuffix(ending) }.map { "\(folder)/\($0)" }.sorted()
  }

  @Test func `every scenario can be read, and has something to judge`() throws {
    let files = Self.files("loadtest/suite", ".yaml") + Self.files("loadtest/scenarios", ".yaml")
    #expect(files.count > 15)
    for file in files {
      let path = Self.root.appendingPathComponent(file).path
      if file.hasSuffix("service.yaml") {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(throws: Never.self, "\(file)") { try ServiceSource.parse(text, file: file) }
      } else {
        let scenario = try ScenarioSource.load(path)
        #expect(!scenario.expectations.isEmpty, "\(file)")
      }
    }
  }

  /// Half a second in which nothing is asked of anybody, before each form of the edge.
  @Test func `every form of the edge starts before the suite's services and serves`() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("suite-\(UUID().uuidString)")
    let scenarios = folder.appendingPathComponent("scenarios")
    try FileManager.default.createDirectory(at: scenarios, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try "workers: 4\nserviceTime: 1ms\n".write(
      to: scenarios.appendingPathComponent("service.yaml"),
      atomically: true,
      encoding: .utf8
    )
    try """
    name: glance
    capacity: 100/s
    phases: [{name: glance, load: 0.5x, for: 500ms}]
    kinds: [{name: pay, class: critical, path: /pay}]
    expect: [success >= 1 %]
    """.write(
      to: scenarios.appendingPathComponent("glance.yaml"),
      atomically: true,
      encoding: .utf8
    )
    let forms = Self.files("loadtest/peers", ".json").filter { file in
      let text = try? String(contentsOf: Self.root.appendingPathComponent(file), encoding: .utf8)
      return text?.contains("spillway.yaml.in") ?? false
    }.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent }
    #expect(forms.count >= 5)

    let output = folder.appendingPathComponent("out").path
    let process = Process()
    process.executableURL = URL(fileURLWithPath: BuiltProgram.path("loadtest"))
    process.currentDirectoryURL = Self.root
    process.arguments =
      ["suite", "--scenarios", scenarios.path, "--output", output, "--quiet", "--without-edge"]
      + forms.flatMap { ["--against", $0] }
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()

    let data = try Data(contentsOf: URL(fileURLWithPath: output + "/suite.json"))
    let suite = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    let entries = try #require(suite["entries"] as? [[String: Any]])
    #expect(entries.count == forms.count, "\(suite["skipped"] ?? "")")
    for entry in entries {
      let log = "\(output)/glance-\(entry["peer"] ?? "")/log"
      let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
      let report = entry["report"] as? [String: Any]
      let phase = (report?["phases"] as? [[String: Any]])?.first?["all"] as? [String: Any]
      #expect(phase?["good"] as? Int ?? 0 > 0, "\(entry["trouble"] ?? "") \(said)")
    }
  }
}
