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
  /// Sent a second time because a kept connection turned out to be closed, or because the target
  /// says that it did nothing with it.
  var isResent = false
  /// Whether the present attempt is in the account.
  var isCounted = false
  var connection: Int32 = -1
  /// The stream of the connection's session that carries it, or -1.
  var stream: Int32 = -1
  var timer: Int32 = -1
  /// Of a slow caller, or -1.
  var paceTimer: Int32 = -1
  /// When its present attempt was begun.
  var began = Instant(0)
  /// Bytes of the message that were handed on, where not all are at once.
  var sent: Int64 = 0
  /// The answer's, over HTTP/2.
  var status: UInt16 = 0
  /// The reason that the answer gives, as a place of the account, or -1.
  var reason: Int16 = -1
  /// `grpc-status`, or -1.
  var grpcStatus: Int16 = -1
  var interims: UInt8 = 0
  /// A slow caller wants no bytes until its timer fires; this many were received meanwhile.
  var isReadPaused = false
  var unread: Int32 = 0
  /// Neighbours in the queue, or among the calls of a session.
  var previous: Int32 = -1
  var next: Int32 = -1
}
