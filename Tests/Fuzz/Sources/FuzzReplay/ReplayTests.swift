import Foundation
import Testing

/// Every input of the corpora against the entry point that it was found with, without the fuzzer.
///
/// One at a time, as a fuzzer runs them: the entry points keep their tables between runs.
@Suite(.serialized)
struct ReplayTests {
  private typealias Entry = @Sendable (UnsafePointer<UInt8>, Int) -> CInt

  private static let entries: [String: Entry] = [
    "admin": fuzzAdmin, "chunked": fuzzChunked, "configuration": fuzzConfiguration,
    "fields": fuzzFields, "h2": fuzzH2, "hello": fuzzHello, "load": fuzzLoad, "path": fuzzPath,
    "proxy": fuzzProxy,
    "regex": fuzzRegex, "registry": fuzzRegistry, "request": fuzzRequest, "response": fuzzResponse,
    "service": fuzzService,
    "trace": fuzzTrace,
    "trailers": fuzzTrailers,
  ]

  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Runs an entry point on bytes that end where their memory does, for the address sanitizer.
  private static func run(_ entry: Entry, _ input: [UInt8]) {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, input.count))
    defer { memory.deallocate() }
    memory.initialize(from: input, count: input.count)
    #expect(entry(memory, input.count) == 0)
  }

  @Test(arguments: entries.keys.sorted())
  func `inputs that were worth keeping break nothing`(target: String) throws {
    let entry = try #require(Self.entries[target])
    let corpus = Self.folder.appendingPathComponent("corpus/\(target)")
    let names = try FileManager.default.contentsOfDirectory(atPath: corpus.path).sorted()

    #expect(names.count >= 4, "a corpus to begin with")
    for name in names {
      let input = Array(try Data(contentsOf: corpus.appendingPathComponent(name)))
      Self.run(entry, input)
      // Half of it, none of it, and with a byte of it that differs.
      Self.run(entry, Array(input.prefix(input.count / 2)))
      Self.run(entry, [])
      guard !input.isEmpty else { continue }
      for at in stride(from: 0, to: input.count, by: max(1, input.count / 16)) {
        var other = input
        other[at] ^= 0x21
        Self.run(entry, other)
      }
    }
  }

  @Test func `every target is run by the script, replayed here and has a corpus`() throws {
    func names(_ place: String) throws -> Set<String> {
      Set(
        try FileManager.default.contentsOfDirectory(
          atPath: Self.folder.appendingPathComponent(place).path
        )
      )
    }
    let script = try String(
      contentsOf: Self.folder.appendingPathComponent("run.sh"),
      encoding: .utf8
    )
    let line = try #require(script.firstMatch(of: /for target in ([a-z0-9 ]+); do/))

    let known = Set(Self.entries.keys)
    #expect(Set(line.1.split(separator: " ").map(String.init)) == known)
    #expect(try names("corpus") == known)
    let folders = known.map { "Fuzz" + $0.prefix(1).uppercased() + $0.dropFirst() }
    #expect(try names("Sources") == Set(folders).union(["FuzzSupport", "FuzzReplay"]))
    let package = try String(
      contentsOf: Self.folder.appendingPathComponent("Package.swift"),
      encoding: .utf8
    )
    let built = package.matches(of: /"(Fuzz[A-Za-z0-9]+)": "/).map { String($0.1) }
    #expect(Set(built) == Set(folders))
  }
}
