import Glibc
public import Synchronization
public import Units

/// Wakes a thread that sleeps in `poll`; ringing costs a system call only while it sleeps.
public final class Doorbell: Sendable {
  /// What the sleeper polls for reading, beside its other descriptors.
  public let descriptor: Int32
  private let writer: Int32
  @usableFromInline let isAsleep = Atomic<Bool>(false)

  public init() {
    var ends: [Int32] = [-1, -1]
    // As with a failed allocation: without it the process cannot start.
    guard pipe(&ends) == 0 else { fatalError("no pipe for a doorbell: errno \(errno)") }
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    descriptor = ends[0]
    writer = ends[1]
  }

  deinit {
    close(descriptor)
    close(writer)
  }

  /// Wakes the sleeper; any thread may.
  @inlinable
  public func ring() {
    if isAsleep.load(ordering: .relaxed) { wake() }
  }

  /// Wakes the sleeper or keeps it from going to sleep next.
  public func wake() {
    isAsleep.store(false, ordering: .relaxed)
    // A full pipe wakes as well.
    _ = write(writer, "!", 1)
  }

  /// Says that the owner goes to sleep; it looks for work once more after that.
  func fallAsleep() { isAsleep.store(true, ordering: .sequentiallyConsistent) }

  /// Ends the sleep and empties the bell.
  public func answer() {
    isAsleep.store(false, ordering: .relaxed)
    var bytes: (UInt64, UInt64) = (0, 0)
    while withUnsafeMutableBytes(of: &bytes, { read(descriptor, $0.baseAddress, 16) }) == 16 {}
  }

  /// Sleeps until it rings, at most `milliseconds`.
  func sleep(milliseconds: Int32) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    _ = poll(&entry, 1, milliseconds)
    answer()
  }

  /// The same for a span, not less than it: up to a millisecond more.
  public func sleep(for span: Nanoseconds) {
    sleep(milliseconds: Int32(clamping: span.rawValue / 1_000_000 + 1))
  }
}
