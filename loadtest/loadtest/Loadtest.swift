internal import ArgumentParser

@main
struct Loadtest: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "loadtest",
    abstract: "Open-loop HTTP load, simulated services, and proof of what happened.",
    subcommands: [
      RunCommand.self, BackendCommand.self, SuiteCommand.self, ReportCommand.self,
      ChildCommand.self,
    ]
  )
}
