/// Why a rule takes a request or does not.
public enum RouteVerdict: Hashable, Sendable {
  case matched
  /// It matches, but the rule with this index does too and comes first.
  case outranked(by: Int, because: String)
  case hostDiffers(expected: String)
  case pathDiffers(expected: String)
  case methodDiffers(expected: [String])
  case headerMissing(name: String)
  case headerDiffers(name: String, expected: String, actual: String)
  case queryMissing(name: String)
  case queryDiffers(name: String, expected: String, actual: String)
}

extension RouteVerdict: CustomStringConvertible {
  public var description: String {
    switch self {
    case .matched: "matched"
    case .outranked(_, let reason): "matches, but ranks lower: \(reason)"
    case .hostDiffers(let expected): "host is not \(expected)"
    case .pathDiffers(let expected): "path is not \(expected)"
    case .methodDiffers(let expected):
      "method is not \(expected.count == 1 ? "" : "one of ")\(expected.joined(separator: ", "))"
    case .headerMissing(let name): "header \(name) is missing"
    case .headerDiffers(let name, let expected, let actual):
      "header \(name) is \"\(actual)\", not \"\(expected)\""
    case .queryMissing(let name): "query parameter \(name) is missing"
    case .queryDiffers(let name, let expected, let actual):
      "query parameter \(name) is \"\(actual)\", not \"\(expected)\""
    }
  }
}

/// The verdict on one rule.
public struct RouteExplanation: Hashable, Sendable {
  /// Index of the rule in the list that the table was built from.
  public var rule: Int
  public var name: String
  public var verdict: RouteVerdict
}
