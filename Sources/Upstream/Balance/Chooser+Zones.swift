internal import Units

/// Requests that stay in the edge's own zone, and those that leave it.
extension Chooser {
  /// Chooses in one zone or the other, and in the other one where nobody has room in the first.
  func chooseByZone(
    avoiding: Int32,
    key: UInt64,
    _ view: inout ChoiceView,
    _ random: inout some RandomNumberGenerator
  ) -> Int32 {
    let isLocal = staysLocal(view.localShare, key, &random)
    view.isLocal = isLocal
    var place = choose(isLocal, avoiding: avoiding, key: key, &view, &random)
    if place >= 0 { return place }
    view.isLocal = !isLocal
    place = choose(!isLocal, avoiding: avoiding, key: key, &view, &random)
    if place >= 0 { return place }
    let whole = table.tiers + Int(view.tier)
    let turn = Turn(whole, view, avoiding: avoiding)
    place = anyUsable(turn, &random)
    for offset in 0..<turn.count where self.place(turn, offset) == place {
      view.isLocal = offset < whole.pointee.localCount
    }
    return place
  }

  /// Chooses in a zone.
  ///
  /// - Returns: -1 where nobody of it is usable.
  private func choose(
    _ isLocal: Bool,
    avoiding: Int32,
    key: UInt64,
    _ view: inout ChoiceView,
    _ random: inout some RandomNumberGenerator
  ) -> Int32 {
    let turn = Turn(table.zone(Int(view.tier), isLocal: isLocal), view, avoiding: avoiding)
    var cursor = isLocal ? view.cursor : view.spillCursor
    let place = pick(turn, key, &cursor, &view, &random)
    if isLocal { view.cursor = cursor } else { view.spillCursor = cursor }
    guard place < 0, turn.count > 0 else { return place }
    // Chance may have liked nobody though somebody is there: a request leaves its zone by its share
    // alone.
    let start = draw(turn.count, &random)
    for step in 0..<turn.count {
      let place = self.place(turn, (start + step) % turn.count)
      if isUsable(place, turn) { return place }
    }
    return -1
  }

  /// Whether a request stays in the edge's own zone; one with a key always does the same.
  private func staysLocal(
    _ share: Float,
    _ key: UInt64,
    _ random: inout some RandomNumberGenerator
  ) -> Bool {
    guard share > 0, share < 1 else { return share >= 1 }
    let isKeyed = policy.pointee.balance == .ringHash && key != 0
    // Another draw than that of the ring, or the keys that stay would all be on one side of it.
    let draw = isKeyed ? KeyHash.mix(key ^ 0xA076_1D64_78BD_642F) : random.next()
    return Self.unit(draw) < Double(share)
  }
}
