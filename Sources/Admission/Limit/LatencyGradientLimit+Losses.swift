internal import Units

/// What became of requests since a moment.
struct Losses: Sendable {
  /// Requests that were dropped, and that were served.
  var lost = 0.0
  var served = 0.0
  private(set) var since = Instant(.min)
  /// The limit from before losses took it down, until it grows again; else 0.
  var limitBefore = 0.0
  /// When it answered last.
  var servedAt = Instant.never
  /// It answers after it was away.
  var isBack = false

  /// A service that has answered nobody for so long was away; one that has too much to do answers some.
  static let away = (least: Nanoseconds.seconds(1), latencies: 10.0)
  /// Answers of a slot that tell that a service is back.
  static let back = 4.0

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
    noteServed(window)
    // A few that end together, as those of one client do, are no sample yet.
    guard losses.lost > 4, losses.lost > losses.served,
      window.now - losses.since >= Constants.slot
    else { return }
    takeDown(Constants.deep)
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

  /// Multiplies the limit by less than one, as requests are lost.
  mutating func takeDown(_ factor: Double) {
    if losses.limitBefore == 0 { losses.limitBefore = value }
    value *= factor
  }

  private mutating func noteServed(_ window: LimitWindow) {
    guard window.samples > 0 else { return }
    let silence = window.now - losses.servedAt
    let (least, latencies) = Losses.away
    if losses.limitBefore > 0, silence.seconds >= max(least.seconds, latencies * usualLatency) {
      losses.isBack = true
    }
    losses.servedAt = window.now
  }

  /// Lets the limit grow again once a service that was away answers.
  ///
  /// What was lost while nobody was there took the limit down and says nothing of how much the service
  /// can do; step by step it would take tens of seconds to come up again under clients that wait for it.
  ///
  /// `hadDrops`: Whether the slot that ends lost so many that it counts.
  mutating func growIfBack(hadDrops: Bool) {
    if !hadDrops, !losses.isBack, value >= losses.limitBefore { losses.limitBefore = 0 }
    guard losses.isBack, !hadDrops, losses.served >= Losses.back else { return }
    value = max(value, min(Constants.firstLimit, losses.limitBefore))
    (losses.limitBefore, losses.isBack) = (0, false)
    growth.isOn = true
    growth.clean = 0
    growth.begin(limit: value)
    limited.clear()
  }
}
