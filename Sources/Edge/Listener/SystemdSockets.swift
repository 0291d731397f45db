/// The socket activation protocol of sd_listen_fds(3), read without libsystemd.
public enum SystemdSockets {
  /// The first descriptor that systemd passes.
  static let first: Int32 = 3
  /// More than any unit file lists.
  static let maximum: Int32 = 1_024

  /// The descriptors meant for this process with their names, `unknown` for a nameless one.
  public static func descriptors(
    _ environment: [String: String],
    processID: Int32
  ) -> [(name: String, descriptor: Int32)] {
    guard let owner = environment["LISTEN_PID"].flatMap({ Int32($0) }), owner == processID,
      let count = environment["LISTEN_FDS"].flatMap({ Int32($0) }), (1...maximum).contains(count)
    else { return [] }
    let names = (environment["LISTEN_FDNAMES"] ?? "").split(
      separator: ":",
      omittingEmptySubsequences: false
    )
    return (0..<count).map { at in
      let name = Int(at) < names.count ? String(names[Int(at)]) : "unknown"
      return (name, first + at)
    }
  }
}
