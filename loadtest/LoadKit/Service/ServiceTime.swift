internal import Glibc
public import Units

/// How long one request keeps a worker of a simulated service.
public enum ServiceTime: Equatable, Sendable {
  case constant(Nanoseconds)
  case exponential(mean: Nanoseconds)
  /// `sigma` is the deviation of the logarithm; the mean is kept whatever it is.
  case lognormal(mean: Nanoseconds, sigma: Double)
  /// A share of the requests is slow, as those that miss a cache.
  case bimodal(fast: Nanoseconds, slow: Nanoseconds, slowShare: Double)

  /// What capacity follows from: workers divided by this.
  public var mean: Nanoseconds {
    switch self {
    case .constant(let time), .exponential(let time), .lognormal(let time, _): time
    case .bimodal(let fast, let slow, let share):
      Nanoseconds(
        Int64(Double(fast.rawValue) * (1 - share) + Double(slow.rawValue) * share)
      )
    }
  }

  /// One time; never negative, at most an hour.
  public func draw(_ generator: inout SplitMix64) -> Nanoseconds {
    let value: Double
    switch self {
    case .constant(let time): value = Double(time.rawValue)
    case .exponential(let mean): value = Double(mean.rawValue) * generator.exponential()
    case .lognormal(let mean, let sigma):
      let median = log(max(Double(mean.rawValue), 1)) - sigma * sigma / 2
      value = exp(median + sigma * generator.normal())
    case .bimodal(let fast, let slow, let share):
      value = Double((generator.chance(share) ? slow : fast).rawValue)
    }
    return Nanoseconds(Int64(min(value, 3.6e12)))
  }
}
