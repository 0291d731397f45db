internal import Glibc

/// A value behind a lock of the C library.
///
/// The slow plane's only lock; the request path takes none. It is used in place of
/// `Synchronization.Mutex`, whose contended path lies in a library that the thread sanitizer cannot
/// see into: it reports a race for each value so guarded, and real ones would drown among them.
public final class Locked<Value: ~Copyable>: @unchecked Sendable {
  // Safe to share: the value is reached through `withLock` alone, by one thread at a time.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var value: Value

  public init(_ value: consuming sending Value) {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
    self.value = value
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deinitialize(count: 1)
    mutex.deallocate()
  }

  /// Waits for the lock and lends the value; must not be entered again from within.
  public func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
