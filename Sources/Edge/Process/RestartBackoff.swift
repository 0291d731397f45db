public import Units

/// How long to wait before a process that died is started again.
///
/// Doubles from 100 ms to 10 s, so that a crash loop costs little and a single crash costs no
/// client more than a short wait in the accept queue; a process that served for 30 s starts over.
public struct RestartBackoff: Sendable {
  public static let first = Nanoseconds.milliseconds(100)
  public static let last = Nanoseconds.seconds(10)
  public static let forgivenAfter = Nanoseconds.seconds(30)

  private var next = first

  public init() {}

  /// The wait before the next start.
  ///
  /// - Parameter served: How long the process was ready; zero when it never was.
  /// - Returns: From `first` to `last`.
  public mutating func delay(served: Nanoseconds) -> Nanoseconds {
    if served >= Self.forgivenAfter { next = Self.first }
    let delay = next
    next = min(next + next, Self.last)
    return delay
  }
}
