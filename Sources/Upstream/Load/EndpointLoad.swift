internal import Synchronization
public import Units

/// What an endpoint said last of its load, shared by all workers.
///
/// A view of cells in shared memory; zeroes are an endpoint that never said anything. Workers that
/// write at once may leave parts of two reports, which lie moments apart.
public struct EndpointLoad: @unchecked Sendable {
  // Safe to share: atomics alone.
  private let base: UnsafeMutablePointer<Atomic<UInt64>>

  /// Cells that one takes, a cache line.
  static let cells = 8
  private static let weightCell = 0
  /// When the weight was said last, and since when without a break that is too long.
  private static let updatedCell = 1
  private static let sinceCell = 2
  private static let utilizationCell = 3
  private static let heardCell = 4

  init(_ base: UnsafeMutablePointer<Atomic<UInt64>>) { self.base = base }

  private func load(_ cell: Int) -> UInt64 { base[cell].load(ordering: .relaxed) }
  private func store(_ cell: Int, _ value: UInt64) { base[cell].store(value, ordering: .relaxed) }
  private func instant(_ cell: Int) -> Instant { Instant(Int64(bitPattern: load(cell))) }
  private func store(_ cell: Int, _ now: Instant) {
    store(cell, UInt64(bitPattern: now.rawValue))
  }

  /// Takes a report.
  ///
  /// - Parameters:
  ///   - report: What it says.
  ///   - utilization: The one that counts.
  ///   - now: The present.
  ///   - settings: What it is used for.
  /// - Returns: Whether a weight followed from it.
  public func note(
    _ report: LoadReport,
    utilization: Double,
    at now: Instant,
    _ settings: LoadReportSettings
  ) -> Bool {
    store(Self.utilizationCell, utilization.bitPattern)
    store(Self.heardCell, now)
    let weight = settings.weight(report, utilization: utilization)
    guard weight > 0 else { return false }
    if load(Self.updatedCell) == 0 || now - instant(Self.updatedCell) >= settings.expiration {
      store(Self.sinceCell, now)
    }
    store(Self.weightCell, weight.bitPattern)
    store(Self.updatedCell, now)
    return true
  }

  /// Its weight, 0 while there is none to go by.
  public func weight(at now: Instant, _ settings: LoadReportSettings) -> Double {
    guard load(Self.updatedCell) != 0, now - instant(Self.updatedCell) < settings.expiration,
      now - instant(Self.sinceCell) >= settings.blackout
    else { return 0 }
    return Double(bitPattern: load(Self.weightCell))
  }

  /// Its utilization, `nil` where it said none for as long as weights are believed.
  public func utilization(at now: Instant, _ settings: LoadReportSettings) -> Double? {
    guard load(Self.heardCell) != 0, now - instant(Self.heardCell) < settings.expiration else {
      return nil
    }
    return Double(bitPattern: load(Self.utilizationCell))
  }

  /// Begins anew, for another endpoint.
  func clear() { for cell in 0..<Self.cells { store(cell, 0 as UInt64) } }
}
