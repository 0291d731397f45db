public import Reactor
public import Telemetry
internal import Units

/// Where a resolver leaves answers for the slow plane.
///
/// An answer replaces its predecessor for the same name, so nothing grows beyond the names that
/// are watched and nothing that must arrive is dropped.
public final class NameBoard: Sendable {
  private struct State {
    /// Answers that nobody took yet.
    var changes: [String: [IPBytes]] = [:]
    /// Names that had neither an answer nor a failure so far.
    var unanswered: Set<String> = []

    /// Whether this was the last name to be heard of.
    mutating func tick(_ name: String) -> Bool {
      unanswered.remove(name) != nil && unanswered.isEmpty
    }
  }

  /// Rings when there is an answer to take.
  public let changed = Doorbell()
  /// Rings when each name of `expect` was answered or failed once.
  public let settled = Doorbell()
  private let state = Locked(State())

  public init() {}

  /// Begins to count first answers, before the names go to the resolver.
  public func expect(_ names: [String]) {
    state.withLock { $0.unanswered = Set(names) }
  }

  /// Whether each expected name was answered or failed once.
  public var isSettled: Bool { state.withLock { $0.unanswered.isEmpty } }

  /// Leaves what a name stands for from now on.
  func post(_ name: String, _ addresses: [IPBytes]) {
    let isLast = state.withLock { state in
      state.changes[name] = addresses
      return state.tick(name)
    }
    if isLast { settled.wake() }
    changed.wake()
  }

  /// Notes that a name was looked up without news.
  func note(_ name: String) {
    if state.withLock({ $0.tick(name) }) { settled.wake() }
  }

  /// Takes the answers that came since the last call, by name.
  public func take() -> [String: [IPBytes]] {
    state.withLock { state in
      defer { state.changes = [:] }
      return state.changes
    }
  }
}
