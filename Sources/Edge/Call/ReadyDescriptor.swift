internal import CLinux
internal import Glibc

/// Readable for ever: what calls are polled by that cannot begin.
///
/// Made before it is needed, for the call may be one that finds no descriptor left.
final class ReadyDescriptor: Sendable {
  let number: Int32

  init() {
    number = eventfd(1, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    // As with a failed allocation: without it the process cannot start.
    guard number >= 0 else { fatalError("no descriptor for calls: errno \(errno)") }
  }

  deinit { close(number) }
}
