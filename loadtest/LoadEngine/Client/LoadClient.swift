internal import CLinux
internal import Glibc
internal import HTTPCodec
public import LoadKit
public import Reactor
import Synchronization
internal import TLS
public import Units

/// Sends a schedule to a target and counts what becomes of it; one thread, HTTP/1.1 and HTTP/2.
///
/// ```
/// schedule ─▶ waiting ─▶ active ─┬─▶ ended
///               ▲                └─▶ pausing ─▶ waiting     (a caller that tries again)
/// ```
///
/// Latency is counted from the intended send time, so neither a slow target nor a slow harness can
/// hide a wait. How late the harness itself was is kept apart, in `figures.lag`.
public final class LoadClient: @unchecked Sendable {
  // Safe to share: other threads reach `stop` alone, which uses the atomic and the bell.

  public struct Options: Sendable {
    public var backend = Reactor.Backend.epoll
    public var connections = ConnectionBounds()
    public var wireProtocol = WireProtocol.http1
    /// For a target that speaks TLS.
    public var trust = TargetTrust.system
    public var seed: UInt64 = 1

    public init() {}
  }

  /// What the harness knows of itself.
  public struct Figures {
    /// From the intended send time until the kernel had the request, or the call had to wait.
    public let lag = Histogram()
    /// Calls that had to wait for a connection.
    public var waited: UInt64 = 0
    public var connects: UInt64 = 0
    public var connectFailures: UInt64 = 0
    /// Sent once more, because a kept connection had been closed by the target.
    public var resent: UInt64 = 0
    /// Connections dropped because bytes came that nobody asked for.
    public var unsolicited: UInt64 = 0
    public var bytesReceived: UInt64 = 0
    public var mostConnections = 0
    /// Streams of all sessions, at most.
    public var mostStreams = 0
    /// Buffers of 16 KiB in use, at most.
    public var mostBlocks = 0
    /// CPU time of the process, in seconds.
    public var processorTime = 0.0
    /// How long it took, in seconds.
    public var elapsed = 0.0
    /// Whether `stop` ended it.
    public var isStopped = false
  }

  /// Calls at once; more are counted as `no-room`, and the run is void.
  public static let maximumCalls = 131_072
  /// Descriptors that are no connections.
  private static let otherDescriptors = 64
  /// Bytes of an answer's head.
  static let limits = HeadLimits()

  enum OwnerKind {
    static let connection: UInt8 = 1
    static let call: UInt8 = 2
    static let pace: UInt8 = 3
  }

  let target: Target
  let kinds: [RequestKind]
  let reactor: Reactor
  let bounds: ConnectionBounds
  let requests: [SharedBytes]
  let prepared: [PreparedRequest]
  let wireProtocol: WireProtocol
  let secureContext: TLSClientContext?
  /// Where HTTP/2 may be spoken.
  let workspace: H2Workspace?
  /// The call of each stream of the workspace, or -1.
  let callOfStream: UnsafeMutablePointer<Int32>
  /// What ALPN chose last.
  var speaksHTTP2: Bool
  /// Connections on their way to be established.
  var opening = 0
  /// Sessions with something to say, linked through them.
  var firstDirty: Int32 = -1
  let scratch: UnsafeMutablePointer<UInt8>
  let sessionScratch: UnsafeMutablePointer<UInt8>
  let methods: [Method]
  var calls: Slab<Call>
  var connections: Slab<ClientConnection>
  var idle = LinkedEnds()
  var waiting = LinkedEnds()
  let fields: UnsafeMutablePointer<HeadField>
  var account: Account
  var explanations = Explanations()
  public internal(set) var figures = Figures()
  /// Callers of a closed loop that want to send their next request.
  var readyCallers = 0
  var isClosedLoop = false
  var draw: SplitMix64
  private let seed: UInt64
  private let stopping = Atomic(false)
  private let bell: Bell
  /// Intended times of what was sent in this turn.
  private var batch: [Instant] = []

  /// Prepares the requests; call on the thread that will run it when the ring is used.
  ///
  /// - Parameters:
  ///   - target: Where to.
  ///   - kinds: At least one.
  ///   - options: How.
  /// - Throws: When the kernel refuses, or the messages do not fit.
  public init(_ target: Target, kinds: [RequestKind], _ options: Options) throws {
    self.target = target
    self.kinds = kinds
    var bounds = options.connections
    // Beyond it connecting would fail here, and the target be blamed.
    bounds.most = max(1, min(bounds.most, Descriptors.most - Self.otherDescriptors))
    bounds.opened = min(bounds.opened, bounds.most)
    self.bounds = bounds
    seed = options.seed
    draw = SplitMix64(seed: options.seed ^ 0xD2A3)
    var size = Reactor.Bounds()
    size.sockets = max(bounds.most + 64, Self.maximumCalls / 2)
    size.blocks = min(32_768, max(4_096, bounds.most + 2_048))
    reactor = try Reactor(backend: options.backend, bounds: size)
    bell = reactor.bell
    let pool = reactor.pool
    requests = try kinds.map { kind in
      try SharedBytes(PreparedRequest.head(kind, target), filler: kind.bodySize, pool: pool)
    }
    prepared = try kinds.map { try PreparedRequest($0, target) }
    wireProtocol = options.wireProtocol
    let offers: [ApplicationProtocol] =
      switch wireProtocol {
      case .http1: [.http1]
      case .http2: [.http2]
      case .automatic: [.http2, .http1]
      }
    secureContext = target.isSecure ? try options.trust.context(offers) : nil
    let mayBeHTTP2 = wireProtocol == .http2 || wireProtocol == .automatic && target.isSecure
    guard mayBeHTTP2 || !kinds.contains(where: \.isGRPC) else {
      throw EngineError("calls of gRPC need HTTP/2: protocol: h2")
    }
    speaksHTTP2 = mayBeHTTP2
    // Closed streams stay in the table until the turn's end.
    let streams = 2 * Self.maximumCalls
    workspace = mayBeHTTP2 ? H2Workspace(streams: streams) : nil
    callOfStream = .allocate(capacity: mayBeHTTP2 ? streams : 1)
    callOfStream.initialize(repeating: -1, count: mayBeHTTP2 ? streams : 1)
    scratch = .allocate(capacity: Self.scratchSize)
    sessionScratch = .allocate(capacity: BlockPool.blockSize)
    methods = kinds.map { kind in
      Method.allCases.first { "\($0.name)" == kind.method } ?? .other
    }
    calls = Slab(capacity: Self.maximumCalls)
    connections = Slab(capacity: bounds.most)
    fields = .allocate(capacity: Self.limits.maximumFields)
    account = Account(classes: 1, phases: 1, intervals: 1)
    batch.reserveCapacity(4_096)
  }

  deinit {
    fields.deallocate()
    callOfStream.deallocate()
    scratch.deallocate()
    sessionScratch.deallocate()
  }

  /// Whether one connection carries many calls at once.
  var isMultiplexed: Bool {
    switch wireProtocol {
    case .http1: false
    case .http2: true
    case .automatic: speaksHTTP2
    }
  }

  /// Ends a run soon; from any thread.
  public func stop() {
    stopping.store(true, ordering: .releasing)
    bell.ring()
  }

  // MARK: - The run

  /// Sends a plan and waits for the last answer or its timeout.
  ///
  /// - Parameters:
  ///   - plan: What is sent, when.
  ///   - account: Where it counts.
  ///   - tick: Called about four times a second with the time since the start, and when a phase
  ///     begins.
  public func run(_ plan: SendPlan, into account: Account, tick: (Nanoseconds) -> Void) {
    ThreadPriority.preferred { send(plan, into: account, tick: tick) }
  }

  private func send(_ plan: SendPlan, into account: Account, tick: (Nanoseconds) -> Void) {
    _ = clinux_exact_timers()
    self.account = account
    figures = Figures()
    if case .closed = plan.arrivals { isClosedLoop = true } else { isClosedLoop = false }
    openConnections()
    let processor = Self.processorTime()
    var clock = PlanClock(plan, seed: seed, start: now() + .milliseconds(20))
    var nextTick = clock.start
    while true {
      reactor.turn(limit: wait(clock, nextTick))
      noteLag()
      var handled = 0
      while true {
        let event = reactor.next()
        guard event.kind != .none else { break }
        handle(event)
        handled += 1
        // A long turn must not make sends late; what is queued here leaves with the next events.
        if handled & 31 == 0 { sendDue(&clock) }
      }
      sendDue(&clock)
      flushSessions()
      let time = now()
      if time >= nextTick {
        nextTick = max(
          min(clock.nextPhaseStart, time + .milliseconds(250)),
          time + .milliseconds(1)
        )
        tick(time - clock.start)
      }
      if stopping.load(ordering: .acquiring) {
        figures.isStopped = true
        endAll()
        break
      }
      if clock.isOver(at: time), calls.count == 0 { break }
    }
    figures.elapsed = (now() - clock.start).seconds
    figures.processorTime = Self.processorTime() - processor
    closeAll()
  }

  func now() -> Instant { Instant(clinux_monotonic_now()) }

  private func wait(_ clock: PlanClock, _ nextTick: Instant) -> Nanoseconds {
    if readyCallers > 0 { return .zero }
    return max(.zero, min(clock.next, nextTick) - now())
  }

  /// Everything queued in the last turn is with the kernel since the wait of this one began.
  private func noteLag() {
    figures.mostBlocks = max(figures.mostBlocks, reactor.blocksInUse)
    guard !batch.isEmpty else { return }
    let sent = reactor.waitStarted
    for intended in batch { figures.lag.record((sent - intended).rawValue) }
    batch.removeAll(keepingCapacity: true)
  }

  private func sendDue(_ clock: inout PlanClock) {
    let time = now()
    while batch.count < 4_096, let due = clock.take(at: time) {
      batch.append(due.intended)
      start(due)
    }
    while readyCallers > 0 {
      readyCallers -= 1
      guard let due = clock.takeClosed(at: time) else { continue }
      start(due)
    }
  }

  func handle(_ event: Event) {
    let index = event.owner.index
    switch event.kind {
    case .received: received(index, block: event.block, count: Int(event.value))
    case .endOfStream: ended(index)
    case .connected: connected(index)
    case .failed: failed(index, code: event.value)
    case .timer: event.owner.kind == OwnerKind.pace ? paceFired(index) : timerFired(index)
    case .drained: drained(index)
    case .accepted: Glibc.close(event.value)
    case .none, .ready, .mailbox: break
    }
  }

  /// CPU seconds of this thread, user and system.
  private static func processorTime() -> Double {
    var usage = rusage()
    // RUSAGE_THREAD, which the module lacks.
    guard getrusage(__rusage_who_t(1), &usage) == 0 else { return 0 }
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }
}

/// Both ends of a list whose links lie in its elements.
struct LinkedEnds: BitwiseCopyable {
  var first: Int32 = -1
  var last: Int32 = -1
  var count = 0
}
