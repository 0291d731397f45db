internal import Units

/// How each balance picks one.
extension Chooser {
  func twoChoices(
    _ turn: Turn,
    _ view: inout ChoiceView,
    _ random: inout some RandomNumberGenerator
  ) -> Int {
    guard turn.count > 1 else { return -1 }
    var found = -1
    for _ in 0..<Balance.mostPairs {
      found = betterOfTwo(turn, &view, &random)
      guard found >= 0, isStuck(found, turn) else { break }
    }
    return found
  }

  private func isStuck(_ offset: Int, _ turn: Turn) -> Bool {
    states[Int(place(turn, offset))].isStuck(at: now)
  }

  private func betterOfTwo(
    _ turn: Turn,
    _ view: inout ChoiceView,
    _ random: inout some RandomNumberGenerator
  ) -> Int {
    let first = drawn(turn, &random)
    var second = drawn(turn, &random)
    // A heavy one is likely to be drawn twice: then any other.
    if second == first { second = (first + 1 + draw(turn.count - 1, &random)) % turn.count }
    let isFirst = isUsable(place(turn, first), turn) && takes(place(turn, first), turn, &random)
    let isSecond = isUsable(place(turn, second), turn) && takes(place(turn, second), turn, &random)
    guard isFirst || isSecond else { return -1 }
    guard isFirst, isSecond else { return isFirst ? first : second }
    if policy.pointee.hasReports, isStuck(first, turn) == isStuck(second, turn),
      let isBetter = isCooler(second, first, turn, &view)
    {
      return isBetter ? second : first
    }
    return isBetter(second, first, turn) ? second : first
  }

  func isBetter(_ a: Int, _ b: Int, _ turn: Turn) -> Bool {
    let (x, y) = (states + Int(place(turn, a)), states + Int(place(turn, b)))
    guard turn.isWeighted else { return x.pointee.isBetter(than: y, at: now) }
    if let isPreferred = x.pointee.isPreferred(to: y, at: now) { return isPreferred }
    let (loadA, loadB) = (load(turn, a), load(turn, b))
    if loadA != loadB { return loadA < loadB }
    return x.pointee.latency.value(at: now) < y.pointee.latency.value(at: now)
  }

  func roundRobin(
    _ turn: Turn,
    _ cursor: inout UInt32,
    _ random: inout some RandomNumberGenerator
  ) -> Int {
    if turn.mostWeight > 0 { return strideRound(turn, &cursor, &random) }
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

  func leastRequests(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int {
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
  static let mostDraws = 64
  /// Of more than these, some are compared that begin at a random place.
  private static let mostCompared = 256
  /// Points of a ring that one choice looks at: many more only where nearly all rest.
  private static let mostSteps = 1_024

  /// The owner of a key, or the next one on the ring while that has too much to do.
  ///
  /// Source: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018.
  func owner(
    of key: UInt64,
    _ turn: Turn,
    _ view: inout ChoiceView,
    _ random: inout some RandomNumberGenerator
  ) -> Int {
    let ring = turn.tier.pointee.ring
    guard ring.count > 0 else { return -1 }
    let source = UInt(bitPattern: turn.tier)
    if view.loadAt != now || view.loadOf != source {
      view.loadAt = now
      view.loadOf = source
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
}
