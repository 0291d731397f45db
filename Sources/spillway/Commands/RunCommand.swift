internal import ArgumentParser
internal import Edge
internal import Glibc
internal import Logging
internal import TLS

/// Serves a configuration file until told to stop.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Serve a configuration file.",
    discussion: """
      SIGHUP or a change of the file reloads it, SIGUSR1 reopens logs, SIGUSR2 starts the program \
      anew and drains the old one, SIGTERM and SIGINT drain, a second one ends at once.

      Exit codes: 0 drained, 64 wrong command line, 69 cannot start (port taken, no permission, \
      too few descriptors), 78 configuration refused, 128+n ended by signal n.
      """
  )

  @Option(name: [.short, .long], help: "The configuration file, YAML or JSON.")
  var config: String

  @Flag(help: "Serve in this process; no restart after a crash, no upgrade.")
  var noSupervise = false

  @Option(help: "Write the process id here. Default: spillway.pid in the state directory.")
  var pidFile: String?

  @Option(help: "Become this user, name or number, once the ports are bound.")
  var user: String?

  @Option(help: "Become this group, name or number. Default: the user's.")
  var group: String?

  @Option(help: "How log lines look on standard error: text (logfmt) or json.")
  var logFormat: LogFormat = .text

  @Option(help: "The least severe log lines: trace, debug, info, notice, warning, error.")
  var logLevel: LogLevel = .info

  func run() throws {
    let environment = ProcessEnvironment.current()
    let isChild = environment[ProcessEnvironment.channel] != nil
    let format = OperationalLog.Format(rawValue: logFormat.rawValue) ?? .text
    let level = Logger.Level(rawValue: logLevel.rawValue) ?? .info
    LoggingSystem.bootstrap { OperationalLog(label: $0, format: format, level: level) }
    if noSupervise || isChild {
      throw ExitCodeError(serve(environment))
    }
    let supervisor = Supervisor(
      options: .init(
        arguments: CommandLine.arguments,
        environment: environment,
        pidFile: pidFile
      ),
      logger: Logger(label: "spillway.supervisor")
    )
    throw ExitCodeError(supervisor.run())
  }

  enum LogFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
  }

  enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace
    case debug
    case info
    case notice
    case warning
    case error
    case critical
  }

  private func serve(_ environment: [String: String]) -> Int32 {
    let path = config
    // Before anything reads a certificate.
    SessionMemory.install()
    return ServingProcess.run(
      .init(environment: environment, user: user, group: group),
      logger: Logger(label: "spillway")
    ) { (sockets, logger) throws(StartFault) in
      try EdgeHandle.make(path: path, sockets: sockets, logger: logger)
    }
  }
}

/// The argument parser's own type shares its name with ours.
private typealias ExitCodeError = ArgumentParser.ExitCode
