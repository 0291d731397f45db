import Configuration
import Glibc
import Testing

@testable import Edge
@testable import Upstream

/// Files of endpoints and of tokens, as they are read and as checks judge them.
struct DiscoveredFileTests {
  private static func withFolder(_ body: (String) throws -> Void) throws {
    let path = "/tmp/spillway-discovered-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try #require(mkdir(path, 0o755) == 0)
    defer {
      for name in FileText.names(in: path) { unlink("\(path)/\(name)") }
      rmdir(path)
    }
    try body(path)
  }

  private static func failure(_ path: String) -> DiscoveryFailure? {
    guard case .failure(let failure, _) = DiscoveredFile.read(path, allowsUnix: true) else {
      return nil
    }
    return failure
  }

  /// A configuration whose service `shop` has its endpoints from `discovery`, beside other services.
  private static func configuration(
    discovery: String,
    others: String = "",
    folder: String
  ) throws -> LoadedConfiguration {
    let text = """
      listeners: [{name: public, address: "127.0.0.1:0"}]
      services:
        - name: shop
          discovery: \(discovery)
      \(others)
      routes:
        - {name: shop, match: {pathPrefix: /}, upstream: {service: shop}, policies: {auth: none}}
      """
    return try ConfigurationSource.parse(text, file: "x.yaml", folder: folder)
  }

  /// What a check of configuration says.
  private static func faults(_ loaded: LoadedConfiguration) -> [String] {
    do throws(ConfigurationError) {
      try DiscoveryCheck.judge(loaded, file: "x.yaml")
      return []
    } catch {
      return error.faults.map { $0.description(in: "x.yaml") }
    }
  }

  @Test func `what is no plain file of sane size is refused and holds nobody`() throws {
    try Self.withFolder { folder in
      let pipe = "\(folder)/pipe"
      try #require(mkfifo(pipe, 0o644) == 0)
      let huge = "\(folder)/huge"
      FileText.replace(huge, with: "endpoints: []")
      try #require(truncate(huge, 1 << 40) == 0)
      let loop = "\(folder)/loop"
      symlink(loop, loop)

      #expect(Self.failure("\(folder)/missing") == .unavailable)
      #expect(Self.failure(folder) == .unavailable)
      #expect(Self.failure(pipe) == .unavailable)
      #expect(Self.failure("/dev/zero") == .unavailable)
      #expect(Self.failure(loop) == .unavailable)
      #expect(Self.failure(huge) == .invalid)
    }
  }

  @Test func `a check says at its field what is wrong with a file`() throws {
    try Self.withFolder { folder in
      let path = "\(folder)/endpoints.yaml"
      let loaded = try Self.configuration(
        discovery: "{file: endpoints.yaml}",
        folder: folder
      )
      func faults() -> [String] { Self.faults(loaded) }

      let field = "x.yaml:4:23: services[0].discovery.file: \(path)"
      #expect(faults() == ["\(field): cannot be read: No such file or directory"])
      FileText.replace(path, with: "endpoints: []")
      #expect(faults() == ["\(field): lists no endpoint"])
      FileText.replace(path, with: "endpoints: [a]")
      #expect(faults().first?.hasPrefix("\(field):1:13: endpoints[0]: must be") == true)
      FileText.replace(path, with: "endpoints: [\"a:1\"]")
      #expect(faults() == [])
    }
  }

  @Test func `a check says at its field what is wrong with the file of a token`() throws {
    try Self.withFolder { folder in
      let path = "\(folder)/token"
      let loaded = try Self.configuration(
        discovery: "{consul: {service: consul, name: shop, tokenFile: token}}",
        others: "  - {name: consul, endpoints: [\"127.0.0.1:8500\"]}",
        folder: folder
      )
      func faults() -> [String] { Self.faults(loaded) }

      let field = "x.yaml:4:66: services[0].discovery.consul.tokenFile: \(path)"
      #expect(faults() == ["\(field): cannot be read: No such file or directory"])
      for text in ["", "\n", "two words", "é", String(repeating: "x", count: 9_000)] {
        FileText.replace(path, with: text)
        #expect(faults().first?.hasPrefix("\(field): has ") == true, "\(faults())")
      }
      FileText.replace(path, with: " one-word\r\n")
      #expect(faults() == [])
    }
  }

  @Test func `a fault names file, line and column, and of many the first ones`() throws {
    try Self.withFolder { folder in
      let path = "\(folder)/endpoints.yaml"
      FileText.replace(path, with: "endpoints: [a, b, c, d, e]")

      let word = DiscoveredFile.read(path, allowsUnix: true)

      guard case .failure(.invalid, let problem) = word else {
        Issue.record("\(word)")
        return
      }
      #expect(problem.hasPrefix("\(path):1:13: endpoints[0]: must be an address"))
      #expect(problem.hasSuffix("; and 2 more"))
    }
  }
}
