public import Units

/// When a name is asked for again.
///
/// The spread is only ever added: before a TTL has passed a cache gives the same answer again.
public struct RefreshPacing: Sendable {
  /// Shortest and longest time between two questions, whatever the TTL: 1 s protects the name
  /// server, 5 min bounds how long a wrong answer with a long TTL can hurt.
  public var bounds = Nanoseconds.seconds(1)...Nanoseconds.seconds(300)
  /// For answers without a TTL, those from the hosts file: 30 s.
  public var withoutTTL = Nanoseconds.seconds(30)
  /// Wait after the first and after many failures; it doubles in between.
  public var retry = Nanoseconds.seconds(1)...Nanoseconds.seconds(30)

  public init() {}

  /// The wait after an answer, with up to a tenth more so that names drift apart.
  ///
  /// - Parameters:
  ///   - ttl: What the answer says, in seconds; `nil` for the hosts file.
  ///   - random: Source of the spread.
  /// - Returns: From the clamped TTL to a tenth beyond it.
  public func wait(
    ttl: Int32?,
    using random: inout some RandomNumberGenerator
  ) -> Nanoseconds {
    let asked = ttl.map { Nanoseconds.seconds(Int64($0)) } ?? withoutTTL
    return spread(min(max(asked, bounds.lowerBound), bounds.upperBound), using: &random)
  }

  /// The wait after failures in a row.
  ///
  /// - Parameters:
  ///   - failures: How many, at least 1.
  ///   - random: Source of the spread.
  /// - Returns: From the doubled and bounded wait to a tenth beyond it.
  public func wait(
    failures: Int,
    using random: inout some RandomNumberGenerator
  ) -> Nanoseconds {
    // Six doublings are beyond the longest wait; more would overflow some day.
    let doublings = Int64(min(max(failures - 1, 0), 6))
    let grown = Nanoseconds(retry.lowerBound.rawValue << doublings)
    return spread(min(grown, retry.upperBound), using: &random)
  }

  private func spread(
    _ span: Nanoseconds,
    using random: inout some RandomNumberGenerator
  ) -> Nanoseconds {
    span + Nanoseconds(Int64.random(in: 0...max(0, span.rawValue / 10), using: &random))
  }
}
