internal import ArgumentParser
internal import Configuration
internal import Foundation
internal import LoadKit
internal import Reactor

struct SuiteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suite",
    abstract: "Run scenarios end to end: services, the edge or a peer, load, judgement.",
    discussion: """
      Each scenario of the folder has a service of its own in NAME.service.yaml, or the common one \
      in service.yaml. Exits with 0 when every run passed, 1 when an expectation was not met, 3 \
      when a run cannot be believed, 2 when one could not begin. A peer that is not installed is \
      skipped; so is the exit code of peers.
      """
  )

  @Argument(help: "Names of scenarios; all of the folder without any.")
  var names: [String] = []

  @Option(help: "What to run beside the edge: a NAME of PEERS/NAME.json; may be repeated.")
  var against: [String] = []

  @Flag(help: "Leave the edge out.")
  var withoutEdge = false

  @Option(help: "Where scenarios lie.")
  var scenarios = "loadtest/suite"

  @Option(help: "Where descriptions and templates of peers lie.")
  var peers = "loadtest/peers"

  @Option(help: "Workers of the services that have the common settings, for small machines.")
  var workers: Int?

  @Option(help: "Where reports and logs go.")
  var output = ".build/loadtest"

  @Flag(help: "Say nothing but the result.")
  var quiet = false

  @Option(help: "epoll or io_uring.")
  var reactor = "epoll"

  func run() throws {
    guard let kind = Reactor.Backend(rawValue: reactor) else {
      throw ValidationError("--reactor must be epoll or io_uring")
    }
    if let workers, !(1...100_000).contains(workers) {
      throw ValidationError("--workers must be from 1 to 100000")
    }
    Console.raiseDescriptorLimit()
    var suite = SuiteReport()
    let found = find(&suite)
    let runner = SuiteRunner(
      scenarios: scenarios,
      output: output,
      workers: workers,
      reactor: kind,
      isShown: !quiet && isatty(STDERR_FILENO) != 0
    )
    Interrupt.install { runner.stop() }
    for name in try list() {
      for peer in found where !runner.isStopped {
        if let obstacle = runner.obstacle(name, peer) {
          suite.skipped.append(obstacle)
          continue
        }
        if !quiet { Console.put("\(name) before \(peer.name)\n", to: STDERR_FILENO) }
        suite.entries.append(runner.run(name, peer))
        write(suite)
      }
    }
    write(suite)
    // Of a single run there is room for all of it.
    if let only = suite.entries.first?.report, suite.entries.count == 1 {
      Console.say(TextReport(only).text + "\n")
    }
    Console.say(suite.text)
    Console.say("\nreport: \(output)/suite.html, figures: \(output)/suite.json")
    try Self.end(suite, edge: withoutEdge ? nil : "spillway")
  }

  private func list() throws -> [String] {
    guard names.isEmpty else { return names }
    let files = try FileManager.default.contentsOfDirectory(atPath: scenarios)
    let all = files.filter { $0.hasSuffix(".yaml") && !$0.hasSuffix("service.yaml") }
    guard !all.isEmpty else { Console.fail("\(scenarios) holds no scenario\n") }
    return all.map { String($0.dropLast(".yaml".count)) }.sorted()
  }

  private func find(_ suite: inout SuiteReport) -> [Peer] {
    var found: [Peer] = []
    for name in (withoutEdge ? [] : ["spillway"]) + against {
      do {
        found.append(try Peer(name, folder: peers))
      } catch {
        // Without the edge there is nothing to compare with.
        if name == "spillway" { Console.fail("\(error); make load builds it\n") }
        suite.skipped.append("\(error)")
      }
    }
    return found
  }

  private func write(_ suite: SuiteReport) {
    do {
      let folder = URL(fileURLWithPath: output)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      try encoder.encode(suite).write(to: folder.appendingPathComponent("suite.json"))
      try Data(suite.html.utf8).write(to: folder.appendingPathComponent("suite.html"))
    } catch {
      Console.fail("cannot write to \(output): \(error.localizedDescription)\n")
    }
  }

  private static func end(_ suite: SuiteReport, edge: String?) throws {
    let judged = suite.entries.filter { edge == nil || $0.peer == edge }.map(\.verdict)
    if judged.contains(.absent) { throw ExitCode(2) }
    if judged.contains(.invalid) { throw ExitCode(3) }
    if judged.contains(.failed) { throw ExitCode(1) }
  }
}
