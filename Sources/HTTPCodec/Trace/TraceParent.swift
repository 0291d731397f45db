/// The id of the trace that a request belongs to, 16 bytes; all zero stands for none.
public struct TraceID: Equatable, Sendable, BitwiseCopyable {
  public var high: UInt64
  public var low: UInt64

  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  @inlinable public static var none: TraceID { TraceID(high: 0, low: 0) }
}

/// `traceparent`, by which a caller says what its request is part of.
///
/// ```
/// version "-" trace-id "-" parent-id "-" trace-flags
///   00    -  32 digits - 16 digits  -     01
/// ```
///
/// What breaks the rules names no trace: a log that believed half of it would join strangers.
///
/// Source: W3C Trace Context, https://www.w3.org/TR/trace-context/, section 3.2.
public enum TraceParent {
  /// The length in version 00, in bytes; later versions may append to it behind a dash.
  public static let length = 55

  /// The trace that a field's value of so many bytes names, none where it breaks the rules.
  public static func traceID(_ value: UnsafePointer<UInt8>, _ count: Int) -> TraceID {
    let dash = UInt8(ascii: "-")
    guard count >= length, value[2] == dash, value[35] == dash, value[52] == dash,
      let version = number(value, 2), version != 0xFF,
      count == length || version > 0 && value[length] == dash,
      let high = number(value + 3, 16), let low = number(value + 19, 16), high | low != 0,
      let parent = number(value + 36, 16), parent != 0,
      number(value + 53, 2) != nil
    else { return .none }
    return TraceID(high: high, low: low)
  }

  /// The number in so many hexadecimal digits, of which only small letters are allowed.
  private static func number(_ digits: UnsafePointer<UInt8>, _ count: Int) -> UInt64? {
    var number: UInt64 = 0
    for index in 0..<count {
      let byte = digits[index]
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(byte - 48)
      case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(byte - 87)
      default: return nil
      }
    }
    return number
  }
}
