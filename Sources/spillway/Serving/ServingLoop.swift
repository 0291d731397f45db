internal import CLinux
internal import Edge
internal import Glibc
internal import Logging
internal import Telemetry
internal import Units

/// The thread of a serving process that hears signals, file changes and its parent.
///
/// Everything slow about the process happens here, nothing of a request.
final class ServingLoop {
  private let server: ServerHandle
  private let sockets: InheritedSockets
  private let parent: ParentLink?
  private let notifier: ServiceNotifier
  private let signals: SignalQueue
  private let logger: Logger
  private let watchdog: StallWatchdog
  private var watch: FileWatch
  /// Readable once the drain is over.
  private let drained: Int32
  private var isDraining = false
  private var isParentGone = false
  private var stopsFromParent = 0
  private var stopsFromOthers = 0
  private var aliveAt = Instant.never
  private var reported: Set<ListeningSocket> = []

  init(
    server: ServerHandle,
    sockets: InheritedSockets,
    parent: ParentLink?,
    notifier: ServiceNotifier,
    signals: SignalQueue,
    logger: Logger
  ) {
    self.server = server
    self.sockets = sockets
    self.parent = parent
    self.notifier = notifier
    self.signals = signals
    self.logger = logger
    watchdog = server.makeWatchdog(logger)
    watch = FileWatch(paths: server.watchedFiles, at: Poller.now)
    drained = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
  }

  deinit { close(drained) }

  /// Serves until drained or cut short; the server has been started.
  ///
  /// - Returns: The exit code of the process.
  func run() -> Int32 {
    if !watchdog.start() { logger.warning("no watchdog: stalls of workers will not be seen") }
    defer { watchdog.stop() }
    announce()
    while true {
      var descriptors = [signals.descriptor, drained]
      if watch.descriptor >= 0 { descriptors.append(watch.descriptor) }
      if let parent, !isParentGone { descriptors.append(parent.channel.descriptor) }
      let readable = Poller.wait(descriptors, until: min(watch.deadline, aliveAt))
      if readable.contains(drained) {
        server.stop()
        logger.notice("drained")
        return ExitCode.drained
      }
      while let arrival = signals.next() {
        if let code = handle(arrival) { return code }
      }
      if watch.takeChange(at: Poller.now), !isDraining {
        logger.info("the configuration file changed")
        reload()
      }
      hearParent()
      signAlive(Poller.now)
    }
  }

  private func announce() {
    let unclaimed = sockets.closeUnclaimed()
    for socket in unclaimed {
      logger.notice("closed a socket that no listener uses", metadata: ["socket": "\(socket.key)"])
    }
    // What was inherited and is in no worker's hands now is news to the parent.
    reported = Set(sockets.inherited)
    reportSockets()
    let (drain, pidFile) = terms
    parent?.send(.ready(drainMilliseconds: drain, pidFile: pidFile))
    if let parent {
      server.handOverLearned { descriptor in parent.send(.learned, passing: descriptor) }
    }
    notifier.ready(status: "serving")
    if parent?.aliveInterval != nil || notifier.watchdogInterval != nil { aliveAt = Poller.now }
    logger.notice("serving", metadata: ["process": "\(getpid())"])
  }

  /// What the parent has to know of the configuration in effect.
  private var terms: (drainMilliseconds: Int64, pidFile: String) {
    let folder = server.stateDirectory()
    let pidFile = folder.isEmpty ? "" : "\(folder)/\(PidFile.name)"
    return (server.drainLimit().rawValue / 1_000_000, pidFile)
  }

  /// Gives the parent what was bound since, and takes back what is gone.
  private func reportSockets() {
    let current = Set(server.listeningSockets())
    if let parent {
      let names = Set(current.map { "\($0.worker) \($0.key)" })
      for socket in reported where !names.contains("\(socket.worker) \(socket.key)") {
        parent.send(.dropped(key: socket.key, worker: socket.worker))
      }
      for socket in current.subtracting(reported) {
        parent.send(.bound(key: socket.key, worker: socket.worker), passing: socket.descriptor)
      }
    }
    reported = current
  }

  private func handle(_ arrival: SignalQueue.Arrival) -> Int32? {
    switch arrival.signal {
    case SIGTERM, SIGINT: return stop(arrival)
    case SIGHUP: isDraining ? logger.notice("draining: no reload") : reload()
    case SIGUSR1:
      server.reopenLogs()
      logger.info("logs reopened")
    case SIGUSR2:
      if let parent {
        parent.send(.upgrade)
      } else {
        logger.error("an upgrade needs the parent process; this one runs with --no-supervise")
      }
    default: break
    }
    return nil
  }

  private func stop(_ arrival: SignalQueue.Arrival) -> Int32? {
    // A service manager may signal the whole group, so the parent's request and a stranger's are
    // the same request; only a second one from the same side means "now".
    if let parent, arrival.sender == parent.parentID {
      stopsFromParent += 1
    } else {
      stopsFromOthers += 1
    }
    guard max(stopsFromParent, stopsFromOthers) < 2 else {
      logger.notice("second signal: ending at once")
      return ExitCode.cutShort(by: arrival.signal)
    }
    drain(because: "signal \(arrival.signal)")
    return nil
  }

  private func drain(because reason: String) {
    guard !isDraining else { return }
    isDraining = true
    notifier.stopping()
    server.beginDrain()
    logger.notice("draining", metadata: ["reason": "\(reason)"])
    let (server, logger, drained) = (server, logger, drained)
    // A thread of its own: waiting here would miss the second signal.
    let isStarted = DetachedThread.start(name: "drain") {
      if !server.waitUntilDrained() { logger.warning("drain deadline passed, closing the rest") }
      eventfd_write(drained, 1)
    }
    if !isStarted { eventfd_write(drained, 1) }
  }

  private func reload() {
    notifier.reloading()
    parent?.send(.reloading)
    let outcome = server.reload()
    // Before it is said to be done: a crash from now on must find the new sockets in safe hands.
    reportSockets()
    switch outcome {
    case .applied:
      let (drain, pidFile) = terms
      parent?.send(.terms(drainMilliseconds: drain, pidFile: pidFile))
      logger.notice("configuration reloaded")
    case .refused: logger.error("configuration refused, the one before goes on")
    case .unchanged: logger.notice("configuration unchanged, nothing to do")
    }
    notifier.ready(status: "serving")
    parent?.send(.reloaded)
  }

  private func hearParent() {
    guard let parent, !isParentGone else { return }
    var received = parent.channel.receive()
    while case .message(let text, let descriptor) = received {
      if let descriptor { close(descriptor) }
      if text == ParentLink.replaced {
        server.handOver()
        drain(because: "a new process serves")
      }
      received = parent.channel.receive()
    }
    guard received == .closed else { return }
    isParentGone = true
    drain(because: "the parent process is gone")
  }

  private func signAlive(_ now: Instant) {
    guard now >= aliveAt else { return }
    let own = notifier.watchdogInterval.map { Nanoseconds($0 / 2) }
    aliveAt = now + (parent?.aliveInterval ?? own ?? .seconds(60))
    // Silence is the message when a worker hangs: the service manager restarts us.
    guard watchdog.isProgressing else { return }
    parent?.send(.alive)
    notifier.watchdog()
  }
}
