internal import CLinux
internal import Glibc
internal import Units

/// The ends that time sets to calls whatever their workers do: one that stands still tells nobody.
///
/// A call's own time-outs are its worker's. This is looked at by the upkeep thread, each second at
/// most, and ends a call by shutting its socket down: its thread, which sleeps on that, wakes.
final class CallWatch: Sendable {
  private struct Entry {
    var descriptor: Int32
    var ticket: CallTicket
    /// When a worker must have it.
    var takenBy: Instant
    var due: Instant
  }

  private struct State {
    var entries: [UInt64: Entry] = [:]
    var next: UInt64 = 0
  }

  let times: CallTimes
  private let state = Locked(State())

  init(_ times: CallTimes) { self.times = times }

  /// Watches a socket until `remove`, which comes before it is closed.
  ///
  /// - Returns: What to name it by.
  func add(_ descriptor: Int32, _ ticket: CallTicket, isStream: Bool, at now: Instant) -> UInt64 {
    state.withLock { state in
      state.next += 1
      state.entries[state.next] = Entry(
        descriptor: descriptor,
        ticket: ticket,
        takenBy: now + times.patience,
        due: now + times.longest(isStream: isStream)
      )
      return state.next
    }
  }

  /// Something came on a stream: its end is later.
  func move(_ call: UInt64, at now: Instant) {
    state.withLock { $0.entries[call]?.due = now + times.longest(isStream: true) }
  }

  func remove(_ call: UInt64) {
    state.withLock { _ = $0.entries.removeValue(forKey: call) }
  }

  /// Ends calls whose time is up.
  func expire(at now: Instant) {
    state.withLock { state in
      for (name, entry) in state.entries {
        let isUntaken = !entry.ticket.isTaken && entry.takenBy <= now
        guard isUntaken || entry.due <= now else { continue }
        entry.ticket.end(isUntaken ? .untaken : .overdue)
        // Under the lock: whoever closes it asks for that first.
        shutdown(entry.descriptor, Int32(SHUT_RDWR))
        state.entries[name] = nil
      }
    }
  }
}
