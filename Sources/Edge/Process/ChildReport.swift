/// What a serving process tells the parent that holds its sockets.
public enum ChildReport: Equatable, Sendable {
  /// It accepts connections; a drain of it takes at most so many milliseconds.
  case ready(drainMilliseconds: Int64, pidFile: String)
  /// It cannot start; the reason is for whoever asked for an upgrade.
  case failed(String)
  /// It bound a socket that its successors shall have; the descriptor travels along.
  case bound(key: String, worker: Int)
  /// Nobody shall accept from this socket any more.
  case dropped(key: String, worker: Int)
  /// Its workers make progress; sent for the watchdog of systemd.
  case alive
  case reloading
  /// What it said when it was ready and a reload has changed.
  case terms(drainMilliseconds: Int64, pidFile: String)
  case reloaded
  /// It was itself asked to be replaced.
  case upgrade
  /// What its limits have learned, for a successor; the descriptor travels along.
  case learned

  public var text: String {
    switch self {
    case .ready(let drain, let pidFile): "ready \(drain) \(SocketHandover.escape(pidFile))"
    case .terms(let drain, let pidFile): "terms \(drain) \(SocketHandover.escape(pidFile))"
    case .failed(let reason): "failed \(reason)"
    case .bound(let key, let worker): "bound \(worker) \(SocketHandover.escape(key))"
    case .dropped(let key, let worker): "dropped \(worker) \(SocketHandover.escape(key))"
    case .alive: "alive"
    case .reloading: "reloading"
    case .reloaded: "reloaded"
    case .upgrade: "upgrade"
    case .learned: "learned"
    }
  }

  /// Reads a report; `nil` for one that a newer version knows and this one does not.
  public init?(text: String) {
    let words = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    let number = words.count > 1 ? Int64(words[1]) : nil
    let name = words.count > 2 ? SocketHandover.unescape(words[2]) : nil
    switch (words.first, number, name) {
    case ("ready", let drain?, let pidFile):
      self = .ready(drainMilliseconds: drain, pidFile: pidFile ?? "")
    case ("terms", let drain?, let pidFile):
      self = .terms(drainMilliseconds: drain, pidFile: pidFile ?? "")
    case ("failed", _, _): self = .failed(String(text.dropFirst("failed ".count)))
    case ("bound", let worker?, let key?): self = .bound(key: key, worker: Int(worker))
    case ("dropped", let worker?, let key?): self = .dropped(key: key, worker: Int(worker))
    case ("alive", _, _): self = .alive
    case ("reloading", _, _): self = .reloading
    case ("reloaded", _, _): self = .reloaded
    case ("upgrade", _, _): self = .upgrade
    case ("learned", _, _): self = .learned
    default: return nil
    }
  }
}
