internal import Units

/// What became of requests since a moment.
struct Losses: Sendable {
  /// Requests that were dropped, and that were served.
  var lost = 0.0
  var served = 0.0
  private(set) var since = Instant(.min)

  mutating func begin(_ now: Instant) {
    (lost, served) = (0, 0)
    since = now
  }
}

extension LatencyGradientLimit {
  /// Halves the limit at once when more is lost than served.
  ///
  /// Requests that timed out are still at the service, so that each that takes their place makes the
  /// queue there longer. A slot may last as long as a time-out: until its end one limit after the other
  /// would be lost, and four places with a hundred such requests before them answer nobody for half a
  /// minute.
  mutating func cutIfLost(_ window: LimitWindow) {
    losses.lost += window.dropped
    losses.served += window.samples
    // A few that end together, as those of one client do, are no sample yet.
    guard losses.lost > 4, losses.lost > losses.served,
      window.now - losses.since >= Constants.slot
    else { return }
    value *= Constants.deep
    growth.isOn = false
    freeSince = window.now
    // What was lost is told now, and not again when the slot ends; and a drain shows nothing now.
    (dispatched, dispatchedLimited, dropped) = (0, 0, 0)
    carried = 0
    mode = .open
    isDeep = false
    limited.clear()
    drained.clear()
    drainedBefore = 0
    losses.begin(window.now)
  }
}
