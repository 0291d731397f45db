internal import Synchronization
public import Units

/// A thread of the slow plane that works in rounds and waits between them until it is told to end.
public final class StoppableThread: Sendable {
  /// Rings when the thread is to end, and whenever somebody else rings it.
  public let bell = Doorbell()
  private let stopping = Atomic(false)
  private let hasEnded = Atomic(false)
  private let ended = Doorbell()
  private let running = Locked<BackgroundThread?>(nil)

  public init() {}

  /// Whether the thread is to end; looked at before each round.
  public var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - name: What `ps` shows, at most 15 bytes.
  ///   - run: The whole work of the thread, which returns soon after the bell when `isStopping`.
  /// - Returns: False when the system has no room for a thread.
  public func start(name: String, run: @escaping @Sendable () -> Void) -> Bool {
    let thread = BackgroundThread(name: name) { [self] in
      run()
      hasEnded.store(true, ordering: .sequentiallyConsistent)
      ended.wake()
    }
    guard let thread else { return false }
    running.withLock { $0 = thread }
    return true
  }

  /// Ends the thread and waits for it; further calls do nothing.
  public func stop() { _ = stop(within: nil) }

  /// Ends the thread and waits so long for it; one that hangs is left to the end of the process.
  ///
  /// - Returns: Whether it has ended.
  public func stop(within span: Nanoseconds?) -> Bool {
    stopping.store(true, ordering: .sequentiallyConsistent)
    bell.wake()
    let thread = running.withLock { running in
      defer { running = nil }
      return running
    }
    guard let thread else { return true }
    if let span, !hasEnded.load(ordering: .sequentiallyConsistent) {
      ended.sleep(milliseconds: Int32(clamping: span.rawValue / 1_000_000))
      guard hasEnded.load(ordering: .sequentiallyConsistent) else {
        thread.detach()
        return false
      }
    }
    thread.join()
    return true
  }
}
