internal import Reactor
internal import Units
internal import Upstream

/// What host names stand for, and what is wrong with those that name servers do not know.
///
/// Names are in lower case. Slow plane only.
final class NameBook: Sendable {
  struct Entry: Sendable, Equatable {
    /// The last good answer.
    var addresses: [IPBytes] = []
    /// Why the last lookup failed, `nil` where it did not or where there was none.
    var problem: String?
  }

  private let entries = Locked<[String: Entry]>([:])

  subscript(name: String) -> Entry? { entries.withLock { $0[name] } }

  /// Names that have addresses, in order.
  var names: [LearnedState.Name] {
    entries.withLock { $0 }.filter { !$0.value.addresses.isEmpty }.sorted { $0.key < $1.key }
      .map { LearnedState.Name(host: $0.key, addresses: $0.value.addresses) }
  }

  /// Takes what was known before somebody was asked.
  func begin(with known: [LearnedState.Name]) {
    entries.withLock { entries in
      for name in known { entries[name.host] = Entry(addresses: name.addresses) }
    }
  }

  /// Takes what lookups came to.
  ///
  /// - Returns: Whether a name stands for something else.
  func take(_ all: [NameQuestion: NameNews]) -> Bool {
    entries.withLock { entries in
      var isNew = false
      for (question, news) in all where question.kind == .addresses {
        var entry = entries[question.name] ?? Entry()
        entry.problem = news.problem
        if let addresses = news.addresses, addresses != entry.addresses {
          entry.addresses = addresses
          isNew = true
        }
        entries[question.name] = entry
      }
      return isNew
    }
  }

  /// Forgets all other names.
  func keep(_ names: Set<String>) {
    entries.withLock { entries in entries = entries.filter { names.contains($0.key) } }
  }
}
