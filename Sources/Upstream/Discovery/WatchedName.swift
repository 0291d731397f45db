internal import Reactor
internal import Units

/// What is asked of name servers.
public struct NameQuestion: Sendable, Hashable {
  public enum Kind: Sendable {
    /// Addresses of both families.
    case addresses
    /// Who offers a service: SRV records (RFC 2782).
    case services
  }

  /// In lower case.
  public var name: String
  public var kind: Kind

  public init(_ name: String, _ kind: Kind = .addresses) {
    self.name = name
    self.kind = kind
  }
}

/// One question, what is known of the answer, and the slot that the resolver library's callback fills.
final class WatchedName {
  /// What a lookup came to.
  enum Outcome {
    /// Sorted, without duplicates, not empty; the smallest TTL in seconds.
    case addresses([IPBytes], ttl: Int32)
    case services(ServiceAnswer)
    /// Why, for people.
    case failed(String)
    /// The lookup was given up with its channel; it says nothing about the name.
    case cancelled
  }

  let question: NameQuestion
  /// The last good answer; failures and empty answers leave it alone.
  var addresses: [IPBytes] = []
  var services: [ServiceRecord] = []
  var failures = 0
  /// Why the last lookup failed, `nil` where it did not.
  var problem: String?
  /// When it is asked for next.
  var due: Instant
  var isUnderWay = false
  /// Filled by the callback, emptied by the resolver.
  var slot: Outcome?

  init(_ question: NameQuestion, due: Instant) {
    self.question = question
    self.due = due
  }

  var name: String { question.name }
}
