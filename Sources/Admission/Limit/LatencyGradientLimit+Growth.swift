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
  static let again = Nanoseconds.seconds(5)

  var isOn = true
  /// The last limit whose cohort was not slower; 0 when there was none.
  var clean = 0.0
  var number: UInt32 = 1
  var size = 24.0
  var samples = RatioSum()
  /// Members that are still out, and their weights.
  var out = RatioSum()

  mutating func begin(limit: Double) {
    number &+= 1
    if number == 0 { number = 1 }
    size = min(max(24, min(limit, 200)), 200)
    samples.clear()
    out.clear()
  }
}

extension LatencyGradientLimit {
  mutating func judgeCohort(_ window: LimitWindow) {
    growth.samples.add(window.cohort)
    growth.out.count += window.cohortSent.count - window.cohort.count - window.cohortGone.count
    growth.out.weight +=
      window.cohortSent.weight - window.cohort.weight - window.cohortGone.weight
    guard window.cohortLast != .never, window.cohortFirst != .never,
      growth.out.count <= growth.size * (1 - Growth.quorum)
    else { return }
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
    judge(growth.samples.value, growth.samples.relativeError)
    growth.begin(limit: value)
  }

  private mutating func judge(_ latency: Double, _ error: Double) {
    guard latency > 0 else { return }
    if baseline == 0 {
      baseline = latency
      growth.clean = value
      value *= 2
    } else if latency * (1 - 1.5 * error) > Growth.slower * baseline
      || latency > Growth.farSlower * baseline
    {
      value =
        growth.clean > 0
        ? min(1.1 * growth.clean, value) : value * max(0.4, 1.1 * baseline / latency)
      growth.isOn = false
      limited.clear()
    } else {
      growth.clean = value
      value *= 2
      if latency < baseline { baseline += 0.3 * (latency - baseline) }
    }
  }

  /// Ends growth when a slot's own samples show that it went too far.
  mutating func endGrowthIfSlower() {
    guard growth.isOn else { return }
    if wasLimited, baseline > 0, limited.count >= Constants.samplesNeeded,
      limited.value * (1 - 2 * limited.relativeError) > Growth.slower * baseline
    {
      growth.isOn = false
      if growth.clean > 0 { value = min(value, growth.clean) }
    }
  }
}
