/// Endpoints of a zone that may be asked, and those of them that are healthy.
public struct ZoneCount: Hashable, Sendable, BitwiseCopyable {
  public private(set) var known = 0
  public private(set) var healthy = 0

  public init() {}

  public mutating func add(isHealthy: Bool) {
    known += 1
    if isHealthy { healthy += 1 }
  }
}

/// How much of the load stays in the edge's own zone.
///
/// As long as enough of its endpoints are healthy all of it does; below that as much as these can
/// take, and the rest goes elsewhere. Nothing is held to a zone that has nobody: the worst that a
/// preference may do is nothing.
///
/// Source: Envoy's weights of localities, with its overprovisioning factor.
public enum ZoneShare {
  /// Whether endpoints of one priority carry what is meant for them: half of them are healthy, or those
  /// of the edge's own zone do without all others, which may be cut off from here.
  ///
  /// - Parameters:
  ///   - local: The edge's own zone.
  ///   - others: All others.
  ///   - overprovisioning: How much more than now endpoints can do; `nil` where no zone is preferred.
  /// - Returns: Whether it is no panic to choose from them.
  public static func isWell(
    _ local: ZoneCount,
    _ others: ZoneCount,
    overprovisioning: Double?
  ) -> Bool {
    func isHalf(_ healthy: Int, _ known: Int) -> Bool {
      known > 0 && Double(healthy) >= ChoicePolicy.panicThreshold * Double(known)
    }
    if isHalf(local.healthy + others.healthy, local.known + others.known) { return true }
    guard let overprovisioning, isHalf(local.healthy, local.known) else { return false }
    return overprovisioning * Double(local.healthy) >= Double(local.known)
  }

  /// The share that stays, in `0...1`; below 0 where zones are of no account.
  ///
  /// - Parameters:
  ///   - local: The edge's own zone.
  ///   - others: All others.
  ///   - overprovisioning: How much more than now endpoints can do, at least 1.
  /// - Returns: The share.
  public static func local(
    _ local: ZoneCount,
    _ others: ZoneCount,
    overprovisioning: Double
  ) -> Float {
    guard local.known > 0, others.known > 0 else { return -1 }
    guard local.healthy > 0 else { return others.healthy > 0 ? 0 : -1 }
    guard others.healthy > 0 else { return 1 }
    return Float(min(1, overprovisioning * Double(local.healthy) / Double(local.known)))
  }
}
