internal import ArgumentParser
internal import Configuration
internal import Foundation
internal import LoadEngine
internal import LoadKit
internal import Reactor

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a scenario against a target.",
    discussion: """
      Exits with 0 when every expectation was met, 1 when one was not, 3 when the run cannot be \
      believed, 2 when it could not begin.
      """
  )

  @Argument(help: "The scenario, a YAML file.")
  var scenario: String

  @Option(help: "Where requests go, such as http://127.0.0.1:8080.")
  var target: String

  @Option(help: "Where capacity is measured, such as the service behind the edge.")
  var direct: String?

  @Option(help: "The control API of a simulated service, for counters and phases; may be repeated.")
  var backend: [String] = []

  @Option(help: "Requests per second that 1x stands for, in place of what the scenario says.")
  var capacity: Double?

  @Option(help: "A file for the report as JSON.")
  var json: String?

  @Option(help: "A file for the report as a page with plots.")
  var html: String?

  @Option(
    name: .customLong("protocol"),
    help: "http1, h2 or auto, in place of what the scenario says.",
    transform: wireProtocol
  )
  var spoken: WireProtocol?

  @OptionGroup
  var trust: TrustOptions

  @Flag(help: "Say nothing but the result.")
  var quiet = false

  @Option(help: "epoll or io_uring.")
  var reactor = "epoll"

  func run() throws {
    let scenario: Scenario
    do {
      scenario = try ScenarioSource.load(self.scenario)
    } catch {
      Console.fail(FaultReport(error, isColoured: isatty(2) != 0).text)
    }
    let report: RunReport
    do {
      var options = RunController.Options(target: try Target(target))
      options.direct = try direct.map { try Target($0) }
      options.backends = try backend.map { try Target($0) }
      if let capacity {
        guard capacity > 0, capacity < 1e7 else {
          throw ValidationError("--capacity must be above 0")
        }
        options.capacity = capacity
      }
      guard let kind = Reactor.Backend(rawValue: reactor) else {
        throw ValidationError("--reactor must be epoll or io_uring")
      }
      options.reactor = kind
      options.wireProtocol = spoken
      options.trust = try trust.trust
      Console.raiseDescriptorLimit()
      let controller = RunController(scenario, options)
      Interrupt.install { controller.stop() }
      let table = LiveTable(scenario, isShown: !quiet && isatty(STDERR_FILENO) != 0)
      report = try controller.run { table.show($0) }
      table.finish()
    } catch let error as ValidationError {
      throw error
    } catch {
      Console.fail("\(error)\n")
    }
    Console.say(TextReport(report).text)
    if let html { Self.write(Data(HTMLReport(report).text.utf8), to: html) }
    if let json { try Self.write(report, to: json) }
    if !report.problems.isEmpty { throw ExitCode(3) }
    if !report.isPassed { throw ExitCode(1) }
  }

  private static func write(_ report: RunReport, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    Self.write(try encoder.encode(report), to: path)
  }

  private static func write(_ data: Data, to path: String) {
    do {
      try data.write(to: URL(fileURLWithPath: path))
    } catch {
      Console.fail("cannot write \(path): \(error.localizedDescription)\n")
    }
  }
}
