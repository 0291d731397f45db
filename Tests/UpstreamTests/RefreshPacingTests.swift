import Testing
import Units
import Upstream

@Suite struct RefreshPacingTests {
  /// TTLs, and the least wait after them, both in seconds.
  static let ttls: [(Int32, Int64)] = [
    (0, 1), (1, 1), (20, 20), (300, 300), (86_400, 300), (.max, 300), (-1, 1),
  ]
  /// Failures in a row, and the least wait after them in seconds.
  static let failures: [(Int, Int64)] = [
    (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (1_000, 30), (.max, 30),
  ]

  private let pacing = RefreshPacing()

  private func spread(_ span: Nanoseconds) -> ClosedRange<Nanoseconds> {
    span...Nanoseconds(span.rawValue + span.rawValue / 10)
  }

  @Test(arguments: ttls)
  func `a TTL is kept within its bounds and spread by a tenth`(_ ttl: Int32, _ seconds: Int64) {
    var random = SplitMix64(seed: 7)

    for _ in 0..<100 {
      let wait = pacing.wait(ttl: ttl, using: &random)

      #expect(spread(.seconds(seconds)).contains(wait))
    }
  }

  @Test func `the hosts file is looked at every 30 seconds`() {
    var random = SplitMix64(seed: 7)

    let wait = pacing.wait(ttl: nil, using: &random)

    #expect(spread(.seconds(30)).contains(wait))
  }

  @Test(arguments: failures)
  func `failures double the wait up to its bound`(_ failures: Int, _ seconds: Int64) {
    var random = SplitMix64(seed: 7)

    let wait = pacing.wait(failures: failures, using: &random)

    #expect(spread(.seconds(seconds)).contains(wait))
  }
}
