public import Reactor
public import Telemetry
internal import Units

/// What lookups of one question came to since somebody took notice.
public struct NameNews: Sendable {
  /// The last answer, changed or not, where there was one: addresses, or records of services.
  public internal(set) var addresses: [IPBytes]?
  public internal(set) var services: [ServiceRecord]?
  /// Why the last lookup failed, `nil` where it did not.
  public internal(set) var problem: String?
  /// Whether the answer was said before: a resolver says what it knows to whoever asks anew.
  public internal(set) var isRepeat = false
}

/// Where a resolver leaves answers for the slow plane.
///
/// An answer replaces its predecessor for the same question, so nothing grows beyond what is watched
/// and nothing that must arrive is dropped.
public final class NameBoard: Sendable {
  private struct State {
    /// What nobody took yet.
    var news: [NameQuestion: NameNews] = [:]
    /// Questions that had neither an answer nor a failure so far.
    var unanswered: Set<NameQuestion> = []

    /// Whether this was the last one to be heard of.
    mutating func tick(_ question: NameQuestion) -> Bool {
      unanswered.remove(question) != nil && unanswered.isEmpty
    }
  }

  /// Rings when there is another answer to take, or a lookup begins or ceases to fail.
  public let changed = Doorbell()
  /// Rings when each question of `expect` was answered or failed once.
  public let settled = Doorbell()
  private let state = Locked(State())

  public init() {}

  /// Begins to count first answers, before the questions go to the resolver.
  public func expect(_ questions: [NameQuestion]) {
    state.withLock { $0.unanswered = Set(questions) }
  }

  /// Whether each expected question was answered or failed once.
  public var isSettled: Bool { state.withLock { $0.unanswered.isEmpty } }

  /// Leaves once more what a question came to before.
  func postAgain(_ question: NameQuestion, _ change: (inout NameNews) -> Void) {
    let isLast = state.withLock { state in
      var news = state.news[question] ?? NameNews()
      guard news.addresses == nil, news.services == nil else { return state.tick(question) }
      news.isRepeat = true
      change(&news)
      state.news[question] = news
      return state.tick(question)
    }
    if isLast { settled.wake() }
    changed.wake()
  }

  /// Leaves what a question came to, and rings where that is worth it.
  func post(
    _ question: NameQuestion,
    isNews: Bool,
    _ change: (inout NameNews) -> Void
  ) {
    let isLast = state.withLock { state in
      change(&state.news[question, default: NameNews()])
      return state.tick(question)
    }
    if isLast { settled.wake() }
    if isNews { changed.wake() }
  }

  /// Takes what came since the last call.
  public func take() -> [NameQuestion: NameNews] {
    state.withLock { state in
      defer { state.news = [:] }
      return state.news
    }
  }
}
