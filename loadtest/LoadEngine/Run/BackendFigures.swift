internal import Foundation

/// What simulated services say of themselves, all of them together.
enum BackendFigures {
  private static let counters: Set<String> = [
    "received", "served", "refused", "failed", "reset", "hung", "dropped", "abandoned", "wasted",
    "malformed", "connections",
  ]

  /// Asks each of them.
  ///
  /// - Returns: Sums by name; of their lags the greatest. Nothing without a backend.
  /// - Throws: The first one that does not answer, or sends no JSON.
  static func read(_ backends: [Target]) throws(EngineError) -> [String: Double] {
    var sums: [String: Double] = [:]
    for backend in backends {
      let text = try ControlCall.send("GET", "/stats", to: backend)
      guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)),
        let values = object as? [String: Any]
      else { throw EngineError("the backend at \(backend.authority) sent no JSON") }
      for (name, value) in values {
        guard let value = (value as? NSNumber)?.doubleValue else { continue }
        let sum = sums[name] ?? 0
        sums[name] = name.hasPrefix("lag_") ? max(sum, value) : sum + value
      }
    }
    return sums
  }

  /// Counters over the run; gauges, and what is counted since a return, as they are at its end.
  static func difference(
    _ before: [String: Double],
    _ after: [String: Double]
  ) -> [String: Double] {
    Dictionary(
      uniqueKeysWithValues: after.map { name, value in
        (name, counters.contains(name) ? value - (before[name] ?? 0) : value)
      }
    )
  }
}
