internal import Reactor
internal import Units

/// One name, what is known of it, and the slot that the resolver library's callback fills.
final class WatchedName {
  /// What a lookup came to.
  enum Outcome {
    /// Sorted, without duplicates, not empty; the smallest TTL in seconds.
    case addresses([IPBytes], ttl: Int32)
    case failed
    /// The lookup was given up with its channel; it says nothing about the name.
    case cancelled
  }

  let name: String
  /// The last good answer; failures and empty answers leave it alone.
  var addresses: [IPBytes] = []
  var failures = 0
  /// When it is asked for next.
  var due: Instant
  var isUnderWay = false
  /// Filled by the callback, emptied by the resolver.
  var slot: Outcome?

  init(_ name: String, due: Instant) {
    self.name = name
    self.due = due
  }
}
