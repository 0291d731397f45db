/// A point on the monotonic clock, in nanoseconds since an arbitrary start.
///
/// Only the reactor makes these from a real clock; tests make their own.
@frozen
public struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable {
  /// Nanoseconds since the start of the clock.
  public var rawValue: Int64

  @inlinable
  public init(_ rawValue: Int64) { self.rawValue = rawValue }

  /// Later than every instant that a clock gives.
  ///
  /// Computed, so that other targets see the number and not a call.
  @inlinable
  public static var never: Instant { Instant(.max) }

  @inlinable
  public static func < (a: Instant, b: Instant) -> Bool { a.rawValue < b.rawValue }

  /// The instant `span` later, `.never` where that would pass the end of the range.
  @inlinable
  public static func + (a: Instant, span: Nanoseconds) -> Instant {
    let (sum, overflow) = a.rawValue.addingReportingOverflow(span.rawValue)
    return overflow ? (span.rawValue > 0 ? .never : Instant(.min)) : Instant(sum)
  }

  /// The span from `b` to `a`.
  @inlinable
  public static func - (a: Instant, b: Instant) -> Nanoseconds {
    Nanoseconds(a.rawValue) - Nanoseconds(b.rawValue)
  }
}
