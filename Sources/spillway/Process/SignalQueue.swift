internal import CLinux
internal import Glibc

/// Signals as something to poll for, blocked everywhere else.
struct SignalQueue {
  struct Arrival {
    var signal: Int32
    /// The process that sent it, 0 for the kernel.
    var sender: Int32
  }

  /// Readable while a signal waits.
  let descriptor: Int32

  /// Blocks the signals in this thread and in all that it will start, so call it first.
  ///
  /// SIGPIPE is ignored along with it: a peer that goes away is an error code, not an end.
  init?(_ signals: [Int32]) {
    signal(SIGPIPE, SIG_IGN)
    var set = sigset_t()
    sigemptyset(&set)
    for number in signals { sigaddset(&set, number) }
    guard pthread_sigmask(SIG_BLOCK, &set, nil) == 0 else { return nil }
    descriptor = signalfd(-1, &set, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
    guard descriptor >= 0 else { return nil }
  }

  /// The next signal that waits, if any.
  func next() -> Arrival? {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    guard read(descriptor, &info, size) == size else { return nil }
    return Arrival(signal: Int32(info.ssi_signo), sender: Int32(bitPattern: info.ssi_pid))
  }
}
