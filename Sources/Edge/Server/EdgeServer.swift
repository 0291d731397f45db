internal import CLinux
public import Configuration
internal import Glibc
public import Logging
public import Reactor
internal import TLS
public import Telemetry
public import Units
internal import Upstream

/// The serving part of the process: workers, their listeners, snapshots, the access log.
///
/// All calls come from the slow plane. A call takes effect whole, or throws and changes nothing.
public final class EdgeServer: Sendable {
  /// What is chosen outside the configuration.
  public struct Options: Sendable {
    /// The event loop; `nil` takes io_uring where the kernel allows it.
    public var backend: Reactor.Backend?
    public var bounds = Reactor.Bounds()
    /// Descriptors that the process may have; listeners without a bound share 45 % of them.
    public var descriptors = 20_000
    public var handshakes = HandshakeBounds()
    /// How long a key of session tickets seals.
    public var ticketRotation = TicketKeys.defaultRotation
    /// Configurations that one worker may hold at once: the newest, and older ones of long requests.
    public var snapshots = SnapshotTable.defaultCapacity
    /// Where the memory in use is read from.
    public var memory = MemoryUse()
    /// Name servers in place of the system's, as `host:port` with commas between.
    public var nameServers: String?
    /// A descriptor of what the process before had learned; it is read at the start and stays open.
    public var handedState: Int32?
    /// How long the edge's own calls may take.
    public var calls = CallTimes()
    /// Hears of certificates that were replaced, or could not be.
    public var logger: Logger?
    /// Reads a file of endpoints; a test puts one in its place that hangs.
    var readEndpoints: DiscoveryFiles.Reader = { DiscoveredFile.read($0, allowsUnix: $1) }

    public init() {}
  }

  struct Running {
    var loaded: LoadedConfiguration
    /// Listening sockets by listener name, one for each worker.
    var sockets: [String: [ListeningSocket]]
    var snapshot: Snapshot
    var threads: [pthread_t] = []
  }

  public let registry: MetricRegistry
  public let names: NameTable
  public let backend: Reactor.Backend
  public let workerCount: Int
  public let heartbeats: [WorkerHeartbeat]
  /// The access log's rings, one for each worker.
  public let rings: [AccessLogRing]
  let edge: EdgeMetrics
  let counters: EdgeCounters
  let shared: SharedState
  let mailboxes: [WorkerMailbox]
  let compiler: SnapshotCompiler
  let admissionReport: AdmissionReport
  let overloadReport: OverloadReport
  let retryReport = RetryReport()
  let hedgeReport = HedgeReport()
  let healthReport: HealthReport
  let inherited: InheritedSockets
  let calls: EdgeCaller
  let options: Options
  let running: Locked<Running>
  /// What names stand for: the port is each endpoint's own.
  let book = NameBook()
  /// What is asked of name servers.
  let watched = Locked<Set<NameQuestion>>([])
  /// What is known and could not be published.
  let arrears = Locked(PublishArrears())
  let discovery: Discovery
  let discoveryFiles: DiscoveryFiles
  let discoveryRegistries: DiscoveryRegistries
  let certificates: CertificateStore
  private let upkeep = Upkeep()
  private let keeper: LearnedKeeper
  let beginning: LearnedBeginning
  /// Held while a configuration takes effect, which several threads may want at once.
  let changes = Locked<Void>(())

  /// Compiles the configuration and takes or binds its listening sockets.
  ///
  /// - Throws: `EdgeError` when an address cannot be listened on or a bound is passed.
  public init(
    _ loaded: LoadedConfiguration,
    sockets inherited: InheritedSockets,
    names: NameTable,
    rings: [AccessLogRing],
    options: Options
  ) throws(EdgeError) {
    self.options = options
    self.inherited = inherited
    backend = try Self.chooseBackend(options.backend)
    let count = Self.workerCount(loaded.settings)
    workerCount = count
    let classes = loaded.settings.classes
    shared = SharedState(
      sockets: inherited,
      workers: count,
      classes: classes.count,
      nameServers: options.nameServers
    )
    registry = MetricRegistry(shards: count)
    self.names = names
    self.rings = rings
    edge = EdgeMetrics(registry)
    counters = EdgeCounters(registry, edge)
    let found = LearnedBeginning.find(
      directory: loaded.settings.stateDirectory,
      handed: options.handedState
    )
    let admissions = AdmissionDirectory(workers: count, classes: classes, offer: found.offer)
    compiler = SnapshotCompiler(
      edge: edge,
      names: names,
      admissions: admissions,
      retries: RetryDirectory(workers: count),
      hedges: HedgeDirectory(workers: count),
      health: shared.health,
      callTimes: options.calls
    )
    overloadReport = OverloadReport(shared.load, classes: classes)
    healthReport = HealthReport(shared)
    discovery = Discovery(logger: options.logger)
    discoveryFiles = DiscoveryFiles(
      discovery,
      read: options.readEndpoints,
      logger: options.logger
    )
    let discoveryReport = DiscoveryReport(discovery, book)
    admissionReport = AdmissionReport(
      classes: classes,
      health: healthReport,
      discovery: discoveryReport
    )
    certificates = CertificateStore(rotation: options.ticketRotation, logger: options.logger)
    mailboxes = (0..<count).map { _ in WorkerMailbox() }
    calls = EdgeCaller(
      mailboxes,
      shared,
      most: CallBounds.calls(descriptors: options.descriptors),
      options.calls
    )
    discoveryRegistries = DiscoveryRegistries(
      discovery,
      calls,
      pacing: RegistryPacing(),
      seed: .random(in: 0 ... .max)
    )
    heartbeats = (0..<count).map { WorkerHeartbeat(worker: $0) }
    let contexts = try certificates.prepare(loaded.settings, isFresh: true)
    let snapshot = try compiler.compile(
      loaded.settings,
      version: loaded.version,
      descriptors: options.descriptors,
      contexts: contexts,
      addresses: { Self.literal($0) }
    )
    let sockets = try Self.takeSockets(loaded.settings, count, inherited, [:])
    certificates.commit(contexts)
    let running = Locked(Running(loaded: loaded, sockets: sockets, snapshot: snapshot))
    self.running = running
    var beginning = found.beginning
    beginning.adopt(admissions.closeOffer())
    self.beginning = beginning
    book.begin(with: beginning.names)
    keeper = LearnedKeeper(
      admissionReport,
      before: beginning.services,
      lists: { [discovery, book] in (discovery.served, book.names) },
      directory: { running.withLock { $0.loaded.settings.stateDirectory } },
      logger: options.logger
    )
    beginning.log(to: options.logger)
    beginning.register(in: registry)
    keeper.register(in: registry)
    registerCertificates()
    adoptCalls(loaded.settings)
    admissionReport.adopt(loaded.settings, snapshot.admissions)
    admissionReport.register(in: registry)
    adoptOverload(loaded.settings, snapshot)
    overloadReport.register(in: registry)
    retryReport.adopt(loaded.settings, snapshot.retries)
    retryReport.register(in: registry)
    hedgeReport.adopt(loaded.settings, snapshot.hedges)
    hedgeReport.register(in: registry)
    healthReport.adopt(snapshot.roster)
    healthReport.register(in: registry)
    discoveryReport.register(in: registry)
  }

  static var now: Instant { Instant(clinux_monotonic_now()) }

  /// The number of workers that settings ask for.
  public static func workerCount(_ settings: Settings) -> Int {
    // More could not share the limit of a service.
    settings.workers ?? min(max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))), Settings.mostWorkers)
  }

  /// Starts the workers; when it returns all of them accept.
  ///
  /// With names among the endpoints, or registries, it waits for first answers before, at most 2 s each.
  public func start() throws(EdgeError) {
    // Not before: the files may be readable for the user alone that the process has become.
    let words = try readLists(loaded.settings)
    let questions = try beginLists(words)
    // Of what was handed over nobody may need a name any more.
    if questions.isEmpty { book.keep([]) } else { try startResolving(questions) }
    let begun = try startAsking(after: questions.isEmpty ? 0 : 1)
    _ = discovery.promote(reach, at: Self.now)
    if !questions.isEmpty || !discovery.isEmpty { try republish() }
    let (snapshot, sockets) = running.withLock { ($0.snapshot, $0.sockets) }
    for number in begun..<workerCount {
      mailboxes[number].deliver(snapshot, sockets: Self.of(number, sockets, snapshot))
      let thread = try startWorker(number)
      running.withLock { $0.threads.append(thread) }
    }
    try upkeep.start(for: self)
    try keeper.start()
    watchSources()
  }

  /// From now on what limits have learned goes to `handOver` every few seconds while it changes, as a
  /// descriptor that is closed when it returns.
  ///
  /// `handOver` says whether it arrived.
  public func handOverLearned(to handOver: @escaping @Sendable (_ descriptor: Int32) -> Bool) {
    keeper.handOver(to: handOver)
  }

  /// Takes a new configuration for all requests that begin from now on.
  ///
  /// It waits for no name: an endpoint that is a new one has addresses once it is answered.
  public func reload(_ loaded: LoadedConfiguration) throws(EdgeError) {
    // Before the lock: what lies on a disk that is away must not keep others from publishing.
    let words = try readLists(loaded.settings)
    try discoveryRegistries.start(for: loaded.settings)
    try changes.withLock { _ throws(EdgeError) in
      let served = discovery.filled(self.loaded.settings)
      let plan = discovery.plan(loaded.settings, after: served, words: words, reach, at: Self.now)
      let questions = try questions(loaded.settings, plan)
      try apply(loaded, readsFiles: true, plan)
      discovery.commit(plan)
      watch(questions)
      watchSources()
    }
  }

  /// Gives workers the present configuration with what names stand for now.
  ///
  /// `readsFiles`: Whether certificates are read again where they have changed.
  func republish(readsFiles: Bool = false) throws(EdgeError) {
    try changes.withLock { _ throws(EdgeError) in
      try apply(self.loaded, readsFiles: readsFiles)
    }
  }

  func apply(
    _ loaded: LoadedConfiguration,
    readsFiles: Bool,
    _ plan: Discovery.Plan? = nil,
    opens: Bool = true
  ) throws(EdgeError) {
    let before = running.withLock { $0.sockets }
    let contexts = try certificates.prepare(loaded.settings, isFresh: readsFiles)
    let snapshot = try compiler.compile(
      discovery.filled(loaded.settings, plan),
      version: loaded.version,
      descriptors: options.descriptors,
      contexts: contexts,
      addresses: { self.addresses(of: $0) }
    )
    let sockets = try Self.takeSockets(loaded.settings, workerCount, inherited, before)
    certificates.commit(contexts)
    running.withLock {
      $0.loaded = loaded
      $0.sockets = sockets
      $0.snapshot = snapshot
    }
    for number in 0..<workerCount {
      let own = opens ? Self.of(number, sockets, snapshot) : nil
      mailboxes[number].deliver(snapshot, sockets: own)
    }
    admissionReport.adopt(loaded.settings, snapshot.admissions)
    adoptOverload(loaded.settings, snapshot)
    retryReport.adopt(loaded.settings, snapshot.retries)
    hedgeReport.adopt(loaded.settings, snapshot.hedges)
    healthReport.adopt(snapshot.roster)
    discovery.adopt(leftOut: snapshot.leftOut)
    // Behind the delivery: a worker that gets a call knows its service.
    adoptCalls(loaded.settings)
    shared.graveyard.clear()
  }

  /// How the slow plane calls services of the configuration, as requests of the highest class.
  public var caller: any ServiceCaller { calls }

  private func adoptCalls(_ settings: Settings) {
    calls.adopt(CallDirectory(settings) { compiler.services.place(of: $0) })
  }

  private func adoptOverload(_ settings: Settings, _ snapshot: Snapshot) {
    overloadReport.adopt(
      snapshot.overload,
      readinessAbove: settings.overload.readinessAbove
    )
  }

  /// Replies end their connections from now on; everything is still accepted.
  ///
  /// Returns once every worker knows, or after a worker hung for a second.
  public func beginDrain() {
    keeper.finish()
    for mailbox in mailboxes { mailbox.advance(to: .draining) }
    for _ in 0..<1_000 where !mailboxes.allSatisfy(\.isUpToDate) { usleep(1_000) }
  }

  /// Accepts nothing more and closes idle connections; requests under way go on.
  public func closeIdle() {
    // Their calls would be requests under way for as long as they last.
    discoveryRegistries.stop()
    for mailbox in mailboxes { mailbox.advance(to: .closing) }
  }

  /// Whether no exchange and no client connection is left, and none can come.
  public var isDrained: Bool {
    // A worker that has yet to hear of the end may be accepting right now.
    mailboxes.allSatisfy(\.isClosed) && registry.value(of: edge.activeExchanges) == 0
      && registry.value(of: counters.clients) == 0
  }

  /// Ends all workers, whatever they do, and waits for them.
  public func stop() {
    discoveryRegistries.stop()
    discoveryFiles.stop()
    upkeep.stop()
    keeper.stop()
    for mailbox in mailboxes { mailbox.advance(to: .stopped) }
    let (threads, sockets) = running.withLock { running in
      defer { running.threads = [] }
      return (running.threads, running.sockets)
    }
    for thread in threads { pthread_join(thread, nil) }
    for socket in sockets.values.joined() { inherited.release(socket) }
    shared.graveyard.clear()
  }

  /// Frees what workers left behind; called now and then.
  public func tidy() { shared.graveyard.clear() }

  /// The port of a listener, as the kernel gave it.
  public func port(ofListener name: String) -> UInt16? {
    guard let socket = running.withLock({ $0.sockets[name]?.first }) else { return nil }
    return KernelAddress(localOf: socket.descriptor)?.port
  }

  /// The configuration that serves.
  public var loaded: LoadedConfiguration { running.withLock { $0.loaded } }

  /// All listening sockets, for a hand-over.
  public var listeningSockets: [ListeningSocket] {
    running.withLock { Array($0.sockets.values.joined()) }
  }
}
