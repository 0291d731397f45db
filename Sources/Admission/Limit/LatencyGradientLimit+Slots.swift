internal import Units

/// What happens at the boundary of a slot.
extension LatencyGradientLimit {
  /// Closes the slot when the wall clock is in another one.
  ///
  /// A clock that was set back gives an earlier slot: such a boundary is taken at most once a slot's
  /// length, so that a clock which jitters around a boundary closes no empty slots.
  mutating func advanceSlot(_ window: LimitWindow) {
    let number = Self.slotNumber(window.wallClock, period)
    guard number != slot else { return }
    if number < slot, window.now - slotBegan < period { return }
    slot = number
    slotBegan = window.now
    closeSlot(window)
    losses.begin(window.now)
    if mode == .open { openSlot(window) }
  }

  private static func slotNumber(_ wallClock: Int64, _ period: Nanoseconds) -> Int64 {
    let length = max(period.rawValue, 1)
    let (quotient, remainder) = wallClock.quotientAndRemainder(dividingBy: length)
    return remainder < 0 ? quotient - 1 : quotient
  }

  private mutating func closeSlot(_ window: LimitWindow) {
    let isSlow = isSlowSlot(window)
    let hadDrops = dropped > 4 && dropped > 0.1 * dispatched
    wasLimited =
      isSlow
      || dispatched >= Constants.dispatchesNeeded && dispatchedLimited > 0.5 * dispatched
    if !isSlow || hadDrops { (dispatched, dispatchedLimited, dropped) = (0, 0, 0) }
    carried = dispatched

    switch mode {
    case .wait:
      finishDrain()
    case .drain:
      mode = .wait
      limited.clear()
    case .open:
      if isSlow {
        freeSince = window.now
      } else if wasLimited {
        closeLimited(window.now)
      } else {
        closeUnlimited(window.now)
      }
    }
    growth.isStale = false
    if hadDrops {
      growth.isOn = false
      freeSince = window.now
      takeDown(Constants.dropped)
    }
    growIfBack(hadDrops: hadDrops)
  }

  /// Whether the slot is one of many in which the limit was full and hardly anything moved: answers
  /// take so long that such slots together make one.
  private mutating func isSlowSlot(_ window: LimitWindow) -> Bool {
    let isFull = window.inFlight >= Double(limit)
    guard mode == .open, isFull, dispatched - carried < Constants.dispatchesNeeded else {
      slowTime = .zero
      return false
    }
    slowTime = slowTime + period
    return slowTime >= Constants.slowTimeNeeded && dispatched < Constants.dispatchesNeeded
  }

  private mutating func closeLimited(_ now: Instant) {
    freeSince = now
    endGrowthIfSlower()
    if growth.isOn || growth.isStale {
      limited.clear()
    } else if limited.count >= Constants.samplesNeeded {
      step()
    }
  }

  /// Below the limit the baseline is free to learn, and the limit may not drift: a limit that rose
  /// while idle is no limit when the step comes.
  private mutating func closeUnlimited(_ now: Instant) {
    if baseline == 0, !isSettled(now) {
      idle.clear()
    } else if idle.count >= Constants.idleSamplesNeeded {
      let latency = idle.value
      baseline = baseline == 0 ? latency : baseline + 0.2 * (latency - baseline)
      baselineError = 0
      idle.clear()
    }
    value = min(value, max(16, Constants.idleHeadroom * peaks.most))
    isSuspect = false
    limited.clear()
    drained.clear()
    drainedBefore = 0
    if !growth.isOn, now - freeSince > Growth.again {
      growth.isOn = true
      // Where few requests come, no slot would ever take a limit up that losses took down.
      value = max(value, Constants.firstLimit)
      losses.limitBefore = 0
    }
    if growth.isOn {
      growth.clean = 0
      growth.begin(limit: value)
    }
  }

  /// Whether those that take long have had the time to answer, too.
  private func isSettled(_ now: Instant) -> Bool {
    let (least, latencies) = Constants.settled
    return began != .never
      && (now - began).seconds >= max(least.seconds, latencies * usualLatency)
  }

  private mutating func step() {
    let latency = limited.value
    let error = limited.relativeError
    limited.clear()
    guard latency > 0 else { return }
    if baseline == 0 { baseline = latency }
    suspectLatency = latency
    suspectError = error
    gradient = latency / baseline
    var factor = wanted(gradient)
    if gradient * (1 - 2 * error) > Constants.suspicion { suspect() }
    if gradient * (1 + error) >= 1.15 { factor = factor.squareRoot() }
    value = max(
      Constants.smallest,
      value * Bounds.clamp(factor, Constants.step.least, Constants.step.most)
    )
  }

  /// What a latency of so many baselines asks the limit to be multiplied by.
  func wanted(_ gradient: Double) -> Double {
    Constants.tolerated / gradient + Constants.headroom / value.squareRoot()
  }

  private mutating func suspect() {
    guard !isSuspect else { return }
    isSuspect = true
    suspectLimit = value
  }

  private mutating func finishDrain() {
    // Requests of the drain that are still out ran for at least a slot: they count at the cap.
    drained.add(
      count: max(drainOut.count.rounded(), 0),
      each: period.seconds,
      weight: max(drainOut.weight, 0),
      scale: scale
    )
    let few = Constants.fewSamples
    let isSure = drained.count >= few.count && drained.relativeError <= few.error
    if isSure || drained.count >= Constants.samplesNeeded, drained.value > 0 { judgeDrain() }
    mode = .open
    isDeep = false
    limited.clear()
  }

  private mutating func judgeDrain() {
    let latency = drained.value
    let error = drained.relativeError
    let count = drained.count - drainedBefore
    var isKept = false
    var isHigh = latency > baseline * (1 + 3 * error) && latency > 1.25 * baseline
    let both = RatioSum.together(error, suspectError)
    if isDeep, isHigh, latency * (1 - 2 * both) > Constants.flat * suspectLatency {
      // Half of the load left latency where it was, so it is not our queue.
      value = max(value, suspectLimit * min(4, baseline > 0 ? latency / baseline : 1))
      baseline = latency
      baselineError = 0
      isHigh = false
    } else if baseline == 0 || latency < baseline * (1 - 3 * error) {
      baseline = latency
      baselineError = 0
    } else {
      baseline += count / (count + 100) * (min(latency, 1.25 * baseline) - baseline)
      // Too few to tell, where latencies differ widely: the next drain adds to them.
      isKept =
        isDeep && isHigh && drained.count < Constants.mostDrained
        && latency * (1 + 2 * both) > Constants.flat * suspectLatency
    }
    drainedBefore = isKept ? drained.count : 0
    if !isKept { drained.clear() }
    if isHigh { suspect() } else { isSuspect = false }
  }

  /// Chooses the length of the slot that begins, and whether it is a drain.
  private mutating func openSlot(_ window: LimitWindow) {
    guard wasLimited else { return }
    chooseLength(window)
    let every = max(4, Constants.longestSlot.rawValue / period.rawValue)
    guard !growth.isOn, baseline > 0, slot % every == 0 else { return }
    mode = .drain
    isDeep = isSuspect
    drainNumber &+= 1
    if drainNumber == 0 { drainNumber = 1 }
    drainOut.clear()
    if isDeep != lastWasDeep {
      drained.clear()
      drainedBefore = 0
    }
    lastWasDeep = isDeep
  }

  /// Makes slots as long as the usual latency asks for, the present one with them.
  mutating func chooseLength(_ window: LimitWindow) {
    var length = Constants.slot
    let longest = min(
      max(Constants.longestSlot.seconds, 3 * baseline * meanWeight),
      Constants.longestOfAll.seconds
    )
    while length.seconds < longest, length.seconds < 3 * usualLatency {
      length = length + length
    }
    if length != period {
      period = length
      slot = Self.slotNumber(window.wallClock, length)
    }
  }
}
