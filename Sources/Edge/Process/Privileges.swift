internal import CLinux
internal import Glibc

/// Giving up what only binding ports needed.
public enum Privileges {
  public struct Fault: Error, CustomStringConvertible {
    public var description: String
  }

  /// Becomes another user for good: groups first, then the group, then the user.
  ///
  /// Must come before other threads start, because `no_new_privs` belongs to a thread. The death
  /// signal of the parent is cleared by this and has to be asked for again.
  ///
  /// - Parameters:
  ///   - user: Name or number; `nil` keeps the user.
  ///   - group: Name or number; `nil` takes the user's own group.
  /// - Throws: Why it was not possible; the process must not go on then.
  public static func drop(user: String?, group: String?) throws(Fault) {
    guard user != nil || group != nil else { return }
    var userID = getuid()
    var groupID = getgid()
    if let user {
      (userID, groupID) = try find(user: user)
    }
    if let group { groupID = try find(group: group) }
    guard userID != geteuid() || groupID != getegid() else { return }
    guard geteuid() == 0 else {
      throw Fault(description: "cannot change user or group: only root can")
    }
    var groups = [groupID]
    try check(setgroups(groups.count, &groups), "setgroups")
    try check(setresgid(groupID, groupID, groupID), "setresgid")
    try check(setresuid(userID, userID, userID), "setresuid")
    guard userID == 0 || (setuid(0) != 0 && seteuid(0) != 0 && geteuid() == userID) else {
      throw Fault(description: "privileges could be regained after dropping them")
    }
    // Memory that once held what root could read is nobody else's to see.
    try check(clinux_not_dumpable(), "PR_SET_DUMPABLE")
  }

  /// Nothing this process starts can gain rights by a set-user-id file.
  public static func forbidGaining() throws(Fault) {
    try check(clinux_no_new_privileges(), "PR_SET_NO_NEW_PRIVS")
  }

  /// Asks for SIGTERM when the parent dies; at once when it is dead already.
  public static func dieWithParent(_ parent: Int32) {
    _ = clinux_die_with_parent(SIGTERM)
    if getppid() != parent { kill(getpid(), SIGTERM) }
  }

  private static func check(_ result: Int32, _ what: String) throws(Fault) {
    guard result == 0 else {
      let code = result < 0 ? errno : result
      throw Fault(description: "cannot drop privileges: \(what): \(systemText(code))")
    }
  }

  private static func find(user: String) throws(Fault) -> (uid_t, gid_t) {
    if let entry = getpwnam(user) { return (entry.pointee.pw_uid, entry.pointee.pw_gid) }
    guard let number = uid_t(user) else {
      throw Fault(description: "there is no user \(user) on this machine")
    }
    return (number, getpwuid(number).map { $0.pointee.pw_gid } ?? gid_t(number))
  }

  private static func find(group: String) throws(Fault) -> gid_t {
    if let entry = getgrnam(group) { return entry.pointee.gr_gid }
    guard let number = gid_t(group) else {
      throw Fault(description: "there is no group \(group) on this machine")
    }
    return number
  }
}
