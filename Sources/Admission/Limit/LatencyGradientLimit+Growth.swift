internal import Units

/// Doubling while a service is no slower for it.
///
/// A service that has plenty left must not be refused because the limit is still small; published
/// limits shed most of a healthy service's traffic for seconds after a start or a jump in demand.
/// A cohort is the next requests dispatched while limited.
struct Growth: Sendable {
  /// The share of a cohort that is waited for; the others count at their age.
  static let quorum = 0.9
  /// Inflation that ends growth at a slot's end, and at a cohort's.
  static let slower = 1.3
  static let farSlower = 2.0
  /// With a larger error growth does not end before the baseline was looked at once more.
  static let unsure = 0.3
  static let mostChecks = 4
  /// A cohort of which so much is back, no slower than the baseline, while the others take this many
  /// usual latencies more: these are lost, and tell nothing of how much the service can do.
  static let lost = (share: 0.5, latencies: 5.0)
  static let again = Nanoseconds.seconds(5)

  var isOn = true
  /// The last limit whose cohort was not slower; 0 when there was none.
  var clean = 0.0
  var number: UInt32 = 1
  var size = 24.0
  var samples = RatioSum()
  /// All cohorts that were not slower, where the baseline is known from nothing else.
  var pooled = RatioSum()
  /// The first cohort, where the baseline is known from nothing else.
  var first = RatioSum()
  /// The next cohort only makes the baseline surer.
  var isCheck = false
  var checks = 0
  /// Members that are still out, and their weights.
  var out = RatioSum()
  /// Growth ended within the slot: those that answer in the rest of it were dispatched before.
  var isStale = false

  mutating func begin(limit: Double) {
    number &+= 1
    if number == 0 { number = 1 }
    size = min(max(24, min(limit, 200)), 200)
    samples.clear()
    out.clear()
  }
}

extension RatioSum {
  /// The relative error of the ratio of two values.
  static func together(_ a: Double, _ b: Double) -> Double { (a * a + b * b).squareRoot() }

  /// What is known of a service from before, as heavy as its smallest cohort: the first one moves it,
  /// and does not take its place.
  fileprivate static let knownCount = 24.0

  /// Samples that say `value`, with this relative error, of routes with this weight.
  static func known(_ value: Double, error: Double, weight: Double) -> RatioSum {
    let latency = knownCount * weight * value
    return RatioSum(
      count: knownCount,
      latency: latency,
      weight: knownCount * weight,
      residual: error * latency * error * latency
    )
  }
}

extension LatencyGradientLimit {
  mutating func judgeCohort(_ window: LimitWindow) {
    growth.samples.add(window.cohort)
    growth.out.count += window.cohortSent.count - window.cohort.count - window.cohortGone.count
    growth.out.weight +=
      window.cohortSent.weight - window.cohort.weight - window.cohortGone.weight
    guard window.cohortLast != .never, window.cohortFirst != .never else { return }
    guard growth.out.count <= growth.size * (1 - Growth.quorum) else {
      if isPartlyLost(window) { growth.begin(limit: value) }
      return
    }
    let middle =
      window.cohortFirst
      + Nanoseconds(
        (window.cohortLast - window.cohortFirst).rawValue / 2
      )
    let age = max((window.now - middle).seconds, 0)
    growth.samples.add(
      count: growth.out.count.rounded(),
      each: age,
      weight: max(growth.out.weight, 0),
      scale: scale
    )
    judge(growth.samples)
    growth.begin(limit: value)
    if growth.isStale { chooseLength(window) }
  }

  /// Whether some of a cohort hang while the others were answered as ever: one endpoint of several may
  /// hang, and until its time-outs come the limit could not grow for those that work.
  private func isPartlyLost(_ window: LimitWindow) -> Bool {
    let back = growth.samples
    guard baseline > 0, back.value > 0, growth.out.count <= growth.size * (1 - Growth.lost.share)
    else { return false }
    let silence = Growth.lost.latencies * usualLatency
    return (window.now - window.cohortLast).seconds > max(silence, Constants.slot.seconds)
      && back.value * (1 - 1.5 * back.relativeError) <= Growth.slower * baseline
  }

  private mutating func judge(_ cohort: RatioSum) {
    let latency = cohort.value
    guard latency > 0 else { return }
    // Where some requests take a hundred times as long as others, two cohorts of the same service
    // may differ by a factor of two.
    let error = RatioSum.together(cohort.relativeError, baselineError)
    if baseline == 0 {
      growth.pooled = cohort
      growth.first = cohort
      baseline = latency
      baselineError = cohort.relativeError
      double()
    } else if growth.isCheck {
      growth.isCheck = false
      pool(cohort)
    } else if latency * (1 - 1.5 * error) > Growth.slower * baseline
      || latency > Growth.farSlower * (1 + error) * baseline || isSlowerThanFirst(cohort)
    {
      if baselineError > 0, error > Growth.unsure, growth.checks < Growth.mostChecks {
        growth.checks += 1
        growth.isCheck = true
        value = growth.clean > 0 ? growth.clean : value / 2
        return
      }
      endGrowth(clean: 1.1 * growth.clean, latency)
      growth.isStale = true
    } else {
      double()
      if baselineError > 0 {
        pool(cohort)
      } else if latency < baseline {
        baseline += 0.3 * (latency - baseline)
      }
    }
  }

  /// Each cohort that is pooled may be a little slower than those before: many together would lead the
  /// baseline as far up as the limit goes.
  private func isSlowerThanFirst(_ cohort: RatioSum) -> Bool {
    let first = growth.first
    guard baselineError > 0, first.value > 0 else { return false }
    let error = RatioSum.together(cohort.relativeError, first.relativeError)
    return cohort.value * (1 - 1.5 * error) > Growth.slower * first.value
  }

  /// Back to the last limit that was clean; where none is known, as far as the gradient asks for at
  /// once, but not below 0.4.
  ///
  /// - Parameters:
  ///   - clean: What counts as clean where that is known.
  ///   - latency: What the gradient is of.
  private mutating func endGrowth(clean: Double, _ latency: Double) {
    let before = value
    value =
      growth.clean > 0
      ? min(clean, value) : value * Bounds.clamp(wanted(latency / baseline), 0.4, 1)
    // What waits at the service is the limit: with less of it, less time is waited. Slots as long as the
    // queue was would keep the next step for later.
    usualLatency *= value / before
    growth.isOn = false
    limited.clear()
  }

  private mutating func pool(_ cohort: RatioSum) {
    growth.pooled.add(cohort)
    baseline = growth.pooled.value
    baselineError = growth.pooled.relativeError
  }

  /// Nothing was slower: twice as much, up to what the operator allows.
  private mutating func double() {
    growth.clean = value
    value *= 2
    guard value >= bounds.upperBound else { return }
    value = bounds.upperBound
    growth.isOn = false
    limited.clear()
  }

  /// Ends growth when a slot's own samples show that it went too far.
  mutating func endGrowthIfSlower() {
    // The least that it may be: a burst of slow requests is no reason to go far down.
    let latency = limited.value * (1 - 2 * (limited.relativeError + baselineError))
    guard growth.isOn, wasLimited, baseline > 0, limited.count >= Constants.samplesNeeded,
      latency > Growth.slower * baseline
    else { return }
    if growth.clean > 0 {
      growth.isOn = false
      value = min(value, growth.clean)
    } else {
      endGrowth(clean: 0, latency)
    }
  }
}
