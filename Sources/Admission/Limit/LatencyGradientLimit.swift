internal import Glibc
internal import Units

/// A concurrency limit that follows the ratio of latency to an unloaded latency which it measures
/// again during overload.
///
/// A latency gradient is the quietest signal of overload there is, but its baseline goes wrong: it
/// drifts up while the overload lasts, and a slower dependency looks like queueing. So for one slot of
/// time in sixteen the limit is multiplied by 0.7, a *shallow drain*, and the latency of the requests
/// dispatched in it moves the baseline. Slots are cut from the wall clock, so that all edges of one
/// service drain together without talking to each other.
///
/// ```
///            1 slot of 16                 1 slot
///   open ──────────────────▶ drain ──────────────▶ wait ──▶ open, with a new baseline
/// ```
///
/// While a service may have plenty left, after a start or 5 s without being limited, the limit
/// instead *grows*: it doubles as long as a cohort of requests is not slower than the baseline.
///
/// Sources: the gradient is that of Envoy's `adaptive_concurrency` and Netflix `Gradient2Limit`, with
/// the square root of TCP buffer sizing (Appenzeller, SIGCOMM 2004) as headroom; measuring anew under
/// load is BBR's ProbeRTT (Cardwell, ACM Queue 2016), made shallow. Constants come from simulation
/// and are insensitive, so none is a setting.
public struct LatencyGradientLimit: ConcurrencyLimit {
  enum Mode: Sendable { case open, drain, wait }

  enum Constants {
    static let firstLimit = 16.0
    static let smallest = 2.0
    /// Latency over baseline that is aimed at.
    static let tolerated = 1.1
    static let headroom = 1.5
    static let step = (least: 0.75, most: 1.5)
    static let samplesNeeded = 24.0
    /// Fewer do in a drain where they are as sure as so many exponential ones; of less than these not
    /// even the error is known.
    static let fewSamples = (count: 8.0, error: 1 / samplesNeeded.squareRoot())
    static let idleSamplesNeeded = 32.0
    static let shallow = 0.7
    /// The depth of a drain that decides whose latency it is.
    static let deep = 0.5
    static let suspicion = 1.5
    static let flat = 0.7
    static let idleHeadroom = 1.4
    static let slot = Nanoseconds.milliseconds(100)
    static let longestSlot = Nanoseconds.milliseconds(1_600)
    /// The same for services that take longer than a slot of that length without any load.
    static let longestOfAll = Nanoseconds.milliseconds(102_400)
    /// Answers before this much time, and before ten times the usual latency, say nothing of those
    /// that take long: the first to come are the quickest.
    static let settled = (least: Nanoseconds.seconds(1), latencies: 10.0)
    static let dispatchesNeeded = 4.0
    static let slowTimeNeeded = Nanoseconds.seconds(1)
    /// Samples of deep drains that are put together at most.
    static let mostDrained = 1_000.0
    static let dropped = 0.7
    /// How far a baseline that was handed over may be from the truth.
    static let learnedError = 0.25
  }

  // The limit, as a real number: steps of a small one would else be rounded away.
  var value = Constants.firstLimit
  /// Unloaded latency per weight of route; 0 until known.
  var baseline = 0.0
  /// How far it may be from the truth, as a relative standard error; 0 once drains or calm moved it.
  var baselineError = 0.0
  /// Moving means (1/100) of capped latency and of weight; their ratio is the scale.
  var meanLatency = 0.0
  var meanWeight = 0.0
  /// Moving mean (1/50) of latency, for time scales only.
  var usualLatency = 0.0
  /// Samples at the limit, far below it, and in a drain.
  var limited = RatioSum()
  var idle = RatioSum()
  var drained = RatioSum()
  /// Those in `drained` that an earlier drain has moved the baseline by.
  var drainedBefore = 0.0
  var gradient = 0.0

  var mode = Mode.open
  var period = Constants.slot
  var slot = Int64.min
  var slotBegan = Instant(.min)
  var wasLimited = false
  var dispatched = 0.0
  var dispatchedLimited = 0.0
  /// Those of `dispatched` that went out in slots before this one.
  var carried = 0.0
  /// For how long the limit was full and fewer than `dispatchesNeeded` went out in each slot.
  var slowTime = Nanoseconds.zero
  var dropped = 0.0
  var losses = Losses()
  var peaks = InFlightPeaks()

  var isSuspect = false
  var suspectLimit = 0.0
  var suspectLatency = 0.0
  var suspectError = 0.0
  var isDeep = false
  var lastWasDeep = false
  var drainNumber: UInt32 = 0
  /// Requests of the drain that are still out, and their weights.
  var drainOut = RatioSum()

  var growth = Growth()
  var freeSince = Instant(.min)
  /// When the first request was dispatched.
  var began = Instant.never

  /// Until when the service has all it can do by its own word.
  var saturatedUntil = Instant(.min)
  var isHeldBack = false

  /// Bounds that an operator has set: beyond them the rule would learn from limits that nobody had.
  var bounds = Constants.smallest...Double(Bounds.limit)

  /// A limit that starts from nothing.
  public init() {}

  /// A limit that starts from what was learned before; its first cohort verifies it.
  public init(learned: LearnedLimit) {
    value = Bounds.clamp(learned.limit, Constants.smallest, Double(Bounds.limit))
    baseline = Bounds.clamp(learned.baseline, 0, Bounds.latency)
    meanLatency = Bounds.clamp(learned.meanLatency, 0, Bounds.latency)
    meanWeight = Bounds.clamp(learned.meanWeight, 0, Bounds.latency)
    usualLatency = Bounds.clamp(learned.usualLatency, 0, Bounds.latency)
    // The process before may have known another machine, or another hour: where cohorts say so, they
    // are believed.
    baselineError = baseline > 0 ? Constants.learnedError : 0
    // Without it the first slot, which has seen nobody, would cut the limit to its least.
    peaks = InFlightPeaks(before: value / Constants.idleHeadroom)
    if meanLatency == 0 || meanWeight == 0 { (meanLatency, meanWeight, baseline) = (0, 0, 0) }
    growth.pooled = RatioSum.known(baseline, error: baselineError, weight: meanWeight)
  }

  /// Keeps the limit in this range from now on.
  mutating func bound(to range: ClosedRange<Int>) {
    let most = Double(range.upperBound)
    bounds = min(max(Constants.smallest, Double(range.lowerBound)), most)...most
    value = Bounds.clamp(value, bounds.lowerBound, most)
  }

  /// What is worth keeping across a restart.
  public var learned: LearnedLimit {
    LearnedLimit(
      limit: value,
      baseline: baseline,
      meanLatency: meanLatency,
      meanWeight: meanWeight,
      usualLatency: usualLatency
    )
  }

  public var limit: Int {
    let depth = mode == .drain ? (isDeep ? Constants.deep : Constants.shallow) : 1
    return Bounds.whole(value * depth, in: 1...Bounds.limit)
  }

  /// Latency per weight of route now.
  var scale: Double { meanWeight > 0 && meanLatency > 0 ? meanLatency / meanWeight : 1 }

  public var guidance: LimitGuidance {
    var guidance = LimitGuidance()
    guidance.period = period
    guidance.drainDispatch = mode == .drain ? drainNumber : 0
    guidance.drainSample = mode == .open ? 0 : drainNumber
    guidance.cohort = growth.isOn ? growth.number : 0
    guidance.cohortSize = Int(growth.size)
    guidance.cohortQuorum = Int((growth.size * Growth.quorum).rounded(.up))
    guidance.isGrowing = growth.isOn
    guidance.isHeldBack = isHeldBack
    guidance.latency = usualLatency
    guidance.scale = scale
    guidance.smoothLimit = value
    guidance.baseline = baseline
    guidance.gradient = gradient
    return guidance
  }

  public mutating func observe(_ window: LimitWindow) {
    hearReports(window)
    let before = value
    learnScale(window)
    addUp(window)
    if growth.isOn { judgeCohort(window) }
    peaks.advance(to: window.now, inFlight: window.inFlight)
    cutIfLost(window)
    advanceSlot(window)
    isHeldBack = window.now < saturatedUntil
    if isHeldBack { holdBack(to: before) }
    // Nothing above may leave a value that later sums cannot recover from.
    value = Bounds.clamp(value, bounds.lowerBound, bounds.upperBound)
    baseline = Bounds.clamp(baseline, 0, Bounds.latency)
  }

  private mutating func learnScale(_ window: LimitWindow) {
    guard window.samples >= 1, window.weight > 0 else { return }
    let latency = Bounds.clamp(
      window.latency / window.samples,
      Bounds.shortestLatency,
      Bounds.latency
    )
    let capped = Bounds.clamp(
      window.cappedLatency / window.samples,
      Bounds.shortestLatency,
      Bounds.latency
    )
    let weight = Bounds.clamp(window.weight / window.samples, 1e-9, 1e9)
    usualLatency = UsualLatency.moved(
      usualLatency,
      toward: latency,
      samples: window.samples,
      factor: 0.98
    )
    guard meanWeight > 0 else {
      (meanLatency, meanWeight) = (capped, weight)
      return
    }
    let gain = 1 - pow(0.99, window.samples)
    meanLatency += gain * (capped - meanLatency)
    meanWeight += gain * (weight - meanWeight)
  }

  private mutating func addUp(_ window: LimitWindow) {
    if began == .never, window.dispatched > 0 { began = window.now }
    dispatched += window.dispatched
    dispatchedLimited += window.dispatchedLimited
    dropped += window.dropped
    peaks.add(window.peakInFlight)
    limited.add(window.limited)
    if !wasLimited { idle.add(window.idle) }
    guard mode != .open else { return }
    drained.add(window.drain)
    drainOut.count += window.drainSent.count - window.drain.count - window.drainGone.count
    drainOut.weight += window.drainSent.weight - window.drain.weight - window.drainGone.weight
  }
}
