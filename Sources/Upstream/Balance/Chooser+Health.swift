internal import Units

/// Who may be asked, and how much of.
extension Chooser {
  /// Looks who is healthy, and so which tier is chosen from, how much of it in which zone, and with
  /// which weights.
  func look(_ view: inout ChoiceView) {
    view.validUntil = now + Self.viewTime
    view.knowsUp = policy.pointee.hasChecks && isAnyUp
    view.localShare = -1
    var fallback: Int32 = -1
    for tier in 0..<table.tierCount {
      let (local, others) = count(tier, knowsUp: view.knowsUp)
      let known = local.known + others.known
      let overprovisioning = policy.pointee.hasZones ? policy.pointee.overprovisioning : nil
      if ZoneShare.isWell(local, others, overprovisioning: overprovisioning) {
        view.tier = Int32(tier)
        view.isPanic = false
        if let overprovisioning {
          view.localShare = ZoneShare.local(local, others, overprovisioning: overprovisioning)
        }
        return weigh(&view)
      }
      if known > 0, fallback < 0 { fallback = Int32(tier) }
    }
    view.tier = max(0, fallback)
    view.isPanic = true
    weigh(&view)
  }

  /// Counts who of a tier may be asked, and who of those is healthy, in the edge's own zone and in
  /// others.
  private func count(_ tier: Int, knowsUp: Bool) -> (local: ZoneCount, others: ZoneCount) {
    var (local, others) = (ZoneCount(), ZoneCount())
    for offset in 0..<table.tiers[tier].count {
      let place = table.places[table.tiers[tier].first + offset]
      if health.record(place).isDrained { continue }
      if policy.pointee.hasChecks, health.record(place).checkVerdict == .up {
        states[Int(place)].foundBack(at: health.record(place).checkChangedAt)
      }
      let isHealthy = isHealthy(place, knowsUp: knowsUp)
      if offset < table.tiers[tier].localCount {
        local.add(isHealthy: isHealthy)
      } else {
        others.add(isHealthy: isHealthy)
      }
    }
    return (local, others)
  }

  var isAnyUp: Bool {
    for index in 0..<table.count where health.record(table.places[index]).checkVerdict == .up {
      return true
    }
    return false
  }

  func isHealthy(_ place: Int32, knowsUp: Bool) -> Bool {
    health.isHealthy(place, policy, knowsUp: knowsUp, at: now)
  }

  func isUsable(_ place: Int32, _ turn: Turn) -> Bool {
    let state = states + Int(place)
    guard place != turn.avoiding, !state.pointee.hasLeft, !state.pointee.isBackedOff(at: now) else {
      return false
    }
    return mayBeAsked(place, turn, isPanic: turn.isPanic)
  }

  /// Whether it is in the choice at all: what an operator took out never is.
  func mayBeAsked(_ place: Int32, _ turn: Turn, isPanic: Bool) -> Bool {
    let record = health.record(place)
    guard !record.isDrained else { return false }
    if policy.pointee.hasBreaker {
      let word = health.breaker(place).word
      if !word.isPlain {
        guard word.order != .open else { return false }
        if !isPanic, !word.mayAdmit(at: now, policy.pointee.breaker) { return false }
      }
    }
    if !isPanic, policy.pointee.hasChecks, !health.passesChecks(place, knowsUp: turn.knowsUp) {
      return false
    }
    return isPanic || !policy.pointee.hasOutlier || !record.isEjected(at: now)
  }

  /// Whether a draw lets it have this request, of which it may get a share only.
  func takes(
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
    return share >= 1 || Self.unit(random.next()) < share
  }
}
