import Testing
import Units

struct TimeTests {
  @Test func `spans stop at the ends of their range`() {
    let most = Nanoseconds(.max)
    let least = Nanoseconds(.min)

    #expect(most + Nanoseconds(1) == most)
    #expect(least + Nanoseconds(-1) == least)
    #expect(least - Nanoseconds(1) == least)
    #expect(most - Nanoseconds(-1) == most)
    #expect(.zero - least == most)
  }

  @Test func `instants stop at the ends of their range`() {
    #expect(Instant(.max - 5) + Nanoseconds(6) == .never)
    #expect(Instant(.min) + Nanoseconds(-1) == Instant(.min))
    #expect(.never + Nanoseconds.seconds(1) == .never)
    #expect(Instant(.max) - Instant(.min) == Nanoseconds(.max))
    #expect(Instant(.min) - Instant(.max) == Nanoseconds(.min))
  }

  @Test func `spans know their units`() {
    #expect(Nanoseconds.seconds(2) == .milliseconds(2_000))
    #expect(Nanoseconds.milliseconds(3) == .microseconds(3_000))
    #expect(Nanoseconds.milliseconds(1_500).seconds == 1.5)
    #expect(Nanoseconds.microseconds(2_500).milliseconds == 2.5)
    #expect(Instant(5) + Nanoseconds(7) == Instant(12))
  }

  @Test func `a generator gives the published sequence of its seed`() {
    // Source: the reference implementation's first outputs for the seed 1234567.
    var random = SplitMix64(seed: 1_234_567)
    #expect(random.next() == 6_457_827_717_110_365_317)
    #expect(random.next() == 3_203_168_211_198_807_973)
  }
}
