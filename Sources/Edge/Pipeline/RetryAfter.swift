internal import Units

/// How long a response asks its client to stay away: the value of Retry-After (RFC 9110 section
/// 10.2.3).
enum RetryAfter {
  /// Longer than any deadline.
  private static let ages = Nanoseconds.seconds(1_000_000_000)

  /// Seconds, or a date; `nil` for anything else.
  ///
  /// `wallClock`: Nanoseconds since 1970.
  static func read(
    _ value: UnsafePointer<UInt8>,
    _ count: Int,
    wallClock: Int64
  ) -> Nanoseconds? {
    if let seconds = DemandField.number(value, count) { return .seconds(seconds) }
    if count > 0, (0..<count).allSatisfy({ (0x30...0x39).contains(value[$0]) }) { return ages }
    guard let date = date(value, count) else { return nil }
    // A date may lie in the year 9999, far beyond what nanoseconds can count.
    let away = date - wallClock / 1_000_000_000
    guard away < ages.rawValue / 1_000_000_000 else { return ages }
    return max(.zero, Nanoseconds.seconds(date) - Nanoseconds(wallClock))
  }

  /// Seconds since 1970 of a date as senders must write it, such as `Sun, 06 Nov 1994 08:49:37 GMT`
  /// (RFC 9110 section 5.6.7).
  static func date(_ value: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
    guard count == 29, value[3] == UInt8(ascii: ","), value[4] == 0x20, value[7] == 0x20,
      value[11] == 0x20, value[16] == 0x20, value[19] == UInt8(ascii: ":"),
      value[22] == UInt8(ascii: ":"), FieldName.matches(value + 25, 4, " GMT")
    else { return nil }
    guard let day = DemandField.number(value + 5, 2), let month = month(value + 8),
      let year = DemandField.number(value + 12, 4), let hour = DemandField.number(value + 17, 2),
      let minute = DemandField.number(value + 20, 2),
      let second = DemandField.number(value + 23, 2),
      (1...31).contains(day), hour < 24, minute < 60, second <= 60, year >= 1_970
    else { return nil }
    // Days since 1970-03-01, counted in years that begin with March so that a leap day comes last.
    // Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    let days = era * 146_097 + dayOfEra - 719_468
    return ((days * 24 + hour) * 60 + minute) * 60 + second
  }

  private static func month(_ name: UnsafePointer<UInt8>) -> Int64? {
    let names: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    return (0..<12).first { FieldName.equals(name, names.utf8Start + $0 * 3, 3) }.map {
      Int64($0) + 1
    }
  }
}
