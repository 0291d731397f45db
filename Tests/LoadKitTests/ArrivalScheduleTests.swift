import LoadKit
import Testing
import Units

struct ArrivalScheduleTests {
  private func times(
    _ phases: [RatePhase],
    _ process: ArrivalProcess,
    seed: UInt64 = 1
  ) -> [Double] {
    var schedule = ArrivalSchedule(phases: phases, process: process, seed: seed)
    var times: [Double] = []
    while let time = schedule.next() { times.append(time.seconds) }
    return times
  }

  @Test func `constant arrivals are even and as many as the rate says`() {
    let times = times([RatePhase(rate: 1_000, duration: 2)], .constant)

    #expect(times.count == 2_000)
    for (one, next) in zip(times, times.dropFirst()) {
      #expect(abs(next - one - 0.001) < 1e-8)
    }
  }

  @Test(arguments: [ArrivalProcess.constant, .poisson, .bursty(size: 20)])
  func `each phase has its own rate from its first moment`(process: ArrivalProcess) {
    let phases = [
      RatePhase(rate: 500, duration: 10), RatePhase(rate: 5_000, duration: 10),
      RatePhase(rate: 500, duration: 10),
    ]

    let times = times(phases, process)

    #expect(times == times.sorted())
    for (index, phase) in phases.enumerated() {
      let from = Double(index) * 10
      let count = times.filter { $0 >= from && $0 < from + 10 }.count
      let expected = phase.rate * phase.duration
      var deviations = 0.0
      switch process {
      case .constant: deviations = 1
      case .poisson: deviations = 5 * expected.squareRoot()
      case .bursty(let size): deviations = 5 * (expected / Double(size)).squareRoot() * Double(size)
      }
      #expect(abs(Double(count) - expected) <= deviations, "phase \(index)")
    }
    // The step is there at once: the first tenth of a second after it has ten times the arrivals.
    let first = times.filter { $0 >= 10 && $0 < 10.1 }.count
    #expect(first > 300)
  }

  @Test func `Poisson gaps have the deviation of their mean`() {
    let times = times([RatePhase(rate: 1_000, duration: 50)], .poisson, seed: 11)
    let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
    let mean = gaps.reduce(0, +) / Double(gaps.count)
    let variance = gaps.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(gaps.count)

    #expect(abs(mean - 0.001) < 0.00003)
    #expect(abs(variance.squareRoot() / mean - 1) < 0.05)
  }

  @Test func `bursts come in whole groups of one instant`() {
    let times = times([RatePhase(rate: 1_000, duration: 5)], .bursty(size: 10))

    #expect(times.count % 10 == 0)
    for start in stride(from: 0, to: times.count, by: 10) {
      #expect(Set(times[start..<start + 10]).count == 1)
    }
  }

  @Test func `the seed fixes every time`() {
    let phases = [RatePhase(rate: 300, duration: 3)]

    #expect(times(phases, .poisson, seed: 5) == times(phases, .poisson, seed: 5))
    #expect(times(phases, .poisson, seed: 5) != times(phases, .poisson, seed: 6))
  }

  @Test func `pauses and tiny rates give nothing and end`() {
    #expect(times([], .poisson).isEmpty)
    #expect(times([RatePhase(rate: 0, duration: 100)], .constant).isEmpty)
    #expect(times([RatePhase(rate: 1e-9, duration: 1)], .poisson).isEmpty)

    let after = times(
      [RatePhase(rate: 0, duration: 2), RatePhase(rate: 100, duration: 1)],
      .poisson
    )
    #expect(!after.isEmpty)
    #expect(after.allSatisfy { $0 >= 2 && $0 < 3 })
  }

  @Test func `weights are kept, and a weight of zero is never drawn`() {
    let weights = [5.0, 0, 23.75, 38, 28.5]
    let choice = WeightedChoice(weights)
    var generator = SplitMix64(seed: 2)
    var counts = [Int](repeating: 0, count: weights.count)

    for _ in 0..<100_000 { counts[choice.draw(&generator)] += 1 }

    #expect(counts[1] == 0)
    for (count, weight) in zip(counts, weights) {
      #expect(abs(Double(count) / 1_000 - weight / 0.9525) < 1)
    }
  }
}
