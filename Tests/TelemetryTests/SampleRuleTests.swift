import Telemetry
import Testing
import Units

/// Which requests are logged.
struct SampleRuleTests {
  @Test func `the share by code comes before that of its class and the default`() throws {
    let rule = try #require(
      SampleRule(entries: [("2xx", 0), ("204", 1), ("default", 1), ("5xx", 0.25)])
    )
    let table = SampleTable(rule)
    var generator = SplitMix64(seed: 1)

    #expect(!table.keeps(status: 200, random: 0))
    #expect(table.keeps(status: 204, random: .max))
    #expect(table.keeps(status: 404, random: .max))
    #expect(table.keeps(status: -1, random: .max))
    #expect(table.keeps(status: 503, random: 1 << 61))
    #expect(!table.keeps(status: 503, random: 1 << 62))
    let kept = (0..<100_000).count { _ in table.keeps(status: 500, using: &generator) }
    #expect((24_000...26_000).contains(kept))
  }

  @Test(arguments: ["6xx", "abc", "99", "600", "2x", "xx"])
  func `a key that is no status is refused`(key: String) {
    #expect(SampleRule(entries: [(key, 0.5)]) == nil)
  }

  @Test(arguments: [-0.1, 1.1, .nan, .infinity])
  func `a share outside of 0 to 1 is refused`(share: Double) {
    #expect(SampleRule(entries: [("default", share)]) == nil)
  }
}
