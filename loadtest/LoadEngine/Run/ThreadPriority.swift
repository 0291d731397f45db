internal import Glibc

/// A better place in the kernel's line of runnable threads, for as long as times are kept.
///
/// On a machine that edge and harness share, a sender that is woken late counts the scheduler's
/// delay as the target's; where both have machines of their own, it changes nothing.
enum ThreadPriority {
  private static let niceness: Int32 = -10

  /// Runs `body` with the calling thread preferred, which takes CAP_SYS_NICE; without it as it is.
  ///
  /// Threads and processes that `body` starts inherit it.
  static func preferred<Result>(_ body: () -> Result) -> Result {
    // In Linux 0 means the calling thread, not its process.
    let thread = __priority_which_t(PRIO_PROCESS.rawValue)
    let before = getpriority(thread, 0)
    guard before > niceness, setpriority(thread, 0, niceness) == 0 else { return body() }
    defer { setpriority(thread, 0, before) }
    return body()
  }
}
