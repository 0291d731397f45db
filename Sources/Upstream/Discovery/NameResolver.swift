internal import CLinux
public import Reactor
public import Units

/// Keeps questions answered: each is asked at once, then again at its TTL.
///
/// The last good answer stands until there is a better one: failures and empty answers never take
/// addresses away, as a name server that is ill is no reason to stop serving. Everything runs
/// on the thread of the reactor; what it finds goes to a `NameBoard`.
public final class NameResolver {
  /// Names that one process may watch.
  public static let maximumNames = 1_024
  /// Addresses of one name that are used: the first in numerical order.
  public static let maximumAddresses = 64
  /// Lookups under way of names that left; beyond it all are given up.
  private static let mostLeaving = 256
  /// Lookups at once, and begun in one turn: 2 datagrams each, and a look at the hosts file.
  static let concurrency = 64

  /// Lookups since the last look, by how they ended.
  public struct Tally: Sendable, Equatable {
    /// Answers that changed a name's addresses, the first one included.
    public var changed: UInt64 = 0
    public var unchanged: UInt64 = 0
    /// Errors, timeouts, and answers without an address.
    public var failed: UInt64 = 0

    public init() {}
  }

  private static let readable = UInt32(CLINUX_READABLE)
  private static let writable = UInt32(CLINUX_WRITABLE)

  private let reactor: Reactor
  private let board: NameBoard
  private let pacing: RefreshPacing
  private let servers: String?
  private let watches: SocketWatches
  private let timer: Int32
  private var channel: ResolverChannel?
  private var names: [WatchedName] = []
  /// Lookups of those among `names`.
  private var underWay = 0
  /// Names that nobody watches any more while they are looked up: what comes of it is for nobody.
  private var leaving: [WatchedName] = []
  /// Since when the next channel is to be a new one, which reads the system's name servers anew.
  private var staleSince: Instant?
  /// As long as a lookup may take: then the old channel gives up what is left of its lookups.
  private static let longestLookup = Nanoseconds.seconds(8)
  private var random: SplitMix64
  private var tally = Tally()

  /// - Parameters:
  ///   - reactor: The worker's; the caller hands over the events of the two owners below.
  ///   - socketKind: Kind of the owner of its sockets' events, for `socketReady`.
  ///   - timerKind: Kind of the owner of its timer, for `timerFired`.
  ///   - board: Where answers go.
  ///   - seed: Seed of the spread between lookups.
  ///   - pacing: When names are asked for again.
  ///   - servers: For tests: `host:port` of name servers in place of the system's.
  public init(
    reactor: Reactor,
    socketKind: UInt8,
    timerKind: UInt8,
    board: NameBoard,
    seed: UInt64,
    pacing: RefreshPacing = RefreshPacing(),
    servers: String? = nil
  ) {
    self.reactor = reactor
    self.board = board
    self.pacing = pacing
    self.servers = servers
    watches = SocketWatches(reactor, kind: socketKind)
    timer = reactor.timers.allocate(for: Owner(kind: timerKind, index: 0, generation: 0))
    random = SplitMix64(seed: seed)
  }

  deinit {
    channel = nil
    if timer >= 0 { reactor.timers.release(timer) }
  }

  /// Watches these questions and no others; those that are known keep their answers, their time, and
  /// lookups that are under way.
  ///
  /// - Parameter wanted: At most `maximumNames`; those beyond are left out.
  public func replace(_ wanted: [NameQuestion]) {
    settle()
    var known: [NameQuestion: WatchedName] = [:]
    for name in leaving + names { known[name.question] = name }
    names = []
    var seen = Set<NameQuestion>()
    for question in wanted
    where seen.insert(question).inserted && names.count < Self.maximumNames {
      let entry = known.removeValue(forKey: question) ?? WatchedName(question, due: reactor.now)
      names.append(entry)
      // Said again: the slow plane may have dropped the name and taken it up since.
      repeatAnswer(of: entry)
    }
    leaving = known.values.filter(\.isUnderWay)
    if leaving.count > Self.mostLeaving {
      // What stays and is given up with the others is due at once.
      channel = nil
      settle()
    }
    underWay = names.reduce(0) { $0 + ($1.isUnderWay ? 1 : 0) }
    if staleSince == nil { staleSince = reactor.now }
    pump()
  }

  private func repeatAnswer(of name: WatchedName) {
    guard !name.addresses.isEmpty || !name.services.isEmpty else { return }
    board.postAgain(name.question) { news in
      if !name.addresses.isEmpty { news.addresses = name.addresses }
      if !name.services.isEmpty { news.services = name.services }
      news.problem = name.problem
    }
  }

  /// A socket of `socketKind` is ready.
  public func socketReady(_ event: Event) {
    // Errors and hang-ups are for both directions to find out about.
    let mask = UInt32(bitPattern: event.value)
    let other = mask & ~(Self.readable | Self.writable) != 0
    channel?.process(
      event.owner.index,
      reading: mask & Self.readable != 0 || other,
      writing: mask & Self.writable != 0 || other
    )
    pump()
  }

  /// The timer of `timerKind` ran out.
  public func timerFired() {
    channel?.processTimeouts()
    pump()
  }

  /// Takes what was counted since the last call.
  public func takeTally() -> Tally {
    defer { tally = Tally() }
    return tally
  }

  /// When a name is looked up next, `nil` while it is or when it is not watched.
  public func nextLookup(of name: String) -> Instant? {
    names.first { $0.question == NameQuestion(name) && !$0.isUnderWay }?.due
  }

  // MARK: - Rounds

  /// Settles what came in, begins what is due, and sets the timer for what comes next.
  private func pump() {
    settle()
    if let since = staleSince, reactor.now >= since + Self.longestLookup {
      // Or name servers that do not answer would be asked for ever, though others are written there now.
      channel = nil
      staleSince = nil
      settle()
    }
    let room = Self.concurrency - underWay
    if room > 0 {
      for name in due.prefix(room) { begin(name) }
    }
    schedule()
  }

  /// Names to be asked for now: sources of endpoints first, as what they say is asked for in turn, and
  /// then in the order of their time, or those that fail quickly would keep all others from it.
  private var due: [WatchedName] {
    let due = names.filter { !$0.isUnderWay && $0.due <= reactor.now }
    guard due.count > 1 else { return due }
    return due.sorted {
      let isSource = $0.question.kind == .services
      guard isSource == ($1.question.kind == .services) else { return isSource }
      return $0.due < $1.due
    }
  }

  private func begin(_ name: WatchedName) {
    name.isUnderWay = true
    underWay += 1
    if staleSince != nil, underWay == 1, leaving.isEmpty {
      // No lookup is given up for it.
      channel = nil
      staleSince = nil
    }
    if channel == nil { channel = ResolverChannel(watches: watches, servers: servers) }
    if let channel { channel.lookUp(name) } else { name.slot = .failed("the resolver cannot open") }
    // What is answered before the call returns was in the hosts file, where there are no TTLs.
    settle(name, isLocal: true)
  }

  private func settle() {
    for name in names where name.slot != nil { settle(name, isLocal: false) }
    for name in leaving where name.slot != nil {
      name.slot = nil
      name.isUnderWay = false
    }
    leaving.removeAll { !$0.isUnderWay }
  }

  private func settle(_ name: WatchedName, isLocal: Bool) {
    guard let outcome = name.slot else { return }
    name.slot = nil
    name.isUnderWay = false
    underWay -= 1
    switch outcome {
    case .addresses(let addresses, let ttl):
      let isNew = addresses != name.addresses
      name.addresses = addresses
      accept(name, ttl: isLocal ? nil : ttl, isNew: isNew) { $0.addresses = addresses }
    case .services(let answer):
      // Servers rotate records, which is no change.
      let isNew = Set(answer.records) != Set(name.services)
      name.services = answer.records
      accept(name, ttl: answer.ttl, isNew: isNew) { $0.services = answer.records }
    case .failed(let problem):
      name.failures += 1
      name.problem = problem
      name.due = reactor.now + pacing.wait(failures: name.failures, using: &random)
      tally.failed += 1
      board.post(name.question, isNews: name.failures == 1) { $0.problem = problem }
    case .cancelled:
      name.due = reactor.now
    }
  }

  private func accept(
    _ name: WatchedName,
    ttl: Int32?,
    isNew: Bool,
    _ put: (inout NameNews) -> Void
  ) {
    let hasRecovered = name.failures > 0
    name.failures = 0
    name.problem = nil
    name.due = reactor.now + pacing.wait(ttl: ttl, using: &random)
    if isNew { tally.changed += 1 } else { tally.unchanged += 1 }
    board.post(name.question, isNews: isNew || hasRecovered) { news in
      news.problem = nil
      news.isRepeat = false
      put(&news)
    }
  }

  private func schedule() {
    var due = Instant.never
    // With all lookups taken the next one begins when one of them ends, which the library times.
    if underWay < Self.concurrency {
      for name in names where !name.isUnderWay && name.due < due { due = name.due }
    }
    if let timeout = channel?.timeout { due = min(due, reactor.now + timeout) }
    if timer >= 0 { reactor.timers.set(timer, at: due) }
  }
}
