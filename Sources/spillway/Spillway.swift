internal import ArgumentParser
internal import Edge

/// The command line.
@main
struct Spillway: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spillway",
    abstract: "A load-shedding HTTP edge.",
    version: "spillway \(EdgeInstance.version)",
    subcommands: [
      RunCommand.self, CheckCommand.self, RouteCommand.self, UpgradeCommand.self,
      ExplainCommand.self,
    ]
  )
}
