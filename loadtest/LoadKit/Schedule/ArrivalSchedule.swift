public import Units

/// The intended send times of a run, fixed by its seed before anything is sent.
///
/// Times are drawn for a process of rate one and stretched by the phases' rates (the inversion
/// method for non-homogeneous processes), so a change of rate takes effect at its instant, not with
/// the next arrival, and each phase sees its rate from its first to its last moment.
///
/// Source: Çinlar, "Introduction to Stochastic Processes", 1975, theorem 4.7.6.
public struct ArrivalSchedule {
  private let phases: [RatePhase]
  private let process: ArrivalProcess
  private var generator: SplitMix64
  private var phase = 0
  /// Where the present phase begins, in seconds.
  private var start = 0.0
  /// The rate-one process inside the present phase: where it stands, and where the phase ends.
  private var position = 0.0
  private var room: Double
  /// What of the present group is still to be given.
  private var groupLeft = 0
  private var groupTime = Nanoseconds.zero

  /// - Parameters:
  ///   - phases: In order; rates not negative, durations above zero.
  ///   - process: How arrivals are spread.
  ///   - seed: The same seed gives the same times.
  public init(phases: [RatePhase], process: ArrivalProcess, seed: UInt64) {
    precondition(
      phases.allSatisfy { $0.rate >= 0 && $0.duration > 0 && ($0.rate * $0.duration).isFinite },
      "unvalidated phases"
    )
    self.phases = phases
    self.process = process
    generator = SplitMix64(seed: seed)
    room = phases.first.map { $0.rate * $0.duration } ?? 0
  }

  /// The next time, counted from the start of the first phase; `nil` after the last phase.
  public mutating func next() -> Nanoseconds? {
    if groupLeft > 0 {
      groupLeft -= 1
      return groupTime
    }
    var step: Double
    switch process {
    // The first of an even row stands in the middle of its gap, so that n gaps hold n arrivals.
    case .constant: step = phase == 0 && position == 0 ? 0.5 : 1
    case .poisson: step = exponential()
    case .bursty(let size): step = exponential() * Double(size)
    }
    while phase < phases.count {
      guard position + step >= room else {
        position += step
        let time = start + position / phases[phase].rate
        groupTime = Nanoseconds(Int64((time * 1e9).rounded()))
        if case .bursty(let size) = process { groupLeft = size - 1 }
        return groupTime
      }
      step -= room - position
      start += phases[phase].duration
      phase += 1
      position = 0
      room = phase < phases.count ? phases[phase].rate * phases[phase].duration : 0
    }
    return nil
  }

  private mutating func exponential() -> Double { generator.exponential() }
}
