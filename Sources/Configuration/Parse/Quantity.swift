public import Units

/// Durations and sizes as operators write them.
public enum Quantity {
  /// The span, or `nil` when the text is none.
  ///
  /// `bareMilliseconds`: A number without a unit counts milliseconds.
  public static func duration(_ text: String, bareMilliseconds: Bool) -> Nanoseconds? {
    if bareMilliseconds, let value = Int64(text), value >= 0, value < 1 << 40 {
      return .milliseconds(value)
    }
    let units: [(String, Double)] = [
      ("ms", 1e6), ("us", 1e3), ("s", 1e9), ("m", 6e10), ("h", 3.6e12),
    ]
    for (suffix, scale) in units where text.hasSuffix(suffix) {
      guard let value = decimal(text.dropLast(suffix.count)) else { return nil }
      let nanoseconds = value * scale
      guard nanoseconds <= 9e18 else { return nil }
      return Nanoseconds(Int64(nanoseconds.rounded()))
    }
    return nil
  }

  /// The number of bytes, or `nil` when the text is none.
  public static func size(_ text: String) -> Int? {
    let units: [(String, Double)] = [
      ("KiB", 1_024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("B", 1),
    ]
    for (suffix, scale) in units where text.hasSuffix(suffix) {
      guard let value = decimal(text.dropLast(suffix.count)), value * scale <= 9e18 else {
        return nil
      }
      return Int(value * scale)
    }
    guard let value = Int(text), value >= 0 else { return nil }
    return value
  }

  /// Digits with at most one point; no sign, no exponent, no infinity.
  private static func decimal(_ text: Substring) -> Double? {
    let isPlain =
      !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
    return isPlain && text.utf8.count <= 20 ? Double(text) : nil
  }

  /// A duration as one would write it.
  public static func text(_ span: Nanoseconds) -> String {
    let value = span.rawValue
    if value % 1_000_000 != 0 { return "\(value / 1_000)us" }
    if value % 1_000_000_000 != 0 || value == 0 { return "\(value / 1_000_000)ms" }
    if value % 3_600_000_000_000 == 0 { return "\(value / 3_600_000_000_000)h" }
    if value % 60_000_000_000 == 0 { return "\(value / 60_000_000_000)m" }
    return "\(value / 1_000_000_000)s"
  }
}
