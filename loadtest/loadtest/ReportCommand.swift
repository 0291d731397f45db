internal import ArgumentParser
internal import Foundation
internal import LoadKit

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Make the page of a run from its JSON."
  )

  @Argument(help: "What run --json wrote.")
  var json: String

  @Argument(help: "The page to write.")
  var html: String

  func run() throws {
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: json))
      let report = try JSONDecoder().decode(RunReport.self, from: data)
      try Data(HTMLReport(report).text.utf8).write(to: URL(fileURLWithPath: html))
    } catch {
      Console.fail("\(json): \(error.localizedDescription)\n")
    }
  }
}
