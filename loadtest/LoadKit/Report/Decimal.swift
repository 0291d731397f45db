/// Numbers as reports show them, the same in every locale.
public enum Decimal {
  /// Rounded to some digits behind the point; a dash for what is no number.
  ///
  /// - Parameters:
  ///   - value: Anything; its size is bounded to what a reader can take in.
  ///   - digits: In `0...6`.
  /// - Returns: The digits with a point.
  public static func text(_ value: Double, digits: Int) -> String {
    guard value.isFinite else { return "-" }
    let bounded = min(max(value, -1e12), 1e12)
    var scale = 1.0
    for _ in 0..<min(max(digits, 0), 6) { scale *= 10 }
    let whole = Int64((bounded * scale).rounded())
    guard digits > 0 else { return "\(whole)" }
    let magnitude = whole.magnitude
    let unit = UInt64(scale)
    let rest = "\(magnitude % unit)"
    let zeros = String(repeating: "0", count: min(digits, 6) - rest.utf8.count)
    return "\(whole < 0 ? "-" : "")\(magnitude / unit).\(zeros)\(rest)"
  }
}
