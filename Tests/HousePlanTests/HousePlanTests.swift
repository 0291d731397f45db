import Foundation
import Testing

/// SwiftPM accepts imports that a target never declared, so the plan of the house is held here.
struct HousePlanTests {
  /// What each target may import of the house's own modules.
  private static let plan: [String: Set<String>] = {
    let order = [
      "Units", "Admission", "Telemetry", "Reactor", "TLS", "HTTPCodec", "Routing", "Upstream",
      "Configuration", "Edge", "spillway",
    ]
    var plan: [String: Set<String>] = [
      "Units": [],
      "Admission": ["Units"],
      "Telemetry": ["Units", "CLinux"],
      "Reactor": ["Telemetry", "Units", "CLinux"],
      "TLS": ["Units", "COpenSSL"],
      "HTTPCodec": ["Units", "CNghttp2"],
      "Routing": ["HTTPCodec", "Units"],
      "Upstream": ["Reactor", "Telemetry", "Units", "CCares", "CLinux"],
      "Configuration": ["Routing", "HTTPCodec", "Units"],
    ]
    plan["Edge"] = Set(order.prefix { $0 != "Edge" }).union(["CLinux"])
    plan["Simulation"] = ["Admission", "Units"]
    plan["admission-sim"] = ["Simulation", "Admission", "Units"]
    plan["demo"] = []
    // The harness judges the edge from outside and imports nothing of it.
    plan["LoadKit"] = ["Configuration", "HTTPCodec", "Units"]
    plan["LoadEngine"] = [
      "LoadKit", "HTTPCodec", "TLS", "Reactor", "Telemetry", "Units", "CLinux",
    ]
    plan["loadtest"] = [
      "LoadEngine", "LoadKit", "Configuration", "Reactor", "Telemetry", "Units", "CJemalloc",
    ]
    plan["spillway"] = Set(order.dropLast()).union(["CLinux", "CJemalloc"])
    return plan
  }()

  /// Targets that lie in `loadtest/`.
  private static let harness: Set<String> = ["LoadKit", "LoadEngine", "loadtest"]

  private static let houseModules = Set(plan.keys).union([
    "CLinux", "CCares", "COpenSSL", "CNghttp2", "CJemalloc",
  ])

  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  @Test func `imports point only downward`() throws {
    var seen = 0

    for target in Self.plan.keys.sorted() {
      let folder = Self.root.appendingPathComponent(
        Self.harness.contains(target) ? "loadtest" : "Sources"
      )
      .appendingPathComponent(target)
      let allowed = Self.plan[target] ?? []
      for file in Self.swiftFiles(below: folder) {
        let text = try String(contentsOf: file, encoding: .utf8)
        for module in Self.imports(of: text) where Self.houseModules.contains(module) {
          seen += 1
          #expect(
            allowed.contains(module),
            "\(file.lastPathComponent) of \(target) imports \(module)"
          )
        }
      }
    }

    #expect(seen > 0, "no import was found: the test looks at the wrong place")
  }

  @Test(arguments: ["Sources", "loadtest"])
  func `every folder with code stands in the plan`(place: String) throws {
    let parent = Self.root.appendingPathComponent(place)
    let folders = try FileManager.default.contentsOfDirectory(atPath: parent.path)
      .filter { !Self.swiftFiles(below: parent.appendingPathComponent($0)).isEmpty }

    #expect(!folders.isEmpty)
    for folder in folders {
      #expect(Self.houseModules.contains(folder), "\(folder) is not in the plan")
    }
  }

  @Test func `what a stranger looks for lies at the top`() throws {
    func text(_ name: String) throws -> String {
      try String(contentsOf: Self.root.appendingPathComponent(name), encoding: .utf8)
    }

    #expect(try text("LICENSE").contains("Apache License"))
    #expect(try text("CHANGELOG.md").contains("## Unreleased"))
    #expect(try text("ARCHITECTURE.md").contains("Life of a request"))
    #expect(try text("README.md").contains("make run"))
    #expect(try text(".gitignore").contains(".build"))
    #expect(try text(".swift-format").contains("\"lineLength\""))
    #expect(try text(".ci/run").contains("exec make test"))
  }

  /// Targets that do not come near `CLinux`, so that Glibc's constants are theirs alone.
  private static let withoutCLinux: Set<String> = [
    "demo", "Telemetry", "TelemetryTests", "HousePlanTests",
  ]

  /// Constants such as `MSG_DONTWAIT` are declared by Glibc's module and by `CLinux`; which of the
  /// two owns them depends on what a compiler job happens to load first.
  @Test(arguments: ["Sources", "loadtest", "Tests"])
  func `files that name constants of sockets import both who may own them`(place: String) throws {
    let parent = Self.root.appendingPathComponent(place)
    let constants = /\b((MSG|SHUT|SOCK|IPPROTO|SCM|EFD|SFD)_|EPOLL)[A-Z]+\b/
    var seen = 0
    for target in try FileManager.default.contentsOfDirectory(atPath: parent.path)
    where !Self.withoutCLinux.contains(target) {
      for file in Self.swiftFiles(below: parent.appendingPathComponent(target)) {
        let text = try String(contentsOf: file, encoding: .utf8)
        guard text.contains(constants) else { continue }
        seen += 1
        #expect(Self.imports(of: text).contains("CLinux"), "\(file.lastPathComponent)")
      }
    }
    #expect(seen > 0, "no such file was found: the test looks at the wrong place")
  }

  /// The thread sanitizer reports a race wherever two threads meet at a `Mutex`, but only when it
  /// happens to be contended (see `Locked`).
  @Test(arguments: ["Sources", "loadtest", "Tests"])
  func `locks are those that the thread sanitizer sees`(place: String) throws {
    let lock = /\bMutex\s*[<(]/
    var seen = 0
    for file in Self.swiftFiles(below: Self.root.appendingPathComponent(place)) {
      let text = try String(contentsOf: file, encoding: .utf8)
      seen += text.contains("Locked") ? 1 : 0
      #expect(!text.contains(lock), "\(file.lastPathComponent) takes a Mutex: take a Locked")
    }
    #expect(seen > 0, "no lock was found: the test looks at the wrong place")
  }

  private static func swiftFiles(below folder: URL) -> [URL] {
    let walker = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    return (walker?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "swift" }
  }

  private static func imports(of text: String) -> [String] {
    text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard let at = words.firstIndex(of: "import"), at + 1 < words.count, at <= 2 else {
        return nil
      }
      return words[at + 1].split(separator: ".").first.map(String.init)
    }
  }
}
