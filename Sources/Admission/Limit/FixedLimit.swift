/// A concurrency limit that never changes.
///
/// For services whose capacity is known and never moves, and to compare others with.
public struct FixedLimit: ConcurrencyLimit {
  public let limit: Int
  private var usual = UsualLatency()

  /// - Parameter limit: Requests in flight; brought into `1...Bounds.limit`.
  public init(limit: Int) { self.limit = min(max(limit, 1), Bounds.limit) }

  public var guidance: LimitGuidance { usual.guidance(limit: limit) }

  public mutating func observe(_ window: LimitWindow) { usual.observe(window) }
}
