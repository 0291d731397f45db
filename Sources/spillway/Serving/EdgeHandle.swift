internal import Configuration
internal import Edge
internal import Glibc
internal import Logging
internal import Reactor
internal import Synchronization
internal import Telemetry
internal import Units

/// The edge behind the process's seam: where its configuration comes from and where it is kept.
final class EdgeHandle: Sendable {
  private let path: String
  private let logger: Logger
  private let edge: EdgeInstance
  /// Counts the configurations of this process, for files that name no version.
  private let version: Locked<Int>

  private init(path: String, logger: Logger, edge: EdgeInstance, version: Int) {
    self.path = path
    self.logger = logger
    self.edge = edge
    self.version = Locked(version)
  }

  /// Loads the configuration, or its last good copy, and binds everything.
  static func make(
    path: String,
    sockets: InheritedSockets,
    logger: Logger
  ) throws(StartFault) -> ServerHandle {
    let loaded = try load(path, logger)
    var options = EdgeServer.Options()
    options.backend = try forcedBackend()
    options.descriptors = DescriptorLimit.raise()
    options.logger = logger
    options.handedState = handedState()
    defer { if let descriptor = options.handedState { close(descriptor) } }
    if let fault = DescriptorLimit.fault(loaded.settings, limit: options.descriptors) {
      throw StartFault(code: ExitCode.cannotStart, lines: [fault])
    }
    let edge: EdgeInstance
    do {
      edge = try EdgeInstance(loaded, sockets: sockets, options: options)
    } catch {
      throw StartFault(code: ExitCode.cannotStart, lines: [error.description])
    }
    let handle = EdgeHandle(path: path, logger: logger, edge: edge, version: loaded.version)
    if !loaded.fromLastGood { handle.keep(loaded) }
    return handle.serverHandle()
  }

  /// What the child before had learned, where the parent has it.
  private static func handedState() -> Int32? {
    guard let value = getenv(ProcessEnvironment.learned),
      let descriptor = Int32(String(cString: value)), descriptor > 2,
      fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
    else { return nil }
    return descriptor
  }

  private static func load(
    _ path: String,
    _ logger: Logger
  ) throws(StartFault) -> LoadedConfiguration {
    do {
      return try judged(try ConfigurationSource.load(path), path)
    } catch {
      let lines = error.description.split(separator: "\n").map(String.init)
      // The bad file may name the directory still; if not, the environment may.
      guard let directory = stateDirectory(of: path),
        let copy = lastGood(in: directory, path)
      else { throw StartFault(code: ExitCode.badConfiguration, lines: lines) }
      for line in lines { logger.error("\(line)") }
      logger.warning(
        "the configuration is refused; starting on the last good copy",
        metadata: ["copy": "\(directory)/\(ConfigurationSource.lastGoodName)"]
      )
      return copy
    }
  }

  /// A configuration whose certificates can be used too.
  private static func judged(
    _ loaded: LoadedConfiguration,
    _ path: String
  ) throws(ConfigurationError) -> LoadedConfiguration {
    try CertificateCheck.judge(loaded, file: path)
    return loaded
  }

  private static func lastGood(in directory: String, _ path: String) -> LoadedConfiguration? {
    let folder = ConfigurationSource.folder(of: path)
    return ConfigurationSource.lastGood(in: directory, folder: folder)
      .flatMap { try? judged($0, path) }
  }

  /// The state directory that a broken file still names in a line of its own.
  private static func stateDirectory(of path: String) -> String? {
    if let directory = getenv("SPILLWAY_STATE_DIRECTORY") { return String(cString: directory) }
    if let directory = getenv("STATE_DIRECTORY") { return String(cString: directory) }
    guard let text = FileText.read(path) else { return nil }
    for line in text.split(separator: "\n") where line.hasPrefix("stateDirectory:") {
      let value = line.dropFirst("stateDirectory:".count)
      let parts = value.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
      let name = parts.first?.filter { $0 != "\"" && $0 != "'" && $0 != " " } ?? ""
      return name.isEmpty ? nil : String(name)
    }
    return nil
  }

  private static func forcedBackend() throws(StartFault) -> Reactor.Backend? {
    guard let value = getenv("SPILLWAY_REACTOR") else { return nil }
    let name = String(cString: value)
    guard let backend = Reactor.Backend(rawValue: name) else {
      throw StartFault(
        code: ExitCode.usage,
        lines: ["SPILLWAY_REACTOR is \(name); must be epoll or io_uring"]
      )
    }
    return backend
  }

  private func serverHandle() -> ServerHandle {
    ServerHandle(
      start: { try self.start() },
      reload: { self.reload() },
      handOver: { self.edge.handOver() },
      beginDrain: { self.edge.beginDrain() },
      waitUntilDrained: { self.edge.waitUntilDrained() },
      stop: { self.edge.stop() },
      reopenLogs: { self.edge.reopenLogs() },
      handOverLearned: { self.edge.server.handOverLearned(to: $0) },
      listeningSockets: { self.edge.listeningSockets },
      makeWatchdog: { self.edge.makeWatchdog($0) },
      drainLimit: {
        let drain = self.edge.server.loaded.settings.drain
        return drain.grace + drain.deadline
      },
      watchedFiles: [path],
      stateDirectory: { self.edge.server.loaded.settings.stateDirectory ?? "" }
    )
  }

  private func start() throws {
    try edge.start()
    let settings = edge.server.loaded.settings
    for listener in settings.listeners {
      let port = edge.server.port(ofListener: listener.name).map(String.init) ?? ""
      logger.notice(
        "listening",
        metadata: [
          "listener": "\(listener.name)", "address": "\(listener.address)", "port": "\(port)",
        ]
      )
    }
    if let port = edge.adminPort {
      logger.notice("admin", metadata: ["port": "\(port)"])
    }
    logger.notice(
      "configuration",
      metadata: [
        "version": "\(edge.server.loaded.version)", "checksum": "\(edge.server.loaded.checksum)",
        "reactor": "\(edge.server.backend.rawValue)", "workers": "\(edge.server.workerCount)",
      ]
    )
  }

  private func reload() -> ReloadOutcome {
    let next = version.withLock { $0 + 1 }
    let loaded: LoadedConfiguration
    do {
      loaded = try Self.judged(try ConfigurationSource.load(path, version: next), path)
    } catch {
      for line in error.description.split(separator: "\n") { logger.error("\(line)") }
      edge.refused(error.description)
      return .refused
    }
    if let fault = changeFault(loaded.settings) {
      logger.error("\(fault)")
      edge.refused(fault)
      return .refused
    }
    let outcome: ReloadOutcome
    do {
      outcome = try edge.reload(loaded)
    } catch {
      logger.error("\(error)")
      return .refused
    }
    guard outcome == .applied else { return outcome }
    version.withLock { $0 = loaded.version }
    keep(loaded)
    return outcome
  }

  /// Why valid settings cannot follow those in effect, `nil` when they can.
  private func changeFault(_ next: Settings) -> String? {
    let current = edge.server.loaded.settings
    guard next.workers == current.workers else {
      return "workers cannot change while serving; start anew for that"
    }
    guard next.classes == current.classes else {
      return "classes cannot change while serving; start anew for that"
    }
    return DescriptorLimit.fault(next, limit: DescriptorLimit.raise())
  }

  private func keep(_ loaded: LoadedConfiguration) {
    guard let directory = loaded.settings.stateDirectory else { return }
    if let problem = ConfigurationSource.saveLastGood(loaded, in: directory) {
      logger.warning("the last good copy cannot be kept: \(problem)")
    }
  }
}
