public import Units

/// Decides from the pulse of a worker whether its loop stalls; pure.
public struct StallDetector: Sendable {
  /// A loop turn takes well under a millisecond; a second is a fault by any measure.
  public static let threshold = Nanoseconds.seconds(1)
  /// How often to sample.
  public static let interval = Nanoseconds.milliseconds(100)
  /// When our own samples are this late, the whole process was stopped, not the worker.
  public static let maximumGap = Nanoseconds.milliseconds(500)

  public enum Verdict: Equatable, Sendable {
    case fine
    /// The loop has not turned for so long; said once per stall.
    case stalled(Nanoseconds)
    /// It turns again after so long.
    case recovered(Nanoseconds)
  }

  private var count: UInt64 = 0
  private var since: Instant
  private var lastSample: Instant
  public private(set) var isStalled = false

  public init(at now: Instant) {
    since = now
    lastSample = now
  }

  /// Judges one look at the pulse.
  ///
  /// - Parameters:
  ///   - count: Odd while the worker waits in the kernel.
  ///   - now: The time of the look; looks come every `interval`.
  /// - Returns: `fine` unless a stall began or ended with this look.
  public mutating func sample(count: UInt64, at now: Instant) -> Verdict {
    let wasStopped = now - lastSample > Self.maximumGap
    lastSample = now
    if count != self.count || count % 2 == 1 {
      let span = now - since
      self.count = count
      since = now
      guard isStalled else { return .fine }
      isStalled = false
      return .recovered(span)
    }
    if isStalled { return .fine }
    if wasStopped {
      since = now
      return .fine
    }
    guard now - since > Self.threshold else { return .fine }
    isStalled = true
    return .stalled(now - since)
  }
}
