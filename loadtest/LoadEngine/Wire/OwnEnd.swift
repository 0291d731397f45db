internal import CLinux
internal import Glibc

/// When this process ends without being asked to.
public enum OwnEnd {
  /// Has the kernel send SIGTERM to this process, whatever program it becomes, when the thread
  /// that started it ends.
  ///
  /// `parent`: Which process that is.
  ///
  /// - Throws: When that one has ended already, or the kernel refuses.
  public static func followParent(_ parent: Int32) throws(EngineError) {
    let problem = clinux_die_with_parent(SIGTERM)
    guard problem == 0 else {
      throw EngineError("cannot follow its parent: \(String(cString: strerror(problem)))")
    }
    // A thread pool's threads have signals blocked, and what they start inherits that.
    var none = sigset_t()
    sigemptyset(&none)
    sigprocmask(SIG_SETMASK, &none, nil)
    // It may have ended before the request.
    guard getppid() == parent else { throw EngineError("its parent has ended") }
  }
}
