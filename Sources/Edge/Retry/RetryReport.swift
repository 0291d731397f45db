internal import CLinux
internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// What retries do, for metrics; slow plane only.
final class RetryReport: Sendable {
  private struct Service {
    var retries: ServiceRetries
    var allowance: RetryAllowance
  }

  private let services = Locked<[Service]>([])

  /// A configuration took effect.
  func adopt(_ settings: Settings, _ retries: [ServiceRetries]) {
    let services = retries.compactMap { entry in
      settings.services.first { $0.name == entry.name }.map {
        Service(retries: entry, allowance: RetryAllowance($0.retryBudget))
      }
    }
    self.services.withLock { $0 = services }
  }

  /// Adds the families of retries; they are read when they are scraped.
  func register(in registry: MetricRegistry) {
    registry.register(
      "spillway_retries_total",
      help: "Failed attempts that a route has repeated, by service, condition and what came of it.",
      .counter
    ) { [self] in
      services.withLock { $0 }.flatMap { Self.samples($0.retries) }
    }
    registry.register(
      "spillway_retry_budget_remaining_ratio",
      help: "How much of a service's budget of retries is left, 1 for all of it.",
      .gauge
    ) { [self] in
      let now = Instant(clinux_monotonic_now())
      return services.withLock { $0 }.map {
        MetricSample(
          $0.retries.budget.remainingRatio($0.allowance, at: now),
          ["service": $0.retries.name]
        )
      }
    }
  }

  private static func samples(_ retries: ServiceRetries) -> [MetricSample] {
    RetryCause.allCases.flatMap { cause in
      RetryOutcome.allCases.compactMap { outcome in
        let count = retries.count(cause, outcome)
        guard count > 0 else { return nil }
        let labels: Labels = [
          "service": retries.name, "condition": cause.label, "outcome": outcome.label,
        ]
        return MetricSample(Double(count), labels)
      }
    }
  }
}

extension RetryAllowance {
  init(_ setting: RetryBudgetSetting) {
    self.init(ratio: setting.ratio, minimumPerSecond: Double(setting.minimumPerSecond))
  }
}
