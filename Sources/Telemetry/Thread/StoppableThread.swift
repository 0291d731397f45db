internal import Synchronization
internal import Units

/// A thread of the slow plane that works in rounds and waits between them until it is told to end.
public final class StoppableThread: Sendable {
  /// Rings when the thread is to end, and whenever somebody else rings it.
  public let bell = Doorbell()
  private let stopping = Atomic(false)
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
    guard let thread = BackgroundThread(name: name, run: run) else { return false }
    running.withLock { $0 = thread }
    return true
  }

  /// Ends the thread and waits for it; further calls do nothing.
  public func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    bell.wake()
    let thread = running.withLock { running in
      defer { running = nil }
      return running
    }
    thread?.join()
  }
}
