internal import Glibc

/// Finds out who listens on a TCP port, for the message that says the port is taken.
enum PortOwner {
  /// A name such as `nginx (pid 812)`, or `nil` when it cannot be seen, as for another user.
  static func find(port: UInt16) -> String? {
    let inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listeners(in: $0, port: port) }
    guard !inodes.isEmpty else { return nil }
    let wanted = Set(inodes.map { "socket:[\($0)]" })
    for process in FileText.names(in: "/proc") where Int32(process) != nil {
      let folder = "/proc/\(process)/fd"
      for name in FileText.names(in: folder) {
        guard let link = FileText.link(at: "\(folder)/\(name)"), wanted.contains(link) else {
          continue
        }
        let command = FileText.read("/proc/\(process)/comm")?.split(separator: "\n").first ?? "?"
        return "\(command) (pid \(process))"
      }
    }
    return nil
  }

  /// Socket inodes in the LISTEN state (`0A`), by proc(5): `sl local rem st tx:rx tr:tm retr uid
  /// timeout inode`.
  private static func listeners(in path: String, port: UInt16) -> [String] {
    guard let text = FileText.read(path) else { return [] }
    return text.split(separator: "\n").dropFirst().compactMap { line in
      let columns = line.split(separator: " ")
      guard columns.count > 9, columns[3] == "0A",
        let local = columns[1].split(separator: ":").last, UInt16(local, radix: 16) == port
      else { return nil }
      return String(columns[9])
    }
  }
}
