/// Fields by which a caller says how much its request matters and how long it waits.
enum DemandField {
  case criticality
  case attemptCount
  case previousAttempts
  case callTimeout
  case expectedTimeout
  case requestTimeout

  /// What a field that the parser does not know is, `nil` for all others.
  static func find(_ name: UnsafePointer<UInt8>, _ count: Int) -> DemandField? {
    // The lengths are told apart first: nearly all names end here.
    switch count {
    case 12: FieldName.matches(name, count, "grpc-timeout") ? .callTimeout : nil
    case 13: FieldName.matches(name, count, "x-criticality") ? .criticality : nil
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
    case .attemptCount, .previousAttempts: false
    }
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
