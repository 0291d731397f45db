import Testing
import Units
import Upstream

/// When a slow request gets a second attempt, on a clock of the test's own.
@Suite struct HedgeTests {
  private static func instant(_ milliseconds: Int64) -> Instant {
    Instant(1_000_000_000_000) + .milliseconds(milliseconds)
  }

  /// A latency of one of several shapes, in nanoseconds.
  private static func draw(_ shape: Int, _ random: inout SplitMix64) -> Int64 {
    let unit = Double(random.next() >> 11) * 0x1p-53
    return switch shape {
    // Even from 5 to 105 ms; one in a hundred a second; from 5 ms to 30 s by the power of ten; equal.
    case 0: 5_000_000 + Int64(unit * 1e8)
    case 1: unit < 0.01 ? 1_000_000_000 : 5_000_000 + Int64(unit * 1e6)
    case 2: Int64(5e6 * exp10(unit * 3.77))
    default: 12_345_678
    }
  }

  /// Of the estimate as it is at that time.
  private static func delay(
    _ estimate: HedgeEstimate,
    _ share: Double,
    at milliseconds: Int64
  ) -> Nanoseconds? {
    var copy = estimate
    return copy.delay(share: share, at: instant(milliseconds))
  }

  private static func exp10(_ power: Double) -> Double {
    var result = 1.0
    var rest = power
    while rest >= 1 {
      result *= 10
      rest -= 1
    }
    // The series of e^x, for x below ln 10.
    let x = rest * 2.302585092994046
    var term = 1.0
    var sum = 1.0
    for step in 1..<30 {
      term *= x / Double(step)
      sum += term
    }
    return result * sum
  }

  @Test(arguments: 0..<4)
  func `a quantile is off by a sixteenth at most`(shape: Int) throws {
    var random = SplitMix64(seed: 41 + UInt64(shape))
    var histogram = LatencyHistogram()
    var samples: [Int64] = []
    for _ in 0..<20_000 {
      let sample = Self.draw(shape, &random)
      samples.append(sample)
      histogram.observe(Nanoseconds(sample), at: Self.instant(0))
    }
    samples.sort()

    for share in [0.1, 0.5, 0.9, 0.95, 0.98, 0.985, 0.995, 0.999, 1] {
      // Its rank is the least of those that no smaller share of the samples passes.
      let rank = max(1, Int((share * 20_000).rounded(.up)))
      let exact = Double(samples[rank - 1])
      let found = Double(try #require(histogram.quantile(share)).rawValue)
      #expect(abs(found - exact) <= exact / 16 + 1, "\(share): \(found) for \(exact)")
    }
  }

  @Test func `what nobody can wait is counted and bounded`() throws {
    var histogram = LatencyHistogram()
    #expect(histogram.quantile(0.5) == nil)
    for sample in [Int64.min, -1, 0, 1, .max] {
      histogram.observe(Nanoseconds(sample), at: Self.instant(0))
    }

    #expect(histogram.total == 5)
    #expect(try #require(histogram.quantile(0.1)).rawValue < 1 << 22)
    #expect(try #require(histogram.quantile(1)).rawValue == 1 << 36)
  }

  @Test func `samples count half after the half-life, and nothing after a long while`() throws {
    var histogram = LatencyHistogram()
    for _ in 0..<1_000 { histogram.observe(.milliseconds(10), at: Self.instant(0)) }
    var hasChanged = histogram.decay(at: Self.instant(29_999))
    #expect(!hasChanged)
    #expect(histogram.total == 1_000)

    hasChanged = histogram.decay(at: Self.instant(30_000))
    #expect(hasChanged)
    #expect(histogram.total == 500)
    for _ in 0..<600 { histogram.observe(.milliseconds(100), at: Self.instant(30_000)) }
    let median = try #require(histogram.quantile(0.5))
    #expect(median >= .milliseconds(90), "the new ones are the more: \(median.milliseconds)")

    histogram.decay(at: Self.instant(30_000 + 3 * 30_000))
    #expect(histogram.total == 137.5)
    histogram.decay(at: Self.instant(10_000_000))
    #expect(histogram.total == 0)
    #expect(histogram.quantile(0.5) == nil)
    // A clock that goes back changes nothing.
    histogram.observe(.milliseconds(1), at: Self.instant(10_000_000))
    histogram.decay(at: Self.instant(0))
    #expect(histogram.total == 1)
  }

  @Test func `no request gets a second attempt before a hundred samples are known`() throws {
    var estimate = HedgeEstimate()
    for _ in 0..<99 {
      estimate.observe(.milliseconds(20), at: Self.instant(0))
      #expect(Self.delay(estimate, 0.95, at: 0) == nil)
    }
    estimate.observe(.milliseconds(20), at: Self.instant(0))

    let delay = try #require(Self.delay(estimate, 0.95, at: 0))
    #expect(abs(delay.milliseconds - 20) <= 20 / 16)
    // What is old has to be learned again.
    #expect(Self.delay(estimate, 0.95, at: 30_000) == nil)
  }

  @Test func `a second attempt never goes out before five milliseconds`() {
    var estimate = HedgeEstimate()
    for _ in 0..<1_000 { estimate.observe(.microseconds(80), at: Self.instant(0)) }

    #expect(Self.delay(estimate, 0.95, at: 0) == .milliseconds(5))
    #expect(Self.delay(estimate, 0.5, at: 0) == .milliseconds(5))
  }

  @Test func `the delay follows the latency, and another percentile at once`() throws {
    var estimate = HedgeEstimate()
    for index in 0..<1_000 {
      estimate.observe(.milliseconds(index % 50 == 0 ? 1_000 : 10), at: Self.instant(0))
    }
    let usual = try #require(Self.delay(estimate, 0.95, at: 1))
    let late = try #require(Self.delay(estimate, 0.99, at: 1))
    #expect(usual <= .milliseconds(11) && late >= .milliseconds(900))

    // A tenth of the requests is slow from now on.
    for index in 0..<1_000 {
      estimate.observe(.milliseconds(index % 10 == 0 ? 1_000 : 10), at: Self.instant(2))
    }
    #expect(try #require(Self.delay(estimate, 0.95, at: 3)) >= .milliseconds(900))
  }

  @Test func `one request in twenty may have a second attempt, and no more after a pause`() {
    var estimate = HedgeEstimate()
    var requests = 0
    var hedges = 0
    // All of them would like one.
    for _ in 0..<10_000 {
      estimate.countRequest()
      requests += 1
      if estimate.hasCredit {
        estimate.spend()
        hedges += 1
      }
      #expect(hedges * 20 <= requests)
    }
    #expect(hedges == 500)

    for _ in 0..<100_000 { estimate.countRequest() }
    hedges = 0
    while estimate.hasCredit {
      estimate.spend()
      hedges += 1
    }
    #expect(hedges == Int(HedgeEstimate.burst))
  }

  @Test func `an estimate that its own hedges shorten does not run away`() throws {
    // One answer in a hundred takes a second. A hedge cuts it to the delay and 5 ms more: were that
    // to lower the percentile, the next hedges would come sooner and be more.
    var random = SplitMix64(seed: 3)
    var estimate = HedgeEstimate()
    var hedges = 0
    for request in 0..<200_000 {
      let now = Self.instant(Int64(request))
      estimate.countRequest()
      let delay = estimate.delay(share: 0.98, at: now)
      let first = Self.draw(1, &random)
      var latency = first
      if let delay, first > delay.rawValue, estimate.hasCredit {
        estimate.spend()
        hedges += 1
        latency = min(first, delay.rawValue + Self.draw(1, &random))
      }
      estimate.observe(Nanoseconds(latency), at: now)
    }

    let delay = try #require(Self.delay(estimate, 0.98, at: 200_000))
    #expect(delay <= .milliseconds(8), "\(delay.milliseconds)")
    #expect(hedges <= 200_000 * 3 / 100, "\(hedges)")
    #expect(hedges >= 200_000 * 5 / 1_000, "\(hedges)")
  }
}
