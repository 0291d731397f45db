public import Units

/// When a registry is asked again.
///
/// Failures back off with full jitter, so that edges that lost a registry together do not come back to
/// it together. Source: AWS Architecture Blog, "Exponential Backoff And Jitter", 2015.
public struct RegistryPacing: Sendable {
  /// The longest wait after the first and after many failures; it doubles in between.
  public var retry = Nanoseconds.seconds(1)...Nanoseconds.seconds(30)
  /// Time after which a whole list is asked for though changes are heard, up to a fifth more or less.
  public var relist = Nanoseconds.seconds(300)
  /// A stream that stood so long did not fail at once: what follows its end is no retry.
  public var standing = Nanoseconds.seconds(10)
  /// Shortest time between two questions where each answer is a whole list.
  public var between = Nanoseconds.milliseconds(500)
  /// The same where waiting for the next answer is not possible.
  public var polling = Nanoseconds.seconds(5)

  public init() {}

  /// The wait after failures in a row.
  func wait(failures: Int, using random: inout some RandomNumberGenerator) -> Nanoseconds {
    // Six doublings are beyond the longest wait; more would overflow some day.
    let grown = Nanoseconds(retry.lowerBound.rawValue << Int64(min(max(failures - 1, 0), 6)))
    return upTo(min(grown, retry.upperBound), using: &random)
  }

  func untilRelist(using random: inout some RandomNumberGenerator) -> Nanoseconds {
    let fifth = Nanoseconds(relist.rawValue / 5)
    return relist - fifth + upTo(fifth + fifth, using: &random)
  }

  func upTo(_ span: Nanoseconds, using random: inout some RandomNumberGenerator) -> Nanoseconds {
    Nanoseconds(Int64.random(in: 0...max(0, span.rawValue), using: &random))
  }
}
