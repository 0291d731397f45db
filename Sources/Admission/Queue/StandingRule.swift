/// Which classes have a standing queue: one that for 200 ms was at every tick longer than what is
/// served of it in 10 ms.
///
/// A queue that drains now and then absorbs a burst; one that stands only adds its length to every
/// wait (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012). Its length is judged as the
/// time that it takes, and not as a count: sixty requests that wait for a service of forty thousand a
/// second wait for a millisecond, which is no overload however long it lasts. Ticks are counted rather
/// than time, so that a worker which stalled does not take one long look for many.
struct StandingRule: Sendable {
  /// 200 ms of 10 ms ticks.
  static let ticks: UInt32 = 20
  /// The weight of one tick in the moving mean of what is served.
  private static let gain = 0.1
  private var full = InlineArray<8, UInt32>(repeating: 0)
  /// What is usually served between two ticks.
  private var usual = InlineArray<8, Double>(repeating: 0)

  /// - Parameters:
  ///   - waiting: Requests that wait, by class.
  ///   - served: Requests that got a permit from the queue since the last tick, by class.
  ///   - isGrowing: True while the limit may still double; then no class counts as standing.
  /// - Returns: A bit for each class that stands, bit 0 for the highest.
  mutating func tick(
    _ waiting: InlineArray<8, Int>,
    served: InlineArray<8, Double>,
    isGrowing: Bool
  ) -> UInt8 {
    var standing: UInt8 = 0
    for index in full.indices {
      usual[index] += Self.gain * (served[index] - usual[index])
      if isGrowing || Double(waiting[index]) <= usual[index] {
        full[index] = 0
      } else if full[index] <= Self.ticks {
        full[index] += 1
      }
      if full[index] > Self.ticks { standing |= 1 << UInt8(index) }
    }
    return standing
  }
}
