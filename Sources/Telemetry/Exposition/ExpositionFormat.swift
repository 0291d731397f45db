/// How metrics are written.
public enum ExpositionFormat: Sendable {
  /// The Prometheus text format 0.0.4.
  case text
  /// OpenMetrics 1.0.
  case openMetrics

  /// The value of the response's Content-Type.
  public var contentType: String {
    switch self {
    case .text: "text/plain; version=0.0.4; charset=utf-8"
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
  }

  /// The format that an Accept field prefers (RFC 9110 section 12.5.1); text when it names none.
  ///
  /// OpenMetrics is chosen when it is named with a weight that plain text does not exceed.
  public static func preferred(by accept: String) -> ExpositionFormat {
    var weights: [String: Double] = [:]
    for range in accept.split(separator: ",") {
      let parts = range.split(separator: ";").map { trimmed($0) }
      guard let type = parts.first else { continue }
      var weight = 1.0
      var version = ""
      for parameter in parts.dropFirst() {
        if parameter.hasPrefix("q=") { weight = Double(parameter.dropFirst(2)) ?? 0 }
        if parameter.hasPrefix("version=") { version = trimmed(parameter.dropFirst(8)) }
      }
      if type == "application/openmetrics-text", !["", "1.0.0", "0.0.1"].contains(version) {
        continue
      }
      weights[type] = max(weights[type] ?? 0, weight)
    }
    let metrics = weights["application/openmetrics-text"] ?? 0
    return metrics > 0 && metrics >= (weights["text/plain"] ?? 0) ? .openMetrics : .text
  }

  private static func trimmed(_ text: some StringProtocol) -> String {
    let blank: Set<Character> = [" ", "\t", "\""]
    let start = text.drop { blank.contains($0) }
    let kept = String(start.reversed().drop { blank.contains($0) }.reversed())
    return kept.lowercased()
  }
}
