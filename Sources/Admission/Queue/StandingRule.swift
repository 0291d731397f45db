/// Which classes have a standing queue: one that was not empty at any tick for 200 ms.
///
/// A queue that empties now and then absorbs a burst; one that stands only adds its length to every
/// wait (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012). Ticks are counted rather
/// than time, so that a worker which stalled does not take one long look for many.
struct StandingRule: Sendable {
  /// 200 ms of 10 ms ticks.
  static let ticks: UInt32 = 20
  private var full = InlineArray<8, UInt32>(repeating: 0)

  /// - Parameters:
  ///   - waiting: Requests that wait, by class.
  ///   - isGrowing: True while the limit may still double; then no class counts as standing.
  /// - Returns: A bit for each class that stands, bit 0 for the highest.
  mutating func tick(_ waiting: InlineArray<8, Int32>, isGrowing: Bool) -> UInt8 {
    var standing: UInt8 = 0
    for index in full.indices {
      if isGrowing || waiting[index] <= 0 {
        full[index] = 0
      } else if full[index] <= Self.ticks {
        full[index] += 1
      }
      if full[index] > Self.ticks { standing |= 1 << UInt8(index) }
    }
    return standing
  }
}
