/// Wall clock times as RFC 3339 writes them.
public enum Timestamp {
  /// `2026-04-08T10:15:30.123Z`, or without the fraction.
  ///
  /// - Parameters:
  ///   - nanoseconds: Since 1970, UTC.
  ///   - hasMilliseconds: Whether the fraction is written.
  /// - Returns: The time in UTC.
  public static func rfc3339(nanoseconds: Int64, hasMilliseconds: Bool = true) -> String {
    String(decoding: bytes(nanoseconds, hasMilliseconds), as: UTF8.self)
  }

  static func bytes(_ nanoseconds: Int64, _ hasMilliseconds: Bool) -> [UInt8] {
    // Years beyond 9999 have no form; no clock gives them.
    let time = max(0, nanoseconds)
    let (seconds, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
    let (days, ofDay) = seconds.quotientAndRemainder(dividingBy: 86_400)
    let (year, month, day) = civil(days)
    var out: [UInt8] = []
    out.reserveCapacity(24)
    func put(_ value: Int64, _ width: Int, _ after: UInt8) {
      var divisor: Int64 = 1
      for _ in 1..<width { divisor *= 10 }
      while divisor > 0 {
        out.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
        divisor /= 10
      }
      out.append(after)
    }
    put(year, 4, UInt8(ascii: "-"))
    put(month, 2, UInt8(ascii: "-"))
    put(day, 2, UInt8(ascii: "T"))
    put(ofDay / 3_600, 2, UInt8(ascii: ":"))
    put(ofDay / 60 % 60, 2, UInt8(ascii: ":"))
    put(ofDay % 60, 2, UInt8(ascii: hasMilliseconds ? "." : "Z"))
    if hasMilliseconds { put(rest / 1_000_000, 3, UInt8(ascii: "Z")) }
    return out
  }

  /// The date `days` after 1970-01-01, counted in eras of 400 years that begin in March.
  private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }
}
