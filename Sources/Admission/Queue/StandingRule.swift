internal import Units

/// Which classes have a standing queue: one that for 200 ms was at every tick longer than what is
/// served of it in 10 ms.
///
/// A queue that drains now and then absorbs a burst; one that stands only adds its length to every
/// wait (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012). Its length is judged as the
/// time that it takes, and not as a count: sixty requests that wait for a service of forty thousand a
/// second wait for a millisecond, which is no overload however long it lasts. Ticks are counted rather
/// than time, so that a worker which stalled does not take one long look for many.
struct StandingRule: Sendable {
  /// A bit for each class, bit 0 for the highest.
  struct Verdict: Sendable {
    var standing: UInt8 = 0
    /// Those of them where, in the order of arrival, requests would wait for longer than a standing
    /// class lets them, or than 75 ms.
    ///
    /// There the newest are served and the oldest given up, since they would be too late one after
    /// the other. A shorter queue loses nobody: five hundred clients that never pause keep one in
    /// front of a service of forty thousand a second for ever, and each of them waits for 12 ms.
    var late: UInt8 = 0
  }

  /// 200 ms of 10 ms ticks.
  static let ticks: UInt32 = 20
  /// Above this mean wait no class is served in the order of arrival.
  private static let longestWait = Nanoseconds.milliseconds(75)
  /// The weight of one tick in the moving means.
  private static let gain = 0.1
  private var full = InlineArray<8, UInt32>(repeating: 0)
  private var late: UInt8 = 0
  /// How many usually wait at a tick.
  private var depth = InlineArray<8, Double>(repeating: 0)
  /// What is usually served between two ticks.
  private var usual = InlineArray<8, Double>(repeating: 0)

  /// - Parameters:
  ///   - waiting: Requests that wait, by class.
  ///   - served: Requests that got a permit from the queue since the last tick, by class.
  ///   - isGrowing: True while the limit may still double; then no class counts as standing.
  /// - Returns: Which classes stand, and which of those are late.
  mutating func tick(
    _ waiting: InlineArray<8, Int>,
    served: InlineArray<8, Double>,
    isGrowing: Bool
  ) -> Verdict {
    var verdict = Verdict()
    for index in full.indices {
      usual[index] += Self.gain * (served[index] - usual[index])
      depth[index] += Self.gain * (Double(waiting[index]) - depth[index])
      if isGrowing || Double(waiting[index]) <= usual[index] {
        full[index] = 0
      } else if full[index] <= Self.ticks {
        full[index] += 1
      }
      guard full[index] > Self.ticks else { continue }
      verdict.standing |= 1 << UInt8(index)
      // Little's law: how long who is served waits on average, if all are.
      let wait = depth[index] / max(usual[index], 1e-3) * DeadlineWheel.tick.seconds
      let most = min(QueueTimeout.standing(index), Self.longestWait).seconds
      if wait > (late >> UInt8(index) & 1 == 1 ? most / 2 : most) {
        verdict.late |= 1 << UInt8(index)
      }
    }
    late = verdict.late
    return verdict
  }
}
