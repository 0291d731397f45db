internal import LoadKit
internal import Units

/// One request of the schedule, from its intended send time until its caller knows.
struct Call: BitwiseCopyable {
  enum State: UInt8 {
    /// In the queue for a connection.
    case waiting
    /// On a connection.
    case active
    /// Between two attempts.
    case pausing
  }

  var intended: Instant
  /// When the caller gives up for good.
  var giveUp: Instant
  var place: Account.Place
  var kind: Int32
  var state = State.waiting
  /// Attempts that were begun.
  var attempts: UInt8 = 0
  /// Sent a second time because a kept connection turned out to be closed.
  var isResent = false
  var connection: Int32 = -1
  var timer: Int32 = -1
  /// Neighbours in the queue.
  var previous: Int32 = -1
  var next: Int32 = -1
}
