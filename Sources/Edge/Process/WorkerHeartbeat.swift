internal import CLinux
public import Synchronization

/// The pulse of one worker's loop: written by the worker, read by the watchdog.
///
/// One number tells both how far the loop is and where: it grows by one when the worker starts to
/// wait in the kernel and by one when it comes back, so odd means waiting. A store each, no
/// read-modify-write.
public final class WorkerHeartbeat: Sendable {
  /// The worker's index, for messages.
  public let worker: Int
  @usableFromInline let beats = Atomic<UInt64>(0)
  private let thread = Atomic<Int32>(0)

  public init(worker: Int) { self.worker = worker }

  /// Says which thread the worker is; called by that thread before its loop.
  public func begin() {
    clinux_sampling_admit()
    thread.store(clinux_thread_id(), ordering: .releasing)
  }

  /// The worker's loop is over and its thread must not be signalled any more.
  public func end() { thread.store(0, ordering: .releasing) }

  /// The worker is about to wait in the kernel.
  @inlinable
  public func willWait() {
    beats.store((beats.load(ordering: .relaxed) | 1), ordering: .relaxed)
  }

  /// The worker came back from the kernel.
  @inlinable
  public func didWait() {
    beats.store((beats.load(ordering: .relaxed) | 1) &+ 1, ordering: .relaxed)
  }

  var count: UInt64 { beats.load(ordering: .relaxed) }

  /// The kernel's thread id, 0 while there is none.
  var threadID: Int32 { thread.load(ordering: .acquiring) }
}
