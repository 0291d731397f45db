internal import Configuration
internal import Telemetry
internal import Units

/// What second attempts do, for metrics and for `spillway explain`; slow plane only.
final class HedgeReport: Sendable {
  private struct Route {
    var hedges: RouteHedges
    var share: Double
  }

  private let routes = Locked<[Route]>([])

  /// A configuration took effect.
  func adopt(_ settings: Settings, _ hedges: [RouteHedges]) {
    let routes = hedges.compactMap { entry in
      settings.routes.first { $0.name == entry.name }?.hedge.map {
        Route(hedges: entry, share: $0.percentile)
      }
    }
    self.routes.withLock { $0 = routes }
  }

  /// Adds the families of hedges; they are read when they are scraped.
  func register(in registry: MetricRegistry) {
    registry.register(
      "spillway_hedges_total",
      help:
        "Second attempts of slow requests by route and what came of them, or why there was none.",
      .counter
    ) { [self] in
      routes.withLock { $0 }.flatMap { Self.samples($0.hedges) }
    }
    registry.register(
      "spillway_hedge_delay_seconds",
      help: "Time without an answer after which a route's requests get a second attempt.",
      .gauge
    ) { [self] in
      routes.withLock { $0 }.compactMap { route in
        Self.mean(route.hedges.estimate.delays).map {
          MetricSample($0.seconds, ["route": route.hedges.name])
        }
      }
    }
  }

  private static func samples(_ hedges: RouteHedges) -> [MetricSample] {
    HedgeResult.allCases.compactMap { result in
      let count = hedges.count(result)
      guard count > 0 else { return nil }
      let labels: Labels = [
        "route": hedges.name, "result": result.labels.result, "reason": result.labels.reason,
      ]
      return MetricSample(Double(count), labels)
    }
  }

  private static func mean(_ delays: [Nanoseconds]) -> Nanoseconds? {
    guard !delays.isEmpty else { return nil }
    return Nanoseconds(delays.reduce(0) { $0 + $1.rawValue } / Int64(delays.count))
  }

  // MARK: - Explanation

  /// A list of JSON, an object for each route.
  var json: String {
    let parts = routes.withLock { $0 }.map { route in
      let estimate = route.hedges.estimate
      let delay = Self.mean(estimate.delays).map { "\(Self.milliseconds($0))" } ?? "null"
      return "{\"route\":\(JSONText.literal(route.hedges.name)),\"percentile\":\(route.share),"
        + "\"delayMs\":\(delay),\"samples\":\(estimate.samples),"
        + "\"sent\":\(route.hedges.count(.sent)),\"won\":\(route.hedges.count(.won))}"
    }
    return "[" + parts.joined(separator: ",") + "]"
  }

  /// A line for people of each route, none where no route has hedges.
  var text: String {
    routes.withLock { $0 }.map { route in
      let estimate = route.hedges.estimate
      var when = "not yet, \(estimate.samples) samples"
      if let least = estimate.delays.min(), let most = estimate.delays.max() {
        let span =
          least == most
          ? "\(Self.milliseconds(least))"
          : "\(Self.milliseconds(least)) to \(Self.milliseconds(most))"
        when = "after \(span) ms, \(estimate.samples) samples"
      }
      return "hedges of \(route.hedges.name): \(when), percentile \(route.share),"
        + " \(route.hedges.count(.sent)) sent, \(route.hedges.count(.won)) won\n"
    }
    .joined()
  }

  private static func milliseconds(_ time: Nanoseconds) -> Double {
    (time.milliseconds * 1_000).rounded() / 1_000
  }
}
