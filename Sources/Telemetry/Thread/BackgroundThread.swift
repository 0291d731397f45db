import Glibc
internal import Units

/// A thread of the slow plane that takes no signals; those are the main thread's.
public final class BackgroundThread: Sendable {
  private final class Job: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let handle: Locked<pthread_t?>

  /// Starts a thread; nil when the system has no room for one.
  ///
  /// - Parameters:
  ///   - name: What `ps` shows, at most 15 bytes.
  ///   - run: The whole work of the thread.
  public init?(name: String, run: @escaping @Sendable () -> Void) {
    let job = Unmanaged.passRetained(
      Job {
        Self.rename(name)
        run()
      }
    )
    var thread = pthread_t()
    var everything = sigset_t()
    var before = sigset_t()
    sigfillset(&everything)
    pthread_sigmask(SIG_SETMASK, &everything, &before)
    let code = pthread_create(
      &thread,
      nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Job>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      },
      job.toOpaque()
    )
    pthread_sigmask(SIG_SETMASK, &before, nil)
    guard code == 0 else {
      job.release()
      return nil
    }
    handle = Locked(thread)
  }

  /// Waits for the end of the thread; further calls do nothing.
  public func join() {
    if let thread = take() { pthread_join(thread, nil) }
  }

  /// Leaves the thread to itself; nobody waits for its end any more.
  public func detach() {
    if let thread = take() { pthread_detach(thread) }
  }

  /// The handle, once: it is of no use after a join or a detach.
  private func take() -> pthread_t? {
    handle.withLock { handle in
      defer { handle = nil }
      return handle
    }
  }

  /// Names the calling thread; Glibc's module has no `pthread_setname_np`.
  private static func rename(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = write(file, name, name.utf8.count)
    close(file)
  }
}
