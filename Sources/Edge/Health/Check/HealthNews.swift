internal import Logging
internal import Units
internal import Upstream

/// What health checks found out, on its way from workers to the operational log.
///
/// Workers must not wait for a log, so the upkeep thread writes it.
final class HealthNews: Sendable {
  struct Entry: Sendable {
    var service: String
    var endpoint: String
    var isUp: Bool
    var result: CheckResult
  }

  private struct State {
    var entries: [Entry] = []
    var dropped = 0
  }

  /// Entries that wait; of more only the number is told.
  private static let capacity = 1_024
  private let state = Locked(State())

  func post(_ entry: Entry) {
    state.withLock { state in
      guard state.entries.count < Self.capacity else {
        state.dropped += 1
        return
      }
      state.entries.append(entry)
    }
  }

  /// Writes what came since the last time.
  func tell(_ logger: Logger?) {
    let news = state.withLock { state in
      defer { state = State() }
      return state
    }
    for entry in news.entries {
      let metadata: Logger.Metadata = [
        "service": "\(entry.service)", "endpoint": "\(entry.endpoint)",
        "check": "\(entry.result.label)",
      ]
      if entry.isUp {
        logger?.notice("endpoint is up", metadata: metadata)
      } else {
        logger?.warning("endpoint is down", metadata: metadata)
      }
    }
    if news.dropped > 0 {
      logger?.warning("endpoints changed", metadata: ["count": "\(news.dropped)"])
    }
  }
}
