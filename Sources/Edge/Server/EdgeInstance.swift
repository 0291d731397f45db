internal import CLinux
public import Configuration
internal import Glibc
public import Logging
public import Telemetry
internal import Units

/// A whole edge: the server with its admin address, its access log and its readiness.
///
/// Calls come from the slow plane, one at a time.
public final class EdgeInstance: Sendable {
  /// Version that the build and the `via` of logs carry.
  public static let version = "0.1.0"

  public let server: EdgeServer
  public let readiness = ReadinessState()
  private let endpoints = AdminEndpoints()
  private let admin: Locked<Admin?>
  private let log: AccessLogWriter
  private let inherited: InheritedSockets
  private let drainStarted = Locked(Instant.never)

  private struct Admin {
    var server: AdminServer
    /// Kept for a hand-over; the server closes a descriptor of its own.
    var socket: ListeningSocket
  }

  /// Binds and opens everything; starts no thread yet, so that privileges can still be dropped.
  public init(
    _ loaded: LoadedConfiguration,
    sockets inherited: InheritedSockets,
    options: EdgeServer.Options
  ) throws(EdgeError) {
    self.inherited = inherited
    let names = NameTable()
    let workers = EdgeServer.workerCount(loaded.settings)
    log = AccessLogWriter(
      output: .init(loaded.settings.accessLog.output),
      workers: workers,
      names: names
    )
    let log = log
    server = try EdgeServer(
      loaded,
      sockets: inherited,
      names: names,
      rings: (0..<workers).map { log.ring($0) },
      options: options
    )
    endpoints.registerStandard(metrics: server.registry, readiness: readiness)
    let (report, overload) = (server.admissionReport, server.overloadReport)
    let hedges = server.hedgeReport
    readiness.watch { overload.unreadiness() }
    endpoints.register(
      "GET",
      "/admin/services",
      summary: "what the edge itself and the admission of each service do, and why"
    ) {
      $0.query == "format=text"
        ? .text(overload.text + hedges.text + "\n" + report.text)
        : .json(
          "{\"edge\":\(overload.json),\"hedges\":\(hedges.json),\"services\":\(report.json)}\n"
        )
    }
    HealthOrders(
      report: server.healthReport,
      logger: options.logger,
      republish: { [server] in (try? server.republish()) != nil }
    )
    .register(in: endpoints)
    ProcessMetrics.register(in: server.registry, version: Self.version)
    readiness.register(in: server.registry)
    log.register(in: server.registry)
    do {
      admin = Locked(try Self.makeAdmin(loaded.settings.admin, endpoints, inherited))
    } catch {
      for socket in server.listeningSockets { inherited.release(socket) }
      throw error
    }
  }

  private static func makeAdmin(
    _ address: BindAddress?,
    _ endpoints: AdminEndpoints,
    _ inherited: InheritedSockets
  ) throws(EdgeError) -> Admin? {
    guard let address else { return nil }
    let socket: ListeningSocket
    do {
      socket = try inherited.obtain(address.description, name: "admin", worker: 0)
    } catch {
      throw EdgeError(.listen, "admin: \(error.description)")
    }
    guard let own = ListeningSocket.duplicate(socket.descriptor) else {
      inherited.release(socket)
      throw EdgeError(.resources, "admin: out of descriptors")
    }
    return Admin(server: AdminServer(listener: own, endpoints: endpoints), socket: socket)
  }

  /// Starts all threads and becomes ready.
  public func start() throws(EdgeError) {
    do {
      try log.start()
    } catch {
      throw EdgeError(.resources, "accessLog: \(error.description)")
    }
    try start(admin.withLock { $0 })
    try server.start()
    adopted(server.loaded)
  }

  /// Takes a new configuration, or throws and goes on with the one before.
  ///
  /// - Returns: `unchanged` when it reads as the one in effect: then nothing is published.
  @discardableResult
  public func reload(_ loaded: LoadedConfiguration) throws(EdgeError) -> ReloadOutcome {
    let current = server.loaded
    // The same text out of a file that was bad before is still news: it ends the last good copy.
    if loaded.checksum == current.checksum, !current.fromLastGood {
      readiness.accept()
      return count(.unchanged)
    }
    do {
      // What can fail comes first, so that a refusal changes nothing.
      let output = try changedOutput(loaded.settings)
      try reload(loaded, withAdmin: loaded.settings.admin != server.loaded.settings.admin)
      if let output { log.replaceOutput(with: output) }
    } catch {
      refused(error.description)
      throw error
    }
    adopted(loaded)
    return count(.applied)
  }

  @discardableResult
  private func count(_ outcome: ReloadOutcome) -> ReloadOutcome {
    server.registry.add(server.edge.reloads[Int(outcome.rawValue)])
    return outcome
  }

  /// Reloads the server, and moves the admin server where its address changes.
  ///
  /// The new one answers before the old one ends, so that no moment is without one.
  private func reload(
    _ loaded: LoadedConfiguration,
    withAdmin isMoving: Bool
  ) throws(EdgeError) {
    guard isMoving else { return try server.reload(loaded) }
    let next = try Self.makeAdmin(loaded.settings.admin, endpoints, inherited)
    do throws(EdgeError) {
      try start(next)
      try server.reload(loaded)
    } catch {
      end(next)
      throw error
    }
    let before = admin.withLock { admin in
      defer { admin = next }
      return admin
    }
    end(before)
  }

  private func start(_ admin: Admin?) throws(EdgeError) {
    do {
      try admin?.server.start()
    } catch {
      throw EdgeError(.resources, "admin: \(error.description)")
    }
  }

  private func end(_ admin: Admin?) {
    guard let admin else { return }
    admin.server.stop()
    inherited.release(admin.socket)
  }

  /// The access log's new output, opened, `nil` where it stays the same.
  private func changedOutput(_ settings: Settings) throws(EdgeError) -> LogSink? {
    let output = settings.accessLog.output
    guard output != server.loaded.settings.accessLog.output else { return nil }
    do {
      return try LogSink(.init(output))
    } catch {
      throw EdgeError(.resources, "accessLog: \(error)")
    }
  }

  /// A new configuration was refused before it reached the server.
  public func refused(_ reason: String) {
    count(.refused)
    readiness.refuse(reason)
  }

  private func adopted(_ loaded: LoadedConfiguration) {
    readiness.adopt(
      ConfigurationVersion(
        number: UInt64(max(0, loaded.version)),
        loadedAt: clinux_wall_now(),
        checksum: loaded.checksum,
        isLastGoodCopy: loaded.fromLastGood,
        environment: loaded.settings.environment
      )
    )
  }

  // MARK: - The end

  /// Readiness fails and replies end their connections; everything is still accepted.
  public func beginDrain() {
    drainStarted.withLock { if $0 == .never { $0 = Self.now } }
    readiness.drain()
    server.beginDrain()
  }

  /// Waits for the grace time, then for requests under way, at most until the deadline.
  ///
  /// - Returns: Whether nothing was left.
  public func waitUntilDrained() -> Bool {
    let start = drainStarted.withLock { $0 }
    let drain = server.loaded.settings.drain
    while Self.now < start + drain.grace { usleep(5_000) }
    server.closeIdle()
    let end = start + max(drain.deadline, drain.grace + .milliseconds(100))
    while Self.now < end {
      if server.isDrained { return true }
      usleep(5_000)
    }
    return server.isDrained
  }

  /// Ends everything at once.
  public func stop() {
    server.stop()
    end(admin.withLock { $0 })
    log.stop()
  }

  /// A successor serves: questions to the admin address are for it alone from now on.
  ///
  /// Both accept from one socket, and a probe that met the draining process would be told that
  /// nobody is ready.
  public func handOver() { admin.withLock { $0 }?.server.stop() }

  /// Opens the access log's file anew, after it was moved away.
  public func reopenLogs() { log.reopen() }

  public var adminPort: UInt16? { admin.withLock { $0 }?.server.port }

  /// All listening sockets, the admin server's included, for a hand-over.
  public var listeningSockets: [ListeningSocket] {
    server.listeningSockets + (admin.withLock { $0 }.map { [$0.socket] } ?? [])
  }

  /// A watchdog over the workers, which counts the stalls that it sees; not started yet.
  public func makeWatchdog(_ logger: Logger) -> StallWatchdog {
    StallWatchdog(heartbeats: server.heartbeats, logger: logger) { [server] _ in
      server.registry.add(server.edge.workerStalls)
    }
  }

  /// The monotonic time, as reactors know it.
  static var now: Instant { Instant(clinux_monotonic_now()) }
}

extension AccessLogOutput {
  fileprivate init(_ setting: AccessLogSettings.Output) {
    self =
      switch setting {
      case .stdout: .stdout
      case .file(let path): .file(path: path)
      case .syslog(let path): .syslog(path: path)
      case .off: .off
      }
  }
}
