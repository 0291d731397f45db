internal import CLinux
internal import Glibc
internal import HTTPCodec
public import LoadKit
public import Reactor
import Synchronization
public import Units

/// Sends a schedule to a target and counts what becomes of it; one thread, HTTP/1.1.
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
    /// CPU time of the process, in seconds.
    public var processorTime = 0.0
    /// How long it took, in seconds.
    public var elapsed = 0.0
    /// Whether `stop` ended it.
    public var isStopped = false
  }

  /// Calls at once; more are counted as `no-room`, and the run is void.
  public static let maximumCalls = 131_072
  /// Bytes of an answer's head.
  static let limits = HeadLimits()

  enum OwnerKind {
    static let connection: UInt8 = 1
    static let call: UInt8 = 2
  }

  let target: Target
  let kinds: [RequestKind]
  let reactor: Reactor
  let bounds: ConnectionBounds
  let requests: [SharedBytes]
  let methods: [Method]
  var calls: Slab<Call>
  var connections: Slab<ClientConnection>
  var idle = LinkedEnds()
  var waiting = LinkedEnds()
  let fields: UnsafeMutablePointer<HeadField>
  var account: Account
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
    bounds = options.connections
    seed = options.seed
    draw = SplitMix64(seed: options.seed ^ 0xD2A3)
    var size = Reactor.Bounds()
    size.sockets = max(bounds.most + 64, Self.maximumCalls / 2)
    size.blocks = min(32_768, max(4_096, bounds.most + 2_048))
    reactor = try Reactor(backend: options.backend, bounds: size)
    bell = reactor.bell
    let pool = reactor.pool
    requests = try kinds.map { kind in
      try SharedBytes(Self.head(kind, target), filler: kind.bodySize, pool: pool)
    }
    methods = kinds.map { kind in
      Method.allCases.first { "\($0.name)" == kind.method } ?? .other
    }
    calls = Slab(capacity: Self.maximumCalls)
    connections = Slab(capacity: bounds.most)
    fields = .allocate(capacity: Self.limits.maximumFields)
    account = Account(classes: 1, phases: 1, intervals: 1)
    batch.reserveCapacity(4_096)
  }

  deinit { fields.deallocate() }

  private static func head(_ kind: RequestKind, _ target: Target) -> [UInt8] {
    var text = "\(kind.method) \(kind.path) HTTP/1.1\r\n"
    let given = Set(kind.headers.map { $0.name.lowercased() })
    if !given.contains("host") { text += "host: \(target.authority)\r\n" }
    if !given.contains("user-agent") { text += "user-agent: spillway-loadtest\r\n" }
    for header in kind.headers { text += "\(header.name): \(header.value)\r\n" }
    if kind.bodySize > 0 || ["POST", "PUT", "PATCH"].contains(kind.method) {
      text += "content-length: \(kind.bodySize)\r\n"
    }
    return Array((text + "\r\n").utf8)
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

  private func handle(_ event: Event) {
    let index = event.owner.index
    switch event.kind {
    case .received: received(index, block: event.block, count: Int(event.value))
    case .endOfStream: ended(index)
    case .connected: connected(index)
    case .failed: failed(index, code: event.value)
    case .timer: timerFired(index)
    case .accepted: Glibc.close(event.value)
    case .none, .drained, .ready, .mailbox: break
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
