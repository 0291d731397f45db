/// Which cell of a method's run counts a status code.
///
/// Registered codes have a cell each; the others share one per class, so that an upstream that
/// makes up codes cannot make series.
public enum StatusSlots {
  /// The common codes come first: with the mask before them they share one cache line.
  static let known: [Int] =
    [200, 204, 304, 404, 503, 429, 302, 201, 206, 301, 400, 401, 403, 500, 502, 504]
    + [100, 101, 102, 103, 202, 203, 205, 207, 208, 226, 300, 303, 305, 307, 308]
    + [402] + Array(405...418) + [421, 422, 423, 424, 425, 426, 428, 431, 451, 499]
    + [501, 505, 506, 507, 508, 510, 511]

  /// Cells of one method: the known codes, five classes, one for what is no code.
  @inlinable
  public static var count: Int { 72 }

  /// The slot of what is no status code at all.
  @inlinable
  public static var invalid: Int { 71 }

  static func slot(of status: Int) -> Int {
    guard (100...599).contains(status) else { return invalid }
    return known.firstIndex(of: status) ?? invalid - 6 + status / 100
  }

  /// The labels `code` and `code_class` of a slot.
  static func labels(of slot: Int) -> (code: String, codeClass: String) {
    if slot < known.count { return ("\(known[slot])", "\(known[slot] / 100)xx") }
    let digit = slot - (invalid - 6)
    return (1...5).contains(digit) ? ("other", "\(digit)xx") : ("other", "other")
  }
}

/// The method label of requests, in the order of the codec's method numbers.
public enum RequestMethods {
  /// The number of methods that have no name here, and the last one.
  @inlinable
  public static var other: UInt8 { 9 }

  /// The label of each number; bounded, since a client chooses the method.
  public static let names = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER",
  ]

  /// The mask and every method's run, rounded up to whole cache lines.
  static let cells = (1 + names.count * StatusSlots.count + 7) & ~7
}
