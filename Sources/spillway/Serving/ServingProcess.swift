internal import Edge
internal import Glibc
internal import Logging

/// A process that serves: under a parent, or alone with `--no-supervise`.
enum ServingProcess {
  struct Options {
    var environment: [String: String]
    var user: String?
    var group: String?
  }

  /// Makes a server whose sockets are bound but that has started no thread yet.
  typealias MakeServer = (InheritedSockets, Logger) throws(StartFault) -> ServerHandle

  /// Starts, serves and ends.
  ///
  /// The order is what matters: signals are blocked before any thread exists, sockets are bound
  /// before privileges go, and privileges go before anything of a peer is read.
  ///
  /// - Returns: The exit code of the process.
  static func run(_ options: Options, logger: Logger, make: MakeServer) -> Int32 {
    let parent = ParentLink(environment: options.environment)
    do {
      return try serve(options, parent: parent, logger: logger, make: make)
    } catch {
      for line in error.lines { logger.critical("\(line)") }
      parent?.send(.failed(error.lines.first ?? "unknown reason"))
      return error.code
    }
  }

  private static func serve(
    _ options: Options,
    parent: ParentLink?,
    logger: Logger,
    make: MakeServer
  ) throws(StartFault) -> Int32 {
    guard let signals = SignalQueue([SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2]) else {
      throw StartFault(code: ExitCode.cannotStart, lines: ["cannot receive signals"])
    }
    if let parent { Privileges.dieWithParent(parent.parentID) }
    DescriptorLimit.raise()
    // LISTEN_PID names the process that systemd started: the parent, where there is one.
    let sockets = InheritedSockets(
      environment: options.environment,
      processID: parent?.parentID ?? getpid()
    )
    for note in sockets.notes { logger.warning("\(note)") }
    let server = try make(sockets, logger)
    do {
      try Privileges.forbidGaining()
      try Privileges.drop(user: options.user, group: options.group)
      if let parent { Privileges.dieWithParent(parent.parentID) }
      try server.start()
    } catch {
      throw StartFault(code: ExitCode.cannotStart, lines: ["\(error)"])
    }
    let notifier = ServiceNotifier(
      environment: parent == nil ? options.environment : [:],
      processID: getpid()
    )
    let loop = ServingLoop(
      server: server,
      sockets: sockets,
      parent: parent,
      notifier: notifier,
      signals: signals,
      logger: logger
    )
    return loop.run()
  }
}
