public import Units

/// Chooses an endpoint of a service that says more than how to balance: with breakers, outlier
/// detection, checks, weights, priorities, a slow start or a key.
///
/// ```
/// tier:  the first priority of which half or more are healthy; else the first one, and all of it
/// among: who is usable: not out, not resting, not tried by this request before
/// share: one that comes back or joins is passed over by chance, less and less often
/// ```
public struct Chooser {
  private let table: ChoiceTable
  private let policy: UnsafePointer<ChoicePolicy>
  private let states: UnsafeMutablePointer<EndpointState>
  private let health: HealthTable
  private let now: Instant

  /// How long a look at who is healthy holds, while nobody goes.
  static let viewTime = Nanoseconds.milliseconds(100)

  public init(
    table: ChoiceTable,
    policy: UnsafePointer<ChoicePolicy>,
    states: UnsafeMutablePointer<EndpointState>,
    health: HealthTable,
    at now: Instant
  ) {
    self.table = table
    self.policy = policy
    self.states = states
    self.health = health
    self.now = now
  }

  /// Chooses an endpoint.
  ///
  /// - Parameters:
  ///   - service: The service's place.
  ///   - avoiding: The place tried before, or -1.
  ///   - key: What the request is told apart by, 0 for nothing.
  ///   - view: What this worker remembers of the service.
  ///   - random: Where draws come from.
  /// - Returns: A place, or -1 when there is no endpoint that may be asked.
  public func choose(
    service: Int32,
    avoiding: Int32,
    key: UInt64,
    view: inout ChoiceView,
    using random: inout some RandomNumberGenerator
  ) -> Int32 {
    guard table.count > 0 else { return -1 }
    let changes = health.service(service).changes
    let source = UInt(bitPattern: table.places)
    if now >= view.validUntil || view.changes != changes || view.source != source {
      view.changes = changes
      view.source = source
      look(&view)
    }
    let tier = table.tiers + Int(view.tier)
    let turn = Turn(
      tier: tier,
      avoiding: avoiding,
      isPanic: view.isPanic,
      knowsUp: view.knowsUp
    )
    var found = -1
    switch policy.pointee.balance {
    case .twoChoices: found = twoChoices(turn, &random)
    case .roundRobin: found = roundRobin(turn, &view.cursor, &random)
    case .leastRequests: found = leastRequests(turn, &random)
    case .ringHash: found = owner(of: key, turn, &view, &random)
    }
    if found < 0 { found = anyUsable(turn, &random) }
    return found < 0 ? -1 : table.places[tier.pointee.first + found]
  }

  /// What one choice is made among.
  private struct Turn {
    let tier: UnsafePointer<ChoiceTable.Tier>
    let avoiding: Int32
    let isPanic: Bool
    let knowsUp: Bool
    var count: Int { tier.pointee.count }
    var turns: Int { tier.pointee.schedule == nil ? count : tier.pointee.scheduleCount }
    /// Whether some are heavier than others.
    var isWeighted: Bool { tier.pointee.schedule != nil || tier.pointee.sums != nil }

    func offset(_ turn: Int) -> Int {
      guard let schedule = tier.pointee.schedule else { return turn }
      return Int(schedule[turn])
    }
  }

  // MARK: - Health

  /// Looks who is healthy, and so which tier is chosen from.
  private func look(_ view: inout ChoiceView) {
    view.validUntil = now + Self.viewTime
    view.knowsUp = policy.pointee.hasChecks && isAnyUp
    var fallback: Int32 = -1
    for tier in 0..<table.tierCount {
      var (known, healthy) = (0, 0)
      for offset in 0..<table.tiers[tier].count {
        let place = table.places[table.tiers[tier].first + offset]
        if health.record(place).isDrained { continue }
        known += 1
        if isHealthy(place, knowsUp: view.knowsUp) { healthy += 1 }
      }
      if known > 0, Double(healthy) >= ChoicePolicy.panicThreshold * Double(known) {
        view.tier = Int32(tier)
        view.isPanic = false
        return
      }
      if known > 0, fallback < 0 { fallback = Int32(tier) }
    }
    view.tier = max(0, fallback)
    view.isPanic = true
  }

  private var isAnyUp: Bool {
    for index in 0..<table.count where health.record(table.places[index]).check.verdict == .up {
      return true
    }
    return false
  }

  /// Whether checks let it be asked.
  ///
  /// One that was never checked serves only while nobody is known to work: those that do can carry
  /// the load for the moment that its first check takes.
  private func passesChecks(_ place: Int32, knowsUp: Bool) -> Bool {
    switch health.record(place).check.verdict {
    case .up: true
    case .unknown: !knowsUp
    case .down: false
    }
  }

  private func isHealthy(_ place: Int32, knowsUp: Bool) -> Bool {
    if policy.pointee.hasChecks, !passesChecks(place, knowsUp: knowsUp) { return false }
    if policy.pointee.hasBreaker, !health.breaker(place).word.isHealthy { return false }
    return !policy.pointee.hasOutlier || !health.record(place).isEjected(at: now)
  }

  private func isUsable(_ place: Int32, _ turn: Turn) -> Bool {
    let state = states + Int(place)
    guard place != turn.avoiding, !state.pointee.hasLeft, !state.pointee.isBackedOff(at: now) else {
      return false
    }
    return mayBeAsked(place, turn, isPanic: turn.isPanic)
  }

  /// Whether it is in the choice at all: what an operator took out never is.
  private func mayBeAsked(_ place: Int32, _ turn: Turn, isPanic: Bool) -> Bool {
    let record = health.record(place)
    guard !record.isDrained else { return false }
    if policy.pointee.hasBreaker {
      let word = health.breaker(place).word
      guard word.order != .open else { return false }
      if !isPanic, !word.mayAdmit(at: now, policy.pointee.breaker) { return false }
    }
    if !isPanic, policy.pointee.hasChecks, !passesChecks(place, knowsUp: turn.knowsUp) {
      return false
    }
    return isPanic || !policy.pointee.hasOutlier || !record.isEjected(at: now)
  }

  /// Whether a draw lets it have this request, of which it may get a share only.
  private func takes(
    _ place: Int32,
    _ turn: Turn,
    _ random: inout some RandomNumberGenerator
  ) -> Bool {
    guard !turn.isPanic else { return true }
    var share = 1.0
    if policy.pointee.hasBreaker {
      share = health.breaker(place).word.share(at: now, policy.pointee.breaker)
    }
    if policy.pointee.hasOutlier {
      share = min(share, health.record(place).share(at: now, policy.pointee.outlier))
    }
    if policy.pointee.hasChecks { share = min(share, health.record(place).checkShare(at: now)) }
    if policy.pointee.slowStart > .zero, states[Int(place)].joinedAt.rawValue != .min {
      let age = (now - states[Int(place)].joinedAt).seconds / policy.pointee.slowStart.seconds
      // From a tenth, as Envoy's, in a straight line.
      share = min(share, 0.1 + 0.9 * max(0, age))
    }
    return share >= 1 || Double(random.next() >> 11) * 0x1p-53 < share
  }

  // MARK: - Balances

  private func place(_ turn: Turn, _ offset: Int) -> Int32 {
    table.places[turn.tier.pointee.first + offset]
  }

  private func load(_ turn: Turn, _ offset: Int) -> Double {
    Double(states[Int(place(turn, offset))].inFlight)
      / table.weights[turn.tier.pointee.first + offset]
  }

  private func draw(_ count: Int, _ random: inout some RandomNumberGenerator) -> Int {
    Int(((random.next() >> 32) &* UInt64(count)) >> 32)
  }

  /// A draw that favours the heavy.
  private func drawn(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int {
    guard let sums = turn.tier.pointee.sums else { return turn.offset(draw(turn.turns, &random)) }
    let value = Double(random.next() >> 11) * 0x1p-53 * turn.tier.pointee.totalWeight
    return WeightedDraw.offset(value, sums, turn.count)
  }

  private func twoChoices(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int {
    guard turn.count > 1 else { return -1 }
    let first = drawn(turn, &random)
    var second = drawn(turn, &random)
    // A heavy one is likely to be drawn twice: then any other.
    if second == first { second = (first + 1 + draw(turn.count - 1, &random)) % turn.count }
    let isFirst = isUsable(place(turn, first), turn) && takes(place(turn, first), turn, &random)
    let isSecond = isUsable(place(turn, second), turn) && takes(place(turn, second), turn, &random)
    guard isFirst || isSecond else { return -1 }
    guard isFirst, isSecond else { return isFirst ? first : second }
    return isBetter(second, first, turn) ? second : first
  }

  private func isBetter(_ a: Int, _ b: Int, _ turn: Turn) -> Bool {
    let (x, y) = (states + Int(place(turn, a)), states + Int(place(turn, b)))
    guard turn.isWeighted else { return x.pointee.isBetter(than: y, at: now) }
    let isPenalised = x.pointee.penalisedUntil > now
    guard isPenalised == (y.pointee.penalisedUntil > now) else { return !isPenalised }
    let (loadA, loadB) = (load(turn, a), load(turn, b))
    if loadA != loadB { return loadA < loadB }
    return x.pointee.latency.value(at: now) < y.pointee.latency.value(at: now)
  }

  private func roundRobin(
    _ turn: Turn,
    _ cursor: inout UInt32,
    _ random: inout some RandomNumberGenerator
  ) -> Int {
    if turn.tier.pointee.sums != nil {
      for _ in 0..<Self.mostDraws {
        let offset = drawn(turn, &random)
        let place = place(turn, offset)
        if isUsable(place, turn), takes(place, turn, &random) { return offset }
      }
      return -1
    }
    for _ in 0..<turn.turns {
      let offset = turn.offset(Int(cursor % UInt32(turn.turns)))
      cursor = (cursor % UInt32(turn.turns) + 1) % UInt32(turn.turns)
      let place = place(turn, offset)
      if isUsable(place, turn), takes(place, turn, &random) { return offset }
    }
    return -1
  }

  private func leastRequests(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int {
    let start = draw(turn.count, &random)
    var best = -1
    for step in 0..<min(turn.count, Self.mostCompared) {
      let offset = (start + step) % turn.count
      let place = place(turn, offset)
      guard isUsable(place, turn), takes(place, turn, &random) else { continue }
      if best < 0 || isBetter(offset, best, turn) { best = offset }
    }
    return best
  }

  /// Draws in place of a round, before anybody will do.
  private static let mostDraws = 64
  /// Of more than these, some are compared that begin at a random place.
  private static let mostCompared = 256
  /// Points of a ring that one choice looks at: many more only where nearly all rest.
  private static let mostSteps = 1_024

  /// The owner of a key, or the next one on the ring while that has too much to do.
  ///
  /// Source: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018.
  private func owner(
    of key: UInt64,
    _ turn: Turn,
    _ view: inout ChoiceView,
    _ random: inout some RandomNumberGenerator
  ) -> Int {
    let ring = turn.tier.pointee.ring
    guard ring.count > 0 else { return -1 }
    if view.loadAt != now {
      view.loadAt = now
      view.load = 0
      for offset in 0..<turn.count { view.load += Int(states[Int(place(turn, offset))].inFlight) }
    } else {
      view.load += 1
    }
    let mean = Double(view.load + 1) / turn.tier.pointee.totalWeight
    let start = ring.start(of: key == 0 ? random.next() : key)
    var spare = -1
    for step in 0..<min(ring.count, Self.mostSteps) {
      let offset = Int(ring.points[(start + step) % ring.count].endpoint)
      let place = place(turn, offset)
      guard isUsable(place, turn) else { continue }
      guard takes(place, turn, &random) else {
        spare = offset
        continue
      }
      let weight = table.weights[turn.tier.pointee.first + offset]
      let bound = (policy.pointee.loadBound * mean * weight).rounded(.up)
      if Double(states[Int(place)].inFlight) < bound { return offset }
      if spare < 0 { spare = offset }
    }
    return spare
  }

  /// Whoever can be had: no draw liked any, or all rest.
  private func anyUsable(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int {
    let start = draw(turn.count, &random)
    var best = -1
    for step in 0..<turn.count {
      let offset = (start + step) % turn.count
      let place = place(turn, offset)
      if isUsable(place, turn) { return offset }
      guard mayBeAsked(place, turn, isPanic: true) else { continue }
      guard best >= 0 else {
        best = offset
        continue
      }
      // Rather one that is still there and not out, then not the one before, then the one whose rest
      // ends first.
      if preference(offset, turn) < preference(best, turn) { best = offset }
    }
    return best
  }

  private func preference(_ offset: Int, _ turn: Turn) -> (Int, Int, Int, Int64) {
    let place = place(turn, offset)
    let isOut = !mayBeAsked(place, turn, isPanic: turn.isPanic)
    return (
      (states[Int(place)].hasLeft ? 2 : 0) + (isOut ? 1 : 0),
      states[Int(place)].isFull ? 1 : 0, place == turn.avoiding ? 1 : 0,
      states[Int(place)].backedOffUntil.rawValue
    )
  }
}
