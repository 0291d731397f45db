/// How the intended send times of an open loop are spread.
public enum ArrivalProcess: Equatable, Sendable {
  /// Evenly: the kindest traffic there is.
  case constant
  /// Independent callers: exponential gaps.
  case poisson
  /// Independent groups of `size` requests at the same instant, with exponential gaps.
  ///
  /// `size`: At least 2.
  case bursty(size: Int)
}

/// A stretch of time at one rate.
public struct RatePhase: Equatable, Sendable {
  /// Requests per second; 0 is a pause.
  public var rate: Double
  /// In seconds, above 0.
  public var duration: Double

  public init(rate: Double, duration: Double) {
    self.rate = rate
    self.duration = duration
  }
}
