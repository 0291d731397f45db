internal import Edge
internal import Glibc
internal import Units

/// A serving process's way to the parent that holds its sockets.
struct ParentLink: Sendable {
  /// What the parent says to a child whose successor serves.
  static let replaced = "replaced"

  let channel: PacketChannel
  let parentID: Int32
  /// How often the parent wants a sign of life, `nil` when it does not.
  let aliveInterval: Nanoseconds?

  /// The link that the environment names, `nil` in a process that no parent of ours started.
  init?(environment: [String: String]) {
    guard let descriptor = environment[ProcessEnvironment.channel].flatMap({ Int32($0) }),
      let parent = environment[ProcessEnvironment.parent].flatMap({ Int32($0) }),
      descriptor > 2, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
    else { return nil }
    channel = PacketChannel(descriptor: descriptor)
    parentID = parent
    let alive = environment[ProcessEnvironment.alive].flatMap { Int64($0) }
    aliveInterval = alive.map { Nanoseconds.milliseconds(min(max($0, 1), 60_000)) }
  }

  /// Whether it went out.
  @discardableResult
  func send(_ report: ChildReport, passing descriptor: Int32? = nil) -> Bool {
    channel.send(report.text, passing: descriptor)
  }
}
