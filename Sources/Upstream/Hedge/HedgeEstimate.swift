public import Units

/// When a request of a route is slow enough for a second attempt, and how many of them may have one.
///
/// A worker keeps one for each route and tells nobody: what it sees of the traffic is a fair sample
/// of it, and neither a latency nor a request then costs a shared cache line. The price is that each
/// worker has to learn for itself. Zeroed memory is one that knows nothing.
///
/// Samples are times from a request's first attempt to the response head, whichever attempt it came
/// from. A second attempt after the time that a share of them does not pass leaves that share as it
/// is, so the estimate does not feed on what it causes.
///
/// Source: Dean and Barroso, "The Tail at Scale", CACM 2013: a second request after the 95th
/// percentile costs one in twenty and takes most of the tail away.
public struct HedgeEstimate: BitwiseCopyable, Sendable {
  /// No second attempt goes out sooner: a timer's tick and the turn of a busy loop are part of that.
  public static let floor = Nanoseconds.milliseconds(5)
  /// Samples below which a percentile is an accident.
  public static let minimumSamples: Float = 100
  /// One request in so many may have a second attempt.
  public static let requestsEach: Int32 = 20
  /// Second attempts that a quiet time may leave for later: a route that stalls all at once is not
  /// sent what it saved up for hours.
  public static let burst: Int32 = 10
  /// Samples after which the percentile is looked for again.
  private static let freshness: Int32 = 64

  private var histogram = LatencyHistogram()
  /// Requests that were counted and have paid for no second attempt yet.
  private var credit: Int32 = 0
  private var fresh: Int32 = 0
  private var known = Nanoseconds.zero
  private var knownShare = 0.0
  /// Whether the last `delay` was looked for, rather than remembered.
  public private(set) var isNews = false

  public init() {}

  /// Samples, as far as they count still.
  public var samples: Float { histogram.total }

  /// Notes how long a request waited for its response head.
  public mutating func observe(_ latency: Nanoseconds, at now: Instant) {
    histogram.observe(latency, at: now)
    fresh &+= 1
  }

  /// How long after its first attempt a request gets a second one.
  ///
  /// - Parameters:
  ///   - share: The percentile, in `0...1`.
  ///   - now: The time of this turn.
  /// - Returns: `nil` while too little is known.
  public mutating func delay(share: Double, at now: Instant) -> Nanoseconds? {
    let hasDecayed = histogram.decay(at: now)
    guard histogram.total >= Self.minimumSamples else {
      known = .zero
      isNews = true
      return nil
    }
    isNews = false
    if hasDecayed || known == .zero || fresh >= Self.freshness || share != knownShare {
      known = max(Self.floor, histogram.quantile(share) ?? .zero)
      knownShare = share
      fresh = 0
      isNews = true
    }
    return known
  }

  /// Counts a request that might get a second attempt.
  public mutating func countRequest() {
    credit = min(credit + 1, Self.burst * Self.requestsEach)
  }

  /// Whether enough requests were counted for a second attempt.
  public var hasCredit: Bool { credit >= Self.requestsEach }

  /// A second attempt goes out.
  public mutating func spend() { credit -= Self.requestsEach }
}
