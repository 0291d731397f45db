internal import CLinux
internal import Glibc
internal import Units

/// Waits for a handful of descriptors; the slow loops of the process need no more.
enum Poller {
  static var now: Instant { Instant(clinux_monotonic_now()) }

  /// Waits until one is readable or closed, or until the deadline.
  ///
  /// - Returns: Those that are, never more than were asked for.
  static func wait(_ descriptors: [Int32], until deadline: Instant) -> Set<Int32> {
    var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    var timeout: Int32 = -1
    if deadline != .never {
      // Rounded up: waking a fraction of a millisecond early would only spin.
      let left = max(0, (deadline - now).rawValue)
      timeout = Int32(clamping: left / 1_000_000 + (left % 1_000_000 == 0 ? 0 : 1))
    }
    guard poll(&entries, nfds_t(entries.count), timeout) > 0 else { return [] }
    return Set(entries.filter { $0.revents != 0 }.map(\.fd))
  }
}
