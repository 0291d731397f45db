internal import ArgumentParser

/// The command line.
@main
struct Spillway: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spillway",
    abstract: "A load-shedding HTTP edge.",
    subcommands: [
      RunCommand.self, CheckCommand.self, RouteCommand.self, UpgradeCommand.self,
    ]
  )
}
