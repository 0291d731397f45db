internal import Units

/// Whom to ask where the balance finds nobody.
extension Chooser {
  /// Whoever can be had: no draw liked any, or all rest.
  func anyUsable(_ turn: Turn, _ random: inout some RandomNumberGenerator) -> Int32 {
    guard turn.count > 0 else { return -1 }
    let start = draw(turn.count, &random)
    var best = -1
    for step in 0..<turn.count {
      let offset = (start + step) % turn.count
      let place = place(turn, offset)
      if isUsable(place, turn) { return place }
      guard mayBeAsked(place, turn, isPanic: true) else { continue }
      guard best >= 0 else {
        best = offset
        continue
      }
      // Rather one that is still there and not out, then not the one before, then the one whose rest
      // ends first.
      if preference(offset, turn) < preference(best, turn) { best = offset }
    }
    return best < 0 ? -1 : place(turn, best)
  }

  func preference(_ offset: Int, _ turn: Turn) -> (Int, Int, Int, Int64) {
    let place = place(turn, offset)
    let isOut = !mayBeAsked(place, turn, isPanic: turn.isPanic)
    return (
      (states[Int(place)].hasLeft ? 2 : 0) + (isOut ? 1 : 0),
      states[Int(place)].isFull ? 1 : 0, place == turn.avoiding ? 1 : 0,
      states[Int(place)].backedOffUntil.rawValue
    )
  }
}
