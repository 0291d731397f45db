internal import CLinux
internal import Edge
internal import Glibc
internal import Logging
internal import Units

/// The small parent: holds the listening sockets, keeps one child serving, replaces it on request.
///
/// ```
///            ready                upgrade: candidate ready
/// starting ---------> serving --------------------------> draining --> gone
///    |                   |
///    +-- dies: back-off, start again (a first start that cannot succeed ends the parent)
/// ```
///
/// It reads no configuration: children bind what they need and hand a copy of each socket up, so a
/// new binary may know settings that this process never heard of. One thread, no serving code.
final class Supervisor {
  struct Options {
    var arguments: [String]
    var environment: [String: String]
    var pidFile: String?
  }

  /// A new child must serve within this, else it is killed: an upgrade is given up then, and in
  /// place of the only child another one is started.
  let readyPatience: Nanoseconds
  private static let defaultPatience = Nanoseconds.seconds(30)
  /// What a drain may take past the deadline it announced, before it is killed.
  static let drainSlack = Nanoseconds.seconds(10)
  /// Callers of the control socket at once.
  static let maximumCallers = 4

  let options: Options
  let program: ProgramPath
  let logger: Logger
  let notifier: ServiceNotifier
  let given: [Int32]
  var held = HeldSockets()
  /// What the child that serves has learned, as a descriptor that is passed on unread; -1 for none.
  var learned: Int32 = -1
  var current: ChildProcess?
  var candidate: ChildProcess?
  var draining: [ChildProcess] = []
  var callers: [PacketChannel] = []
  var waiting: [PacketChannel] = []
  var backoff = RestartBackoff()
  var restartAt = Instant.never
  var watchdogAt = Instant.never
  var wasEverReady = false
  var stopSignals = 0
  var isReloadOwed = false
  var pidFile: PidFile?
  var exitCode: Int32?
  /// How the child that served last ended.
  var lastCode: Int32 = 0

  init(options: Options, logger: Logger) {
    self.options = options
    self.logger = logger
    let processID = getpid()
    readyPatience =
      options.environment[ProcessEnvironment.patience].flatMap { Int64($0) }
      .map { .milliseconds(min(max($0, 1), 3_600_000)) } ?? Self.defaultPatience
    notifier = ServiceNotifier(environment: options.environment, processID: processID)
    program = ProgramPath(
      argument: options.arguments.first ?? "spillway",
      environment: options.environment
    )
    given = SystemdSockets.descriptors(options.environment, processID: processID)
      .map(\.descriptor)
  }

  /// Serves until told to stop or until starting makes no sense.
  ///
  /// - Returns: The exit code of the process.
  func run() -> Int32 {
    guard let signals = SignalQueue([SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD]) else {
      logger.critical("cannot receive signals", metadata: ["error": "\(systemText(errno))"])
      return ExitCode.cannotStart
    }
    let control = ControlSocket.listen(processID: getpid())
    if let path = options.pidFile, !writePidFile(path, owner: nil) { return ExitCode.cannotStart }
    if notifier.watchdogInterval != nil { watchdogAt = Poller.now }
    current = start()
    if current == nil { return ExitCode.cannotStart }
    while exitCode == nil {
      var descriptors = [signals.descriptor]
      if let control { descriptors.append(control) }
      descriptors += children.filter { !$0.isSilent }.map(\.channel.descriptor)
      descriptors += callers.map(\.descriptor)
      let readable = Poller.wait(descriptors, until: nextDeadline)
      readReports()
      while let arrival = signals.next() { handle(arrival.signal) }
      if let control, readable.contains(control), let caller = ControlSocket.accept(control) {
        if callers.count < Self.maximumCallers {
          callers.append(caller)
        } else {
          close(caller.descriptor)
        }
      }
      readCallers()
      passDeadlines(Poller.now)
    }
    pidFile?.remove()
    return exitCode ?? 0
  }

  var children: [ChildProcess] {
    [current, candidate].compactMap { $0 } + draining
  }

  private var nextDeadline: Instant {
    children.map(\.deadline).reduce(min(restartAt, watchdogAt)) { min($0, $1) }
  }

  // MARK: Starting

  func start() -> ChildProcess? {
    let sockets = held.all
    var adding = [
      ProcessEnvironment.parent: "\(getpid())",
      SocketHandover.variable: SocketHandover.encode(sockets),
    ]
    if let interval = notifier.watchdogInterval {
      adding[ProcessEnvironment.alive] = "\(max(1, interval / 4_000_000))"
    }
    if learned >= 0 { adding[ProcessEnvironment.learned] = "\(learned)" }
    let passed = learned >= 0 ? given + [learned] : given
    for path in [program.path, ProgramPath.running] {
      let result = ChildProcess.start(
        path: path,
        arguments: options.arguments,
        environment: { channel in
          adding[ProcessEnvironment.channel] = "\(channel)"
          return ProcessEnvironment.forChild(of: self.options.environment, adding: adding)
        },
        descriptors: sockets.map(\.descriptor) + passed
      )
      switch result {
      case .success(var child):
        child.deadline = Poller.now + readyPatience
        logger.info("child started", metadata: ["child": "\(child.id)", "program": "\(path)"])
        return child
      case .failure(let error):
        logger.error(
          "cannot start a child",
          metadata: ["program": "\(path)", "error": "\(systemText(error.code))"]
        )
      }
      // An upgrade to a file that is gone must fail, not start the old program again.
      if current != nil { return nil }
    }
    return nil
  }

  private func passDeadlines(_ now: Instant) {
    if now >= restartAt, stopSignals == 0 {
      restartAt = .never
      current = start()
      if current == nil { restartAt = now + backoff.delay(served: .zero) }
    }
    for child in children where now >= child.deadline {
      logger.error("child took too long, killing it", metadata: ["child": "\(child.id)"])
      kill(child.id, SIGKILL)
      update(child.id) { $0.deadline = .never }
    }
    if now >= watchdogAt, let interval = notifier.watchdogInterval {
      watchdogAt = now + Nanoseconds(interval / 2)
      // While there is no serving child the parent itself is what must be alive.
      let limit = Nanoseconds(interval)
      if current.map({ !$0.isReady || now - $0.lastAlive < limit }) ?? true { notifier.watchdog() }
    }
  }

  func update(_ id: Int32, _ change: (inout ChildProcess) -> Void) {
    if current?.id == id {
      current.map {
        var child = $0
        change(&child)
        current = child
      }
    }
    if candidate?.id == id {
      candidate.map {
        var child = $0
        change(&child)
        candidate = child
      }
    }
    for at in draining.indices where draining[at].id == id { change(&draining[at]) }
  }

  /// Follows the state directory, unless an option says where the pid file is.
  ///
  /// A child that gave up privileges names only a place that is its own: it speaks with peers, and
  /// one that was taken over must not have files written and removed by us.
  func movePidFile(to path: String, for child: Int32) {
    guard options.pidFile == nil, path != pidFile?.path ?? "" else { return }
    let before = pidFile
    if path.isEmpty {
      pidFile = nil
    } else {
      guard let user = PidFile.user(of: child) else { return }
      guard writePidFile(path, owner: user == geteuid() ? nil : user) else { return }
    }
    before?.remove()
  }

  private func writePidFile(_ path: String, owner: UInt32?) -> Bool {
    do throws(PidFile.Fault) {
      pidFile = try PidFile.write(path, "\(getpid())\n", owner: owner)
      return true
    } catch {
      logger.error(
        "cannot write the pid file",
        metadata: ["path": "\(path)", "error": "\(systemText(error.code))"]
      )
      return false
    }
  }
}
