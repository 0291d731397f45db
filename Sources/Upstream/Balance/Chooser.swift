public import Units

/// Chooses an endpoint of a service that says more than how to balance: with breakers, outlier
/// detection, checks, weights, priorities, zones, reports of load, a slow start or a key.
///
/// ```
/// tier:  the first priority of which half or more are healthy; else the first one, and all of it
/// zone:  the edge's own, or the others by chance where too few of it are healthy
/// among: who is usable: not out, not resting, not tried by this request before
/// share: one that comes back or joins is passed over by chance, less and less often
/// ```
public struct Chooser {
  let table: ChoiceTable
  let policy: UnsafePointer<ChoicePolicy>
  let states: UnsafeMutablePointer<EndpointState>
  let health: HealthTable
  let now: Instant

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
    view.isLocal = nil
    guard view.localShare < 0 else {
      return chooseByZone(avoiding: avoiding, key: key, &view, &random)
    }
    let turn = Turn(table.tiers + Int(view.tier), view, avoiding: avoiding)
    // The only one gets every request, in a slow start, too.
    if turn.count == 1, isUsable(place(turn, 0), turn) { return place(turn, 0) }
    var cursor = view.cursor
    let found = pick(turn, key, &cursor, &view, &random)
    view.cursor = cursor
    return found >= 0 ? found : anyUsable(turn, &random)
  }

  /// Chooses among those that a turn is about.
  ///
  /// - Returns: A place, or -1 where chance liked nobody or all are out, resting or full.
  func pick(
    _ turn: Turn,
    _ key: UInt64,
    _ cursor: inout UInt32,
    _ view: inout ChoiceView,
    _ random: inout some RandomNumberGenerator
  ) -> Int32 {
    guard turn.count > 0 else { return -1 }
    let found =
      switch policy.pointee.balance {
      case .twoChoices: twoChoices(turn, &view, &random)
      case .roundRobin: roundRobin(turn, &cursor, &random)
      case .leastRequests: leastRequests(turn, &random)
      case .ringHash: owner(of: key, turn, &view, &random)
      }
    return found < 0 ? -1 : place(turn, found)
  }

  /// What one choice is made among.
  struct Turn {
    let tier: UnsafePointer<ChoiceTable.Tier>
    let avoiding: Int32
    let isPanic: Bool
    let knowsUp: Bool
    /// The greatest weight that follows from reports, 0 while those of the configuration count.
    let mostWeight: Int32

    init(_ tier: UnsafePointer<ChoiceTable.Tier>, _ view: ChoiceView, avoiding: Int32) {
      self.tier = tier
      self.avoiding = avoiding
      isPanic = view.isPanic
      knowsUp = view.knowsUp
      mostWeight = view.mostWeight
    }

    var count: Int { tier.pointee.count }
    var turns: Int { tier.pointee.schedule == nil ? count : tier.pointee.scheduleCount }
    /// Whether some are heavier than others.
    var isWeighted: Bool {
      mostWeight > 0 || tier.pointee.schedule != nil || tier.pointee.sums != nil
    }

    func offset(_ turn: Int) -> Int {
      guard let schedule = tier.pointee.schedule else { return turn }
      return Int(schedule[turn])
    }
  }

  func place(_ turn: Turn, _ offset: Int) -> Int32 {
    table.places[turn.tier.pointee.first + offset]
  }

  func draw(_ count: Int, _ random: inout some RandomNumberGenerator) -> Int {
    Int(((random.next() >> 32) &* UInt64(count)) >> 32)
  }

  /// A number in `0..<1` of a draw.
  static func unit(_ draw: UInt64) -> Double { Double(draw >> 11) * 0x1p-53 }
}
