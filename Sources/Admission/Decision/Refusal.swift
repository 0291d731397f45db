public import Units

/// Why a request was not admitted.
public enum RefusalReason: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  /// The queue is full, and nothing in it counts for less.
  case queueFull
  /// A higher class has a standing queue: strict order would never have served it.
  case standingClass
  /// It could not have been answered before its deadline.
  case deadline
  /// It was queued, and gave its place to one that counts for more.
  case evicted
  /// It was queued for as long as its class may be.
  case timedOut
  /// This process itself is overloaded.
  case edgeOverload
  /// As many streams of the service are open as may be.
  case openStreams

  /// The name that problem documents, logs and metrics give it.
  public var name: StaticString {
    switch self {
    case .queueFull: "shed-queue-full"
    case .standingClass: "shed-class"
    case .deadline: "shed-deadline"
    case .evicted: "shed-evicted"
    case .timedOut: "shed-queue-timeout"
    case .edgeOverload: "shed-edge-overload"
    case .openStreams: "shed-open-streams"
    }
  }
}

/// A request that was not admitted.
public struct Refusal: Sendable, BitwiseCopyable {
  public var reason: RefusalReason
  /// When it may be worth trying again, estimated from how fast the queue drains.
  ///
  /// It lies in `Refusal.retryAfterRange`; the caller adds jitter.
  public var retryAfter: Nanoseconds

  /// The bounds of `retryAfter`.
  public static var retryAfterRange: ClosedRange<Nanoseconds> {
    .milliseconds(100) ... .seconds(30)
  }

  public init(reason: RefusalReason, retryAfter: Nanoseconds) {
    self.reason = reason
    self.retryAfter = retryAfter
  }
}
