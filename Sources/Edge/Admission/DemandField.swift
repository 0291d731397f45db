/// Fields by which a caller says how much its request matters and how long it waits.
enum DemandField {
  case criticality
  case priority
  case attemptCount
  case previousAttempts
  case callTimeout
  case expectedTimeout
  case requestTimeout

  /// What a field that the parser does not know is, `nil` for all others.
  ///
  /// `names`: They say by which field a class is named.
  static func find(
    _ name: UnsafePointer<UInt8>,
    _ count: Int,
    _ names: ClassNames
  ) -> DemandField? {
    // The lengths are told apart first: nearly all names end here.
    if count == names.field.count, FieldName.equals(name, names.field.start, count) {
      return .criticality
    }
    return switch count {
    case 8: FieldName.matches(name, count, "priority") ? .priority : nil
    case 12: FieldName.matches(name, count, "grpc-timeout") ? .callTimeout : nil
    case 20: FieldName.matches(name, count, "x-request-timeout-ms") ? .requestTimeout : nil
    case 21: FieldName.matches(name, count, "x-envoy-attempt-count") ? .attemptCount : nil
    case 26:
      FieldName.matches(name, count, "grpc-previous-rpc-attempts") ? .previousAttempts : nil
    case 30:
      FieldName.matches(name, count, "x-envoy-expected-rq-timeout-ms") ? .expectedTimeout : nil
    default: nil
    }
  }

  /// Whether the edge says it anew to the service, and what the caller said is left out.
  var isReplaced: Bool {
    switch self {
    case .criticality, .callTimeout, .expectedTimeout, .requestTimeout: true
    case .attemptCount, .previousAttempts, .priority: false
    }
  }

  /// The urgency that a `priority` field names, in `0...7`; `nil` where it names none.
  ///
  /// Source: RFC 9218 section 4.1; a dictionary of RFC 9651, of which the last `u` counts and
  /// what is malformed is passed over.
  static func urgency(_ value: UnsafePointer<UInt8>, _ count: Int) -> Int? {
    var urgency: Int?
    var start = 0
    while start < count {
      while start < count, value[start] == 0x20 || value[start] == 0x09 { start += 1 }
      var end = start
      while end < count, value[end] != UInt8(ascii: ",") { end += 1 }
      if end - start >= 3, value[start] == UInt8(ascii: "u"),
        value[start + 1] == UInt8(ascii: "="), (0x30...0x37).contains(value[start + 2]),
        isEnd(value + start + 3, end - start - 3)
      {
        urgency = Int(value[start + 2]) - 0x30
      }
      start = end + 1
    }
    return urgency
  }

  /// Whether a member's value ends here: parameters and white space may follow.
  private static func isEnd(_ rest: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    count == 0 || rest[0] == UInt8(ascii: ";") || rest[0] == 0x20 || rest[0] == 0x09
  }

  /// A whole number of at most nine digits; `nil` for anything else.
  static func number(_ value: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
    guard (1...9).contains(count) else { return nil }
    var number: Int64 = 0
    for index in 0..<count {
      let digit = Int64(value[index]) - 48
      guard (0...9).contains(digit) else { return nil }
      number = number * 10 + digit
    }
    return number
  }

  /// Nanoseconds of a timeout as gRPC writes it: at most eight digits and a unit.
  ///
  /// Source: gRPC over HTTP/2, "Timeout".
  static func callTimeout(_ value: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
    guard (2...9).contains(count), let number = number(value, count - 1) else { return nil }
    let unit: Int64
    switch value[count - 1] {
    case UInt8(ascii: "H"): unit = 3_600_000_000_000
    case UInt8(ascii: "M"): unit = 60_000_000_000
    case UInt8(ascii: "S"): unit = 1_000_000_000
    case UInt8(ascii: "m"): unit = 1_000_000
    case UInt8(ascii: "u"): unit = 1_000
    case UInt8(ascii: "n"): unit = 1
    default: return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit)
    // Centuries are no deadline.
    return overflow ? nil : product
  }
}
