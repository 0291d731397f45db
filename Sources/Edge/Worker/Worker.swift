internal import Glibc
internal import HTTPCodec
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry
internal import Units
internal import Upstream

/// One core's share of the edge: a reactor and all that lives on it.
///
/// Everything here belongs to the worker's own thread, from `run` to its return; other threads
/// speak to it through its `WorkerMailbox` only. Files beside `Connection/`, `Exchange/` and
/// `Response/` extend it, each with one part of a request's life.
final class Worker {
  /// What an `Owner` names.
  enum OwnerKind: UInt8 {
    case none, listener, connection, connectionTimer, upstream, upstreamTimer, exchangeTimer
    case housekeeping, listenerTimer, resolver, resolverTimer, session, sessionTimer, secure
    case check, checkTimer
  }

  let number: Int
  let reactor: Reactor
  let mailbox: WorkerMailbox
  let meter: WorkerMeter
  let shared: SharedState
  /// Of all workers, by their numbers.
  let mailboxes: [WorkerMailbox]
  /// Services of which another worker wants one idle connection closed.
  var wishes: Set<Int32> = []
  /// Until when somebody may wait for the last of them.
  var wishesUntil = Instant(.min)

  var connections: Slab<Connection>
  var exchanges: Slab<Exchange>
  var upstreams: Slab<UpstreamConnection>
  var stretches: Slab<Stretch>
  /// Times that the table was full.
  var stretchExhaustions: UInt64 = 0
  /// The exchange whose body is being relayed and kept, -1 for none.
  var keeper: Int32 = -1
  /// The exchange whose response is being relayed, -1 for none.
  var reporter: Int32 = -1
  var sessions: Slab<Session>
  var secureLinks: Slab<SecureLink>
  /// Those with something to encrypt, and the list that is being worked off.
  var dirtyLinks: [Owner] = []
  var flushingLinks: [Owner] = []
  /// Those with something to decrypt, those with bytes of a handshake, those that wait for one, and
  /// those of which a part of the ClientHello came.
  var hotLinks = SecureList()
  var handshakeLinks = SecureList()
  var waitingLinks = SecureList()
  var greetingLinks = SecureList()
  /// Handshakes that were answered, in that order, linked by `older` and `newer`.
  var answeredLinks = SecureList()
  /// Links towards services with bytes of their handshake, those that wait for one, and how many
  /// handshakes are under way.
  var upstreamHandshakeLinks = SecureList()
  var upstreamWaitingLinks = SecureList()
  var upstreamHandshakes = 0
  /// Those of each service, by its place.
  let serviceHandshakes: UnsafeMutablePointer<Int32>
  /// One has ended since those that wait were looked at.
  var hasEndedUpstreamHandshake = false
  /// Sessions that services may let us resume, by endpoint.
  let upstreamSessions = ClientSessionCache()
  /// Handshakes under way.
  var handshakes = 0
  let handshakeBounds: HandshakeBounds
  /// A block was wanted for TLS and there was none.
  var isSecureStarved = false
  /// Room for what TLS says by itself, and for bringing plaintext together.
  let scratch: UnsafeMutablePointer<UInt8>
  /// Links of streams, by the stream's index.
  let links: UnsafeMutablePointer<StreamLink>
  let workspace: H2Workspace
  /// What sessions towards services have beyond others, by the session's index.
  let serviceSessions: UnsafeMutablePointer<ServiceSession>
  var serviceSessionCount = 0
  var serviceStreamCount = 0
  /// The session that is read or written right now: it is not closed to make room.
  var servedSession: Int32 = -1
  /// The stream that upstream connections name whose own one is gone: it takes and gives nothing.
  let goneStream: Int32
  /// The timers of exchanges by their index, -1 where there is none yet.
  ///
  /// They stay, armed, when the exchange ends: to move a deadline later costs one store, a new timer
  /// a walk through the wheel.
  let exchangeTimers: UnsafeMutablePointer<Int32>
  /// Sessions that may have something to send.
  var firstDirtySession: Int32 = -1
  /// Sessions that hold much, and when some were ended for it last.
  var firstHeavySession: Int32 = -1
  var relievedAt = Instant(0)
  var heldReaders = HeldReaders()
  /// Entries of `connections` that are streams, and streams of all sessions.
  var streamConnections = 0
  var streamCount = 0
  /// Exchanges that wait for their bodies before a permit is asked for.
  var gathering = 0
  let endpoints: UnsafeMutablePointer<EndpointState>
  /// Round-robin cursors by the service's place.
  let cursors: UnsafeMutablePointer<UInt32>
  /// The pressure on this process, and what is refused for it.
  var overload: WorkerOverload
  /// What is remembered of services whose choice is more than plain, by their places.
  let views: UnsafeMutablePointer<ChoiceView>
  /// How long routes take that have hedges, by their places.
  let hedgeEstimates: UnsafeMutablePointer<HedgeEstimate>
  /// This worker's sides of the admissions of services.
  var admissions = AdmissionTable()
  /// Exchanges that wait for room of their services, and which lines are to be looked at.
  var waitLines: WaitLines
  var capTurns = CapTurns()
  /// By name, in the order they were first seen; connections name them by their index.
  var listeners: [WorkerListener] = []
  var acceptors: [Acceptor] = []
  /// Sockets for which there was no timer or watch; tried again with each housekeeping.
  var unopened: [WorkerSocket] = []
  /// The edge's own calls by their connections, and the listener that these name, -1 before there is
  /// one.
  var calls: [Int32: WorkerCall] = [:]
  var callListener: Int32 = -1
  /// Exchanges of such calls.
  var callExchanges = 0
  var snapshots: SnapshotTable
  /// By exchange, of those that gave their snapshot back.
  var ledgers: [Int32: Ledger] = [:]
  /// A snapshot that found no slot, with the sockets that go with it.
  var deferred: (snapshot: Snapshot, sockets: [WorkerSocket]?)?
  /// The health checks that are this worker's.
  var checks = CheckTable()
  /// Endpoints of the newest snapshot.
  var knownPlaces: [Int32] = []
  var random: SplitMix64
  var date: DateField
  var isDraining = false
  var isStopping = false
  /// Whether the gauges of TLS and HTTP/2 were not all zero when they were last published.
  private var hasPublishedMore = false
  /// The idle connections are closed and nothing is accepted from here on.
  var isClosingIdle = false
  /// The first worker's, once there are names among the endpoints.
  var resolver: NameResolver?
  private let housekeepingTimer: Int32

  /// Field tables of the heads being looked at; a head is never kept as a table.
  let requestFields: UnsafeMutablePointer<HeadField>
  let responseFields: UnsafeMutablePointer<HeadField>
  /// The normalised path of the request being looked at.
  let path: UnsafeMutablePointer<UInt8>
  /// The methods that the Allow field of a 405 lists.
  let allowed: UnsafeMutablePointer<UInt8>
  var allowedLength = 0
  static let allowedCapacity = RouteTable.maximumAllowBytes
  /// The id that was made for it.
  let identifier: UnsafeMutablePointer<UInt8>

  init(
    number: Int,
    reactor: Reactor,
    mailboxes: [WorkerMailbox],
    meter: WorkerMeter,
    shared: SharedState,
    bounds: Reactor.Bounds,
    handshakes: HandshakeBounds,
    snapshots: Int,
    seed: UInt64
  ) {
    self.number = number
    self.reactor = reactor
    self.mailboxes = mailboxes
    mailbox = mailboxes[number]
    self.meter = meter
    self.shared = shared
    overload = WorkerOverload(classes: shared.classes)
    let streams = Self.maximumStreams(bounds)
    connections = Slab(capacity: bounds.sockets + streams)
    exchanges = Slab(capacity: bounds.sockets)
    waitLines = WaitLines(entries: bounds.sockets, lines: ServiceDirectory.capacity)
    exchangeTimers = .allocate(capacity: bounds.sockets)
    exchangeTimers.initialize(repeating: -1, count: bounds.sockets)
    upstreams = Slab(capacity: bounds.sockets)
    stretches = Slab(capacity: bounds.blocks * 2)
    sessions = Slab(capacity: bounds.sockets)
    secureLinks = Slab(capacity: bounds.sockets)
    handshakeBounds = handshakes
    scratch = .allocate(capacity: Self.secureScratch)
    scratch.initialize(repeating: 0, count: Self.secureScratch)
    // Clients' streams, and those to services: each of an upstream connection, at most.
    let allStreams = streams + bounds.sockets
    links = .allocate(capacity: allStreams + 1)
    goneStream = Int32(allStreams)
    links[allStreams] = StreamLink(session: -1, receiver: -1, flags: [.isGone, .isReset])
    workspace = H2Workspace(streams: allStreams)
    serviceSessions = .allocate(capacity: bounds.sockets)
    endpoints = .allocate(capacity: EndpointDirectory.capacity)
    endpoints.initialize(repeating: EndpointState(), count: EndpointDirectory.capacity)
    cursors = .allocate(capacity: ServiceDirectory.capacity)
    cursors.initialize(repeating: 0, count: ServiceDirectory.capacity)
    views = .allocate(capacity: ServiceDirectory.capacity)
    views.initialize(repeating: ChoiceView(), count: ServiceDirectory.capacity)
    hedgeEstimates = zeroedMemory(HedgeEstimate.self, HedgeDirectory.capacity)
    serviceHandshakes = .allocate(capacity: ServiceDirectory.capacity)
    serviceHandshakes.initialize(repeating: 0, count: ServiceDirectory.capacity)
    self.snapshots = SnapshotTable(capacity: snapshots)
    random = SplitMix64(seed: seed)
    date = DateField()
    requestFields = .allocate(capacity: HeadLimits.mostFields)
    requestFields.initialize(repeating: HeadField(), count: HeadLimits.mostFields)
    responseFields = .allocate(capacity: HeadLimits.mostFields)
    responseFields.initialize(repeating: HeadField(), count: HeadLimits.mostFields)
    path = .allocate(capacity: BlockPool.blockSize)
    path.initialize(repeating: 0, count: BlockPool.blockSize)
    allowed = .allocate(capacity: Self.allowedCapacity)
    allowed.initialize(repeating: 0, count: Self.allowedCapacity)
    identifier = .allocate(capacity: 32)
    identifier.initialize(repeating: 0, count: 32)
    housekeepingTimer = reactor.timers.allocate(
      for: Owner(kind: OwnerKind.housekeeping.rawValue, index: 0, generation: 0)
    )
  }

  deinit {
    scratch.deallocate()
    exchangeTimers.deallocate()
    links.deallocate()
    serviceSessions.deallocate()
    endpoints.deallocate()
    cursors.deallocate()
    views.deallocate()
    free(hedgeEstimates)
    serviceHandshakes.deallocate()
    requestFields.deallocate()
    responseFields.deallocate()
    path.deallocate()
    identifier.deallocate()
    allowed.deallocate()
  }

  /// Serves until it is told to stop.
  func run() {
    readMail()
    while !isStopping {
      let queues = Self.sooner(admissionWait, capsWait)
      reactor.turn(limit: Self.sooner(Self.sooner(secureWait, queues), overload.wait))
      meter.turnBegan(at: reactor.now, waitedSince: reactor.waitStarted)
      notePressure()
      while true {
        let event = reactor.next()
        guard event.kind != .none else { break }
        handle(event)
      }
      if isShortOfBlocks { relieveReaders() }
      serveSecure()
      serveAdmissions()
      serveCaps()
      if firstDirtySession >= 0 || firstHeavySession >= 0 || !wishes.isEmpty { flushSessions() }
      if !dirtyLinks.isEmpty { flushSecure() }
      publishGauges()
    }
    closeEverything()
    reactor.settle()
    publishGauges()
  }

  private static func sooner(_ a: Nanoseconds?, _ b: Nanoseconds?) -> Nanoseconds? {
    guard let a, let b else { return a ?? b }
    return min(a, b)
  }

  private func handle(_ event: Event) {
    guard event.kind != .mailbox else { return readMail() }
    let index = event.owner.index
    switch OwnerKind(rawValue: event.owner.kind) ?? .none {
    case .connection: handleConnection(index, event)
    case .upstream: handleUpstream(index, event)
    case .listener: handleListener(Int(index), event)
    case .connectionTimer: connectionTimerFired(index)
    case .upstreamTimer: upstreamTimerFired(index)
    // Timers outlive their exchanges.
    case .exchangeTimer
    where event.owner == owner(.exchangeTimer, index, exchanges.generation(index)):
      exchangeTimerFired(index)
    case .exchangeTimer: break
    case .listenerTimer: resumeListener(Int(index))
    case .housekeeping: housekeep()
    case .resolver: resolverReady(event)
    case .resolverTimer: resolverTimerFired()
    case .session: handleSession(index, event)
    case .sessionTimer: sessionTimerFired(index)
    case .secure: handleSecure(index, event)
    case .check: handleCheck(index, event)
    case .checkTimer: checkTimerFired(index)
    case .none: break
    }
  }

  private func handleConnection(_ index: Int32, _ event: Event) {
    switch event.kind {
    case .received: connectionReceived(index, event.block, 0, Int(event.value))
    case .endOfStream: connectionEnded(index)
    case .failed: connectionFailed(index)
    case .drained: connectionDrained(index)
    case .none, .connected, .accepted, .ready, .timer, .mailbox: break
    }
  }

  private func handleUpstream(_ index: Int32, _ event: Event) {
    switch event.kind {
    case .received: upstreamReceived(index, event.block, 0, Int(event.value))
    case .endOfStream: upstreamEnded(index)
    case .failed: upstreamFailed(index, code: event.value)
    case .drained: upstreamDrained(index)
    case .connected: upstreamConnected(index)
    case .none, .accepted, .ready, .timer, .mailbox: break
    }
  }

  func owner(_ kind: OwnerKind, _ index: Int32, _ generation: UInt32) -> Owner {
    Owner(kind: kind.rawValue, index: index, generation: generation)
  }

  /// Wakes the worker at an instant for `housekeep`.
  func scheduleHousekeeping(at instant: Instant) {
    reactor.timers.set(housekeepingTimer, at: instant)
  }

  private func publishGauges() {
    publishLoad()
    meter.set(
      connections: clientConnections,
      exchanges: exchanges.count - callExchanges,
      blocks: reactor.blocksInUse,
      free: reactor.blocksFree,
      snapshots: snapshots.count
    )
    meter.exhausted(
      blocks: reactor.pool.exhaustions,
      segments: reactor.segmentExhaustions,
      stretches: stretchExhaustions
    )
    // Clear HTTP/1.1 has none of the rest; what is gone is said once more.
    let hasMore = sessions.count > 0 || secureLinks.count > 0
    guard hasMore || hasPublishedMore else { return }
    hasPublishedMore = hasMore
    meter.set(
      sessions: sessions.count - serviceSessionCount,
      streams: streamCount - serviceStreamCount
    )
    meter.set(serviceSessions: serviceSessionCount, streams: serviceStreamCount)
    meter.set(http2Memory: workspace.memoryInUse)
    meter.set(handshakes: handshakes, waiting: waitingLinks.count)
    meter.set(upstreamHandshakes: upstreamHandshakes, waiting: upstreamWaitingLinks.count)
  }
}
