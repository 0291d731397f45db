internal import CLinux
internal import Glibc

/// The environment, and what a parent adds to it for a child.
enum ProcessEnvironment {
  /// The descriptor over which a child reports to its parent.
  static let channel = "SPILLWAY_CHANNEL"
  /// The parent's process id, against a parent that is dead before the child runs.
  static let parent = "SPILLWAY_PARENT"
  /// Milliseconds between signs of life, when systemd asks the parent for them.
  static let alive = "SPILLWAY_ALIVE_MS"
  /// Milliseconds that a child may take until it serves, where the default is too little.
  static let patience = "SPILLWAY_READY_MS"

  /// The descriptor of what the child before had learned.
  static let learned = "SPILLWAY_LEARNED"

  static func current() -> [String: String] {
    var result: [String: String] = [:]
    guard var entry = clinux_environment() else { return result }
    while let text = entry.pointee {
      let pair = String(cString: text).split(separator: "=", maxSplits: 1)
      if let key = pair.first { result[String(key)] = pair.count > 1 ? String(pair[1]) : "" }
      entry += 1
    }
    return result
  }

  /// The environment of a child: what is meant for the parent alone is left out.
  static func forChild(of base: [String: String], adding: [String: String]) -> [String] {
    var result = base
    for key in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", channel, parent, alive, learned] {
      result[key] = nil
    }
    result.merge(adding) { $1 }
    return result.map { "\($0.key)=\($0.value)" }.sorted()
  }
}
