internal import CLinux
internal import Glibc
public import Units

/// One worker's event loop: sockets, timers, buffers and the bell, on epoll or io_uring.
///
/// A turn is: flush what was queued, wait, then hand out events one by one until `.none`. The owner
/// calls `turn` and `next` alternately on one thread; nothing here is safe to call from another but
/// `Bell.ring`. Sockets are named by the index that `adopt` or `connect` returned, valid until
/// `close`; events for a closed socket are never given.
public final class Reactor {
  public enum Backend: String, Sendable, CaseIterable {
    case epoll
    case ioUring = "io_uring"

    /// Those that this kernel allows, the preferred one first: containers often forbid io_uring.
    public static let allowed: [Backend] = [.ioUring, .epoll].filter { $0.refusal == nil }

    /// Why the kernel does not let us use it, `nil` when it does; asks by opening one.
    public var refusal: ReactorError? {
      var bounds = Bounds()
      bounds.sockets = 8
      bounds.blocks = 64
      do {
        _ = try Reactor(backend: self, bounds: bounds)
        return nil
      } catch {
        return error
      }
    }
  }

  /// Bounds of one worker's reactor; each has a counter for when it was hit.
  public struct Bounds: Sendable {
    /// Sockets, both sides of the edge, and timers (three of these for every socket).
    public var sockets = 65_536
    /// Blocks of `BlockPool.blockSize` bytes; in `64...32768`.
    public var blocks = 8_192
    /// Timers beyond three for every socket.
    public var timers = 32_768

    public init() {}
  }

  /// Listeners and foreign descriptors of one worker.
  static let maximumWatches = 1_024
  /// Parts that one send may have.
  static let sendParts = 16

  public let backend: Backend
  public let pool: BlockPool
  /// The time of this turn, read when its wait is over; `waitStarted` is the only other reading.
  public internal(set) var now: Instant
  public var timers: TimerWheel
  public let bell: Bell

  var sockets: Slab<SocketEntry>
  var segments: Slab<Segment>
  var watches: Slab<Watch>
  /// A block was wanted in this turn and there was none.
  var isStarved = false
  var firstDirty: Int32 = -1
  /// Events since something was sent, and how many there may be.
  ///
  /// A send costs the same whenever it is made with epoll, while io_uring saves by making many with
  /// one call; at these intervals neither costs more than with one flush a turn.
  private var eventsUnsent = 0
  private let sendInterval: Int
  var firstHot: Int32 = -1
  /// The hot list of this turn, taken off `firstHot` so that no socket is served twice in a turn.
  var serving: Int32 = -1
  /// The block that a vectored read filled beyond its first, still to be handed out.
  var surplus = Surplus()
  var epoll: EpollState
  /// Behind a pointer: a reference would be counted up and down for every event.
  let ring: UnsafeMutablePointer<RingState>?
  /// How often a write found no room in the segment table.
  public internal(set) var segmentExhaustions: UInt64 = 0
  /// When the wait of this turn began: before it the worker was busy.
  public internal(set) var waitStarted: Instant

  /// Opens the event loop of the calling thread.
  ///
  /// - Throws: `ReactorError` when the kernel allows neither, or not the forced one.
  public init(backend: Backend, bounds: Bounds) throws(ReactorError) {
    self.backend = backend
    sendInterval = backend == .epoll ? 8 : 16
    pool = BlockPool(capacity: bounds.blocks)
    now = Instant(clinux_monotonic_now())
    waitStarted = now
    timers = TimerWheel(capacity: bounds.sockets * 3 + bounds.timers, at: now)
    sockets = Slab(capacity: bounds.sockets)
    segments = Slab(capacity: bounds.blocks * 4)
    watches = Slab(capacity: Self.maximumWatches)
    bell = try Bell()
    switch backend {
    case .epoll:
      epoll = try EpollState(open: true)
      ring = nil
      _ = clinux_epoll_set_level(
        epoll.descriptor,
        bell.descriptor,
        UInt32(CLINUX_READABLE),
        Token.bell.rawValue,
        1
      )
    case .ioUring:
      epoll = try EpollState(open: false)
      let state = try RingState(pool: pool, sockets: bounds.sockets)
      let place = UnsafeMutablePointer<RingState>.allocate(capacity: 1)
      place.initialize(to: state)
      ring = place
      armBell()
    }
  }

  deinit {
    // A close that was asked for after the last turn is still to be told to the kernel; while the
    // descriptors are ours, or what is queued beside it could meet another's.
    ring?.pointee.submit()
    for index in 0..<sockets.capacity where sockets.generation(Int32(index)) & 1 == 1 {
      let entry = sockets[Int32(index)].pointee
      if !entry.flags.contains(.closed) { Glibc.close(entry.descriptor) }
    }
    ring?.pointee.close()
    ring?.deinitialize(count: 1)
    ring?.deallocate()
    epoll.close()
  }

  /// Sockets that are open, or closed with operations under way.
  public var socketCount: Int { sockets.count }

  /// Blocks that hold bytes; those that the kernel has to receive into do not.
  public var blocksInUse: Int { pool.inUse - (ring?.pointee.lent ?? 0) }

  /// Blocks that can be acquired; those that the kernel has to receive into cannot.
  public var blocksFree: Int { pool.capacity - pool.inUse }

  // MARK: - The turn

  /// Flushes what is queued, then waits until something happens or `limit` has passed.
  public func turn(limit: Nanoseconds? = nil) {
    flushDirty()
    waitStarted = Instant(clinux_monotonic_now())
    var wait: Int64 = -1
    var isExact = false
    if firstHot >= 0 || timers.hasExpired {
      // Without blocks there is nothing to do but to let others give some back.
      wait = isStarved ? 1_000_000 : 0
      isStarved = false
    } else {
      if let due = timers.wait(from: waitStarted) { wait = due.rawValue }
      if let limit, wait < 0 || limit.rawValue < wait {
        wait = limit.rawValue
        isExact = true
      }
    }
    eventsUnsent = 0
    if ring == nil { waitEpoll(wait, isExact: isExact) } else { waitRing(wait) }
    now = Instant(clinux_monotonic_now())
    timers.advance(to: now)
    serving = firstHot
    firstHot = -1
  }

  /// Lets the kernel finish what was closed; called when the loop is over.
  public func settle() {
    for _ in 0..<Self.settlingTurns where sockets.count > 0 {
      turn(limit: .milliseconds(5))
      while true {
        let event = next()
        guard event.kind != .none else { break }
        if event.kind == .received { pool.release(event.block) }
        if event.kind == .accepted { Glibc.close(event.value) }
      }
    }
    ring?.pointee.submit()
  }

  /// Turns of 5 ms that closed sockets may take to come back from the kernel.
  private static let settlingTurns = 20

  /// The next event of this turn; `.none` ends it.
  public func next() -> Event {
    sendInTime()
    if surplus.taken < surplus.count { return takeSurplus() }
    let event = ring == nil ? nextEpoll() : nextRing()
    if event.kind != .none { return event }
    while serving >= 0 {
      let index = serving
      let socket = sockets[index]
      serving = socket.pointee.nextHot
      socket.pointee.flags.remove(.hot)
      let event = lookAt(index, socket)
      if event.kind != .none { return event }
    }
    if let owner = timers.takeExpired() { return Event(.timer, owner) }
    return Event(.none, Owner(rawValue: 0))
  }

  /// Sends what earlier events of a long turn queued, so that their peers can go on meanwhile: with
  /// everything sent at its end, peers and this loop take turns in being idle.
  @inline(__always)
  private func sendInTime() {
    eventsUnsent += 1
    guard eventsUnsent > sendInterval else { return }
    eventsUnsent = 0
    guard firstDirty >= 0 else { return }
    flushDirty()
    ring?.pointee.submit()
  }

  /// What a socket of the hot list has to say.
  private func lookAt(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) -> Event {
    let flags = socket.pointee.flags
    guard !flags.contains(.closed) else {
      releaseIfUnlisted(index, socket)
      return Event(.none, socket.pointee.owner)
    }
    if flags.contains(.broken) {
      socket.pointee.flags.remove(.broken)
      guard !flags.contains(.failed) else { return Event(.none, socket.pointee.owner) }
      socket.pointee.flags.formUnion([.ended, .failed])
      return Event(.failed, socket.pointee.owner, value: Int32(socket.pointee.error))
    }
    if flags.contains(.drainDue) {
      socket.pointee.flags.remove(.drainDue)
      if flags.contains(.readable) { heat(index, socket) }
      return Event(.drained, socket.pointee.owner)
    }
    if flags.contains(.readable), flags.isDisjoint(with: [.paused, .ended]) {
      return ring == nil ? receive(index, socket) : rearm(index, socket)
    }
    return Event(.none, socket.pointee.owner)
  }

  /// Puts a socket in the list of those that want a look in the next turn.
  func heat(_ index: Int32, _ socket: UnsafeMutablePointer<SocketEntry>) {
    guard !socket.pointee.flags.contains(.hot) else { return }
    socket.pointee.flags.insert(.hot)
    socket.pointee.nextHot = firstHot
    firstHot = index
  }
}

/// What an event of the kernel refers to, packed into its 64 bits of user data.
struct Token: Equatable {
  enum Kind: UInt8 {
    case stream, send, connect, listener, foreign, bell, cancel
  }

  var rawValue: UInt64

  init(rawValue: UInt64) { self.rawValue = rawValue }

  init(_ kind: Kind, index: Int32, generation: UInt32) {
    rawValue = Owner(kind: kind.rawValue, index: index, generation: generation).rawValue
  }

  static let bell = Token(.bell, index: 0, generation: 0)
  static let cancel = Token(.cancel, index: 0, generation: 0)

  var kind: Kind { Kind(rawValue: Owner(rawValue: rawValue).kind) ?? .cancel }
  var index: Int32 { Owner(rawValue: rawValue).index }
  var generation: UInt32 { Owner(rawValue: rawValue).generation }
}
