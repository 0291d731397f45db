internal import CLinux
internal import Glibc
import Synchronization

/// The bell that other threads ring for a worker; what they have to say lies in slots of its own.
///
/// Ringing twice before the worker looks is one ring, so nothing that must arrive can be dropped
/// and nothing grows.
public final class Bell: Sendable {
  /// The eventfd, readable when the bell was rung.
  let descriptor: Int32
  private let isRung = Atomic(false)

  public init() throws(ReactorError) {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard descriptor >= 0 else { throw ReactorError(call: "eventfd", code: errno) }
  }

  deinit { close(descriptor) }

  /// Wakes the worker; from any thread.
  public func ring() {
    guard !isRung.exchange(true, ordering: .sequentiallyConsistent) else { return }
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  /// Takes the ring back before the slots are read.
  func silence() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
    // An exchange, not a store: it must see what was written before a ring that found it rung.
    _ = isRung.exchange(false, ordering: .sequentiallyConsistent)
  }
}

/// A call of the reactor that the kernel refused.
public struct ReactorError: Error, CustomStringConvertible {
  public let call: String
  /// The error number.
  public let code: Int32

  public init(call: String, code: Int32) {
    self.call = call
    self.code = code
  }

  public var description: String { "\(call): \(String(cString: strerror(code)))" }
}
