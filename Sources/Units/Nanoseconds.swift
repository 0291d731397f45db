/// A span of time in whole nanoseconds, signed, about 292 years each way.
///
/// `Duration` is 128 bits wide; the request path adds and compares spans a dozen times a request.
@frozen
public struct Nanoseconds: Hashable, Comparable, Sendable, BitwiseCopyable {
  /// The span in nanoseconds.
  public var rawValue: Int64

  @inlinable
  public init(_ rawValue: Int64) { self.rawValue = rawValue }

  @inlinable
  public static var zero: Nanoseconds { Nanoseconds(0) }

  @inlinable
  public static func microseconds(_ count: Int64) -> Nanoseconds { Nanoseconds(count * 1_000) }

  @inlinable
  public static func milliseconds(_ count: Int64) -> Nanoseconds { Nanoseconds(count * 1_000_000) }

  @inlinable
  public static func seconds(_ count: Int64) -> Nanoseconds { Nanoseconds(count * 1_000_000_000) }

  /// The span in seconds, for metrics and messages.
  @inlinable
  public var seconds: Double { Double(rawValue) / 1e9 }

  /// The span in milliseconds, for logs and messages.
  @inlinable
  public var milliseconds: Double { Double(rawValue) / 1e6 }

  @inlinable
  public static func < (a: Nanoseconds, b: Nanoseconds) -> Bool { a.rawValue < b.rawValue }

  /// The sum, at the end of the range where it would pass it.
  @inlinable
  public static func + (a: Nanoseconds, b: Nanoseconds) -> Nanoseconds {
    let (sum, overflow) = a.rawValue.addingReportingOverflow(b.rawValue)
    return Nanoseconds(overflow ? (b.rawValue > 0 ? .max : .min) : sum)
  }

  /// The difference, at the end of the range where it would pass it.
  @inlinable
  public static func - (a: Nanoseconds, b: Nanoseconds) -> Nanoseconds {
    let (difference, overflow) = a.rawValue.subtractingReportingOverflow(b.rawValue)
    return Nanoseconds(overflow ? (b.rawValue < 0 ? .max : .min) : difference)
  }
}
