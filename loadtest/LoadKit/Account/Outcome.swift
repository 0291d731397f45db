/// What became of a request, as its caller sees it; each request has exactly one.
public enum Outcome: UInt8, CaseIterable, Sendable, Codable {
  /// A success within the deadline: goodput.
  case good
  /// A success after the deadline, of no use.
  case late
  /// Refused for lack of capacity: 429 or 503.
  case shed
  /// Another answer that is no success.
  case failed
  /// No whole answer.
  case error

  public var name: String {
    switch self {
    case .good: "good"
    case .late: "late"
    case .shed: "shed"
    case .failed: "failed"
    case .error: "error"
    }
  }
}

/// Why there was no whole answer.
public enum ErrorReason: UInt8, CaseIterable, Sendable {
  case connectRefused
  case connectFailed
  /// The caller's time was up.
  case timedOut
  /// The connection was reset.
  case reset
  /// The connection ended before the answer did.
  case closedEarly
  /// The answer is no HTTP/1.
  case malformed
  /// A head beyond the bound.
  case headTooLarge
  /// Interim answers without end.
  case tooManyInterim
  /// Every connection was busy until the time was up.
  case noConnection
  /// The harness had no room to follow this request.
  case noRoom
  /// The harness came to it when its time was up already.
  case harnessLate
  /// Stopped by the user.
  case stopped

  public var name: StaticString {
    switch self {
    case .connectRefused: "connect-refused"
    case .connectFailed: "connect-failed"
    case .timedOut: "timed-out"
    case .reset: "reset"
    case .closedEarly: "closed-early"
    case .malformed: "malformed"
    case .headTooLarge: "head-too-large"
    case .tooManyInterim: "too-many-interim"
    case .noConnection: "no-connection"
    case .noRoom: "no-room"
    case .harnessLate: "harness-late"
    case .stopped: "stopped"
    }
  }

  /// Whether the harness, not the target, is why the request was not answered.
  public var isOurs: Bool {
    switch self {
    case .noConnection, .noRoom, .harnessLate, .stopped: true
    default: false
    }
  }
}
