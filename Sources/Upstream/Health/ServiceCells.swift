public import Synchronization
public import Units

/// What workers share of a service beside its breaker: when endpoints were compared, who was left
/// out why, and a number that changes whenever an endpoint goes.
public struct ServiceCells: @unchecked Sendable {
  // Safe to share: atomics alone.
  private let base: UnsafeMutablePointer<Atomic<UInt64>>

  /// Cells that one takes, two cache lines.
  public static let cells = 16
  private static let sweepCell = 0
  private static let lockCell = 1
  private static let changesCell = 2
  private static let overflowCell = 3
  private static let ejections = 4
  private static let outageCell = 9
  private static let checks = 10

  public init(_ base: UnsafeMutablePointer<Atomic<UInt64>>) { self.base = base }

  /// Whether it is time to compare endpoints, or for the first time to say when.
  public func isSweepDue(at now: Instant) -> Bool {
    let due = base[Self.sweepCell].load(ordering: .relaxed)
    return due == 0 || UInt64(bitPattern: now.rawValue) >= due
  }

  /// Whether the caller is the one who compares endpoints now.
  func takesSweep(at now: Instant, every interval: Nanoseconds) -> Bool {
    let due = base[Self.sweepCell].load(ordering: .relaxed)
    let next = UInt64(bitPattern: (now + interval).rawValue)
    guard due != 0 else {
      _ = base[Self.sweepCell].compareExchange(expected: 0, desired: next, ordering: .relaxed)
      return false
    }
    guard UInt64(bitPattern: now.rawValue) >= due else { return false }
    return base[Self.sweepCell].compareExchange(expected: due, desired: next, ordering: .relaxed)
      .exchanged
  }

  /// One at a time leaves somebody out; nobody waits for it.
  func takeEjection() -> Bool {
    base[Self.lockCell].compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged
  }

  func endEjection() { base[Self.lockCell].store(0, ordering: .releasing) }

  func count(_ cause: EjectionCause) {
    base[Self.ejections + Int(cause.rawValue)].add(1, ordering: .relaxed)
  }

  func countOverflow() { base[Self.overflowCell].add(1, ordering: .relaxed) }

  /// Endpoints that were left out for a cause, ever.
  public func ejectionCount(_ cause: EjectionCause) -> UInt64 {
    base[Self.ejections + Int(cause.rawValue)].load(ordering: .relaxed)
  }

  /// Times that somebody was to be left out and too many were already.
  public var overflows: UInt64 { base[Self.overflowCell].load(ordering: .relaxed) }

  /// What becomes of requests while checks find nobody.
  public var outage: SharedOutage { SharedOutage(base + Self.outageCell) }

  func count(_ result: CheckResult) {
    base[Self.checks + Int(result.rawValue)].add(1, ordering: .relaxed)
  }

  /// Checks of its endpoints that came to a result, ever.
  public func checkCount(_ result: CheckResult) -> UInt64 {
    base[Self.checks + Int(result.rawValue)].load(ordering: .relaxed)
  }

  /// Changes whenever an endpoint goes, so that workers look anew at who is left.
  public var changes: UInt64 { base[Self.changesCell].load(ordering: .relaxed) }

  public func noteChange() { base[Self.changesCell].add(1, ordering: .relaxed) }
}
