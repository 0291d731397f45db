import Foundation
import LoadKit
import Testing
import Units

struct HistogramTests {
  /// The rank rule of `percentile`, on all values sorted.
  private func naive(_ values: [Int64], _ percentage: Double) -> Int64 {
    let sorted = values.sorted()
    let rank = Int((percentage / 100 * Double(sorted.count) - 1e-9).rounded(.up))
    return sorted[min(max(rank, 1), sorted.count) - 1]
  }

  @Test(arguments: [(1, 0.1), (2, 0.01), (3, 0.001)])
  func `percentiles are within the digits of those of all values sorted`(
    digits: Int,
    error: Double
  ) {
    var generator = SplitMix64(seed: 7)
    let histogram = Histogram(significantDigits: digits)
    var values: [Int64] = []
    for _ in 0..<20_000 {
      // Six powers of ten, as in an overload: 10 us to 10 s.
      values.append(Int64(1e4 * pow(10, 6 * generator.uniform())))
    }

    for value in values { histogram.record(value) }

    for percentage in [0, 1, 25, 50, 90, 99, 99.9, 99.99, 100] {
      let right = Double(naive(values, percentage))
      let found = Double(histogram.percentile(percentage))
      // One unit of 1,024 ns is the floor of what is told apart.
      #expect(abs(found - right) <= max(right * error, 1_024), "p\(percentage)")
    }
    #expect(histogram.minimum == values.min())
    #expect(histogram.maximum == values.max())
    #expect(histogram.percentile(100) == values.max())
    let mean = Double(values.reduce(0, +)) / Double(values.count)
    #expect(abs(histogram.mean - mean) < 1)
  }

  @Test func `an empty histogram answers zero`() {
    let histogram = Histogram()

    #expect(histogram.count == 0)
    #expect(histogram.percentile(99) == 0)
    #expect(histogram.minimum == 0)
    #expect(histogram.maximum == 0)
    #expect(histogram.mean == 0)
  }

  @Test func `99.9 percent of a thousand is the 999th, not the last`() {
    let histogram = Histogram()
    for _ in 0..<999 { histogram.record(1_000_000) }
    histogram.record(1_000_000_000)

    #expect(histogram.percentile(99.9) < 1_002_000)
    #expect(histogram.percentile(99.91) == 1_000_000_000)
  }

  @Test func `values beyond the range count at its bound and are told`() {
    let histogram = Histogram()
    histogram.record(.max)
    histogram.record(.min)
    histogram.record(-1)
    histogram.record(Histogram.largest)

    #expect(histogram.count == 4)
    #expect(histogram.clamped == 3)
    #expect(histogram.minimum == 0)
    #expect(histogram.maximum == Histogram.largest)
  }

  @Test func `every bound of a slot is told apart from the next`() {
    let histogram = Histogram()
    for shift in 10..<44 {
      for value in [(Int64(1) << Int64(shift)) - 1, Int64(1) << Int64(shift)] {
        histogram.reset()
        histogram.record(value)
        histogram.record(Histogram.largest)

        let found = histogram.percentile(50)
        #expect(found >= value && Double(found - value) <= max(1_024, Double(value) * 0.001))
      }
    }
  }

  @Test func `merging is the same as recording all in one`() {
    var generator = SplitMix64(seed: 3)
    let one = Histogram()
    let other = Histogram()
    let all = Histogram()
    for index in 0..<10_000 {
      let value = Int64(generator.exponential() * 2e7)
      (index % 3 == 0 ? one : other).record(value)
      all.record(value)
    }

    one.merge(other)

    #expect(one.count == all.count)
    #expect(one.minimum == all.minimum)
    #expect(one.maximum == all.maximum)
    for percentage in stride(from: 0.0, through: 100, by: 0.5) {
      #expect(one.percentile(percentage) == all.percentile(percentage))
    }
  }

  @Test func `what is reset is as new`() {
    let histogram = Histogram()
    histogram.record(-5)
    histogram.record(9_000_000)

    histogram.reset()
    histogram.record(5_000_000)

    #expect(histogram.count == 1)
    #expect(histogram.clamped == 0)
    #expect(histogram.minimum == 5_000_000)
    #expect(histogram.percentile(1) == 5_000_000)
  }
}
