internal import Reactor
import Synchronization
internal import Units
internal import Upstream

/// Where other threads leave what they have to say to a worker.
///
/// Each kind of message has a place of its own and replaces its predecessor, so nothing that must
/// arrive can be dropped and nothing grows.
final class WorkerMailbox: Sendable {
  /// How far a shutdown has come.
  enum Stage: Int, AtomicRepresentable {
    case serving
    /// Replies end their connections.
    case draining
    /// Nothing is accepted any more, idle connections close.
    case closing
    case stopped
  }

  /// A configuration on its way to the worker.
  struct Post {
    var snapshot: Snapshot?
    /// All sockets to accept from, or `nil` when they stay as they are.
    var sockets: [WorkerSocket]?
    /// Sockets of an earlier post that the worker never read and this one has no more: they were
    /// taken for the worker, so it must give them back.
    var superseded: [WorkerSocket] = []
  }

  /// The edge's own calls on their way to the worker, as many as `CallBounds` has under way at most.
  private struct Calls {
    var isOpen = false
    var waiting: [WorkerCall] = []
  }

  private let post = Locked(Post())
  private let stageValue = Atomic(Stage.serving)
  private let closed = Atomic(false)
  private let seen = Atomic(Stage.serving)
  private let bell = Locked<Bell?>(nil)
  private let questions = Locked<[NameQuestion]?>(nil)
  private let wishes = Locked<Set<Int32>>([])
  private let calls = Locked(Calls())
  private let admissionBells = AdmissionBells()
  private let roomBells = AdmissionBells()
  /// The bell as an address, which can be read without a lock; `bell` keeps it for ever.
  private let bellAddress = Atomic<UInt>(0)

  /// The worker's reactor is open: from now on it can be woken.
  func open(_ bell: Bell) {
    self.bell.withLock { $0 = bell }
    let address = UInt(bitPattern: Unmanaged.passUnretained(bell).toOpaque())
    bellAddress.store(address, ordering: .sequentiallyConsistent)
    calls.withLock { $0.isOpen = true }
  }

  /// Hands over a call, with its descriptor.
  ///
  /// - Returns: `false` where the worker does not run; the descriptor stays the caller's then.
  func hand(_ call: WorkerCall) -> Bool {
    let isTaken = calls.withLock { calls in
      if calls.isOpen { calls.waiting.append(call) }
      return calls.isOpen
    }
    if isTaken { ring() }
    return isTaken
  }

  /// Takes the calls that came.
  ///
  /// `isLast`: Whether none may come any more.
  func takeCalls(isLast: Bool = false) -> [WorkerCall] {
    calls.withLock { calls in
      if isLast { calls.isOpen = false }
      defer { calls.waiting = [] }
      return calls.waiting
    }
  }

  /// A permit of a service was left for this worker; no lock is taken.
  func ringAdmission(_ slot: Int32) {
    admissionBells.ring(slot)
    ringWithoutLock()
  }

  /// Room of a service was given back for which this worker has somebody in line; no lock is taken.
  func ringRoom(_ service: Int32) {
    roomBells.ring(service)
    ringWithoutLock()
  }

  private func ringWithoutLock() {
    let address = bellAddress.load(ordering: .sequentiallyConsistent)
    guard let bell = UnsafeRawPointer(bitPattern: address) else { return }
    Unmanaged<Bell>.fromOpaque(bell)._withUnsafeGuaranteedRef { $0.ring() }
  }

  /// Takes the services that this worker was rung for.
  func takeAdmissionBells(_ body: (Int32) -> Void) { admissionBells.take(body) }

  /// Takes the services of which room was given back.
  func takeRoomBells(_ body: (Int32) -> Void) { roomBells.take(body) }

  /// Hands over a new snapshot and the listening sockets that go with it.
  func deliver(_ snapshot: Snapshot, sockets: [WorkerSocket]?) {
    post.withLock { post in
      post.snapshot = snapshot
      guard let sockets else { return }
      post.superseded += (post.sockets ?? []).without(sockets)
      post.sockets = sockets
    }
    ring()
  }

  func advance(to stage: Stage) {
    stageValue.store(stage, ordering: .sequentiallyConsistent)
    ring()
  }

  var stage: Stage { stageValue.load(ordering: .sequentiallyConsistent) }

  func takePost() -> Post {
    post.withLock { post in
      defer { post = Post() }
      return post
    }
  }

  /// The worker acts on a stage from now on.
  func reportSeen(_ stage: Stage) { seen.store(stage, ordering: .sequentiallyConsistent) }

  /// Whether the worker acts on the stage that was set last.
  var isUpToDate: Bool { seen.load(ordering: .sequentiallyConsistent) == stage }

  /// The worker will not accept another connection.
  func reportClosed() { closed.store(true, ordering: .sequentiallyConsistent) }

  var isClosed: Bool { closed.load(ordering: .sequentiallyConsistent) }

  /// Hands over the whole set of questions to keep answered.
  func watch(_ questions: [NameQuestion]) {
    self.questions.withLock { $0 = questions }
    ring()
  }

  func takeQuestions() -> [NameQuestion]? {
    questions.withLock { questions in
      defer { questions = nil }
      return questions
    }
  }

  /// Another worker has no room left for a connection to a service and sees an idle one here.
  func wish(for service: Int32) {
    wishes.withLock { _ = $0.insert(service) }
    ring()
  }

  func takeWishes() -> Set<Int32> {
    wishes.withLock { wishes in
      defer { wishes = [] }
      return wishes
    }
  }

  func ring() { bell.withLock { $0 }?.ring() }
}

/// A bound, listening socket of one worker.
struct WorkerSocket: Sendable {
  var descriptor: Int32
  /// The listener's place in the process.
  var place: Int
}

extension [WorkerSocket] {
  /// Those whose descriptor is not among `others`.
  func without(_ others: [WorkerSocket]) -> [WorkerSocket] {
    filter { socket in !others.contains { $0.descriptor == socket.descriptor } }
  }
}
