public import Units

/// A rule that learns from what happened to admitted requests how many may be in flight.
///
/// It reads no clock, draws no randomness that is not its own state, and is not called per request:
/// workers add up what they see, and whoever notices the end of a window hands over the sums.
public protocol ConcurrencyLimit: Sendable {
  /// Requests that may be in flight, in `1...Bounds.limit`.
  var limit: Int { get }

  /// What the workers must tell apart from now on, for the rules that ask for it.
  var guidance: LimitGuidance { get }

  /// Learns from one window; windows come in the order of `window.now`, 10 ms apart or less.
  mutating func observe(_ window: LimitWindow)
}

/// What the workers of a service saw since the window before.
///
/// Spans are in seconds. Samples are requests that were served; a drop is one that the service
/// refused, broke or left unanswered, and has no latency.
public struct LimitWindow: Equatable, Sendable, BitwiseCopyable {
  /// The end of the window on the monotonic clock.
  public var now = Instant(0)
  /// The same moment on the wall clock, in nanoseconds since its start.
  public var wallClock: Int64 = 0
  /// Requests in flight at the end of the window.
  public var inFlight = 0.0
  /// Most requests in flight at a dispatch of the window.
  public var peakInFlight = 0.0
  /// Requests that were dispatched.
  public var dispatched = 0.0
  /// Those of them that filled the limit or left others queued.
  public var dispatchedLimited = 0.0
  /// Requests that ended as dropped.
  public var dropped = 0.0
  /// Requests that ended as served.
  public var samples = 0.0
  /// Samples that were dispatched with more than half of the limit in flight.
  public var busySamples = 0.0
  /// Sum of the samples' latencies.
  public var latency = 0.0
  /// The same, each cut off at `LimitGuidance.period`.
  public var cappedLatency = 0.0
  /// Sum of the weights of the samples' routes.
  public var weight = 0.0
  /// Samples that were dispatched while limited.
  public var limited = RatioSum()
  /// Samples that were dispatched unlimited, with at most half of the limit in flight.
  public var idle = RatioSum()
  /// Samples of the drain that guidance names.
  public var drain = RatioSum()
  /// Requests dispatched in that drain, and those of them that ended without saying anything.
  public var drainSent = RatioSum()
  public var drainGone = RatioSum()
  /// Samples of the cohort that guidance names.
  public var cohort = RatioSum()
  /// Requests dispatched as members of that cohort, and those that ended without saying anything.
  public var cohortSent = RatioSum()
  public var cohortGone = RatioSum()
  /// When the cohort's first and last members were dispatched; `.never` while they were not.
  public var cohortFirst = Instant.never
  public var cohortLast = Instant.never
  /// Reports of load that came, and the sum of what they say to be in use as their weight.
  public var reports = RatioSum()

  public init() {}
}

/// What a limit asks of the workers.
public struct LimitGuidance: Equatable, Sendable, BitwiseCopyable {
  /// Latencies count as at most this.
  public var period = Nanoseconds.seconds(3_600)
  /// Marks requests dispatched now as belonging to this drain; 0 for none.
  public var drainDispatch: UInt32 = 0
  /// The drain whose samples are being added up; 0 for none.
  public var drainSample: UInt32 = 0
  /// The cohort that limited requests join; 0 for none.
  public var cohort: UInt32 = 0
  /// Members of the cohort.
  public var cohortSize = 0
  /// Members that have to be back before the cohort is judged.
  public var cohortQuorum = 0
  /// True while the limit may still double: a queue then says nothing about overload.
  public var isGrowing = false
  /// True while the limit does not grow because the service has all it can do by its own word.
  public var isHeldBack = false
  /// Usual latency, in seconds, for time scales alone; 0 while nothing is known.
  public var latency = 0.0
  /// Latency per weight of route, for residuals and new routes.
  public var scale = 1.0
  /// The limit without the depth of a drain, for the length of the queue.
  public var smoothLimit = 0.0
  /// Unloaded latency per weight; 0 where the rule has none.
  public var baseline = 0.0
  /// Latency over baseline in the last slot that was judged; 0 where the rule has none.
  public var gradient = 0.0

  public init() {}
}
