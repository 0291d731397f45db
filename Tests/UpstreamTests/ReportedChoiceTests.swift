import Testing
import Units
import Upstream

/// Choices by what endpoints report of their load.
struct ReportedChoiceTests {
  /// A service whose endpoints have reported for long enough.
  private static func scene(_ balance: Balance, _ rates: [Double]) -> ChoiceScene {
    let scene = ChoiceScene(balance, rates.count)
    scene.policy.pointee.hasReports = true
    for _ in 0..<2 {
      for (place, rate) in rates.enumerated() where rate > 0 {
        scene.report(Int32(place), rate: rate, utilization: 0.5)
      }
      scene.now = scene.now + .seconds(10)
    }
    return scene
  }

  @Test func `a round follows what endpoints can do, and is spread`() {
    let scene = Self.scene(.roundRobin, [100, 200, 500])
    let order = (0..<80).map { _ in scene.choose() }
    let counts = (0..<3).map { place in order.count { $0 == Int32(place) } }
    #expect(abs(counts[0] - 10) <= 1)
    #expect(abs(counts[1] - 20) <= 1)
    #expect(abs(counts[2] - 50) <= 1)
    // The heaviest never has more than a few turns in a row.
    let longest = order.split { $0 != 2 }.map(\.count).max() ?? 0
    #expect(longest <= 3)
  }

  @Test func `two choices are drawn by what endpoints can do`() {
    let scene = Self.scene(.twoChoices, [100, 100, 100, 700])
    // All alike for the comparison, so that the draw alone decides.
    scene.policy.pointee.reports.hotQuantile = 1
    for place in 0..<4 { scene.states[place].latency.observe(0.01, at: scene.now) }
    let counts = scene.tally(8_000)
    let heavy = Double(counts[3]) / 8_000
    // Drawn first by 0.7, or second.
    #expect((0.6...0.85).contains(heavy))
    #expect(counts[..<3].allSatisfy { $0 > 300 })
  }

  @Test func `the fewest in flight are those for the weight`() {
    let scene = Self.scene(.leastRequests, [100, 400])
    scene.states[0].inFlight = 2
    scene.states[1].inFlight = 7
    #expect(scene.tally(20) == [0, 20])
    scene.states[1].inFlight = 9
    #expect(scene.tally(20) == [20, 0])
  }

  @Test(arguments: [Balance.twoChoices, .roundRobin, .leastRequests])
  func `who reports nothing counts as the mean, and one report alone changes nothing`(
    _ balance: Balance
  ) {
    let scene = Self.scene(balance, [100, 300, 0])
    for place in 0..<3 { scene.states[place].inFlight = 0 }
    let counts = scene.tally(9_000)
    #expect(counts.allSatisfy { $0 > 400 })
    if balance == .roundRobin {
      #expect(abs(counts[2] - 3_000) <= 2)
      #expect(abs(counts[0] - 1_500) <= 2)
    }
    let alone = Self.scene(balance, [100, 0, 0])
    if balance == .roundRobin { #expect(alone.tally(90) == [30, 30, 30]) }
  }

  @Test func `weights wait for the blackout and end with the reports`() {
    let scene = ChoiceScene(.roundRobin, 2)
    scene.policy.pointee.hasReports = true
    scene.report(0, rate: 100, utilization: 0.5)
    scene.report(1, rate: 300, utilization: 0.5)
    #expect(scene.tally(40) == [20, 20])
    scene.now = scene.now + .seconds(10)
    #expect(scene.tally(40) == [10, 30])
    scene.now = scene.now + .seconds(180)
    #expect(scene.tally(40) == [20, 20])
    // Reports are one thing, and whether weights follow from them another.
    scene.policy.pointee.reports.usesWeights = false
    scene.report(0, rate: 100, utilization: 0.5)
    scene.report(1, rate: 300, utilization: 0.5)
    scene.now = scene.now + .seconds(20)
    #expect(scene.tally(40) == [20, 20])
  }

  @Test(arguments: [Balance.twoChoices, .roundRobin, .leastRequests])
  func `a heavy one that is out or rests leaves the others served`(_ balance: Balance) {
    let scene = Self.scene(balance, [1, 1, 1e6])
    scene.states[2].backedOffUntil = scene.now + .seconds(5)
    let resting = scene.tally(400)
    #expect(resting[2] == 0 && resting[0] > 50 && resting[1] > 50)
    scene.states[2].backedOffUntil = Instant(.min)
    scene.open(2)
    let out = scene.tally(400)
    #expect(out[2] == 0 && out[0] > 50 && out[1] > 50)
  }

  @Test func `keys stay where they are whatever is reported`() {
    let plain = ChoiceScene(.ringHash, 5)
    let reporting = Self.scene(.ringHash, [1, 2, 3, 4, 500])
    reporting.policy.pointee.reports.usesWeights = false
    for key in 1..<200 as Range<UInt64> {
      #expect(plain.choose(key: KeyHash.of(key)) == reporting.choose(key: KeyHash.of(key)))
    }
  }

  // MARK: - Hot and cold

  /// Two endpoints, of which both are compared in each choice.
  private static func pair(_ first: (Int32, Double), _ second: (Int32, Double)) -> ChoiceScene {
    let scene = Self.scene(.twoChoices, [100, 100])
    for (place, (inFlight, latency)) in [first, second].enumerated() {
      scene.states[place].inFlight = inFlight
      scene.states[place].latency.observe(latency, at: scene.now)
    }
    // A fleet in which four of five have up to 10 in flight has been seen before.
    scene.view = ChoiceView(hotThreshold: 10)
    return scene
  }

  @Test func `of two cold ones the quicker is chosen, though it has more in flight`() {
    let scene = Self.pair((3, 0.030), (8, 0.010))
    #expect(scene.tally(5) == [0, 5])
    // By what is in flight alone it is the other one.
    scene.policy.pointee.hasReports = false
    scene.view = ChoiceView()
    #expect(scene.tally(5) == [5, 0])
  }

  @Test func `of a hot one and a cold one the cold one is chosen, though it is slower`() {
    let scene = Self.pair((3, 0.500), (20, 0.010))
    #expect(scene.tally(5) == [5, 0])
  }

  @Test func `of two hot ones the one with fewer in flight is chosen, though it is slower`() {
    let scene = Self.pair((30, 0.010), (25, 0.500))
    #expect(scene.tally(5) == [0, 5])
  }

  @Test func `one that has all it can do by its own word is hot`() {
    let scene = Self.pair((3, 0.010), (5, 0.500))
    scene.report(0, rate: 200, utilization: 1)
    scene.now = scene.now + .seconds(1)
    #expect(scene.tally(5) == [0, 5])
  }

  @Test func `the quantile is between in flight alone and latency alone`() {
    let scene = Self.pair((30, 0.010), (2, 0.500))
    scene.policy.pointee.reports.hotQuantile = 1
    #expect(scene.tally(5) == [5, 0])
    scene.policy.pointee.reports.hotQuantile = 0
    #expect(scene.tally(5) == [0, 5])
  }

  @Test func `one that reports nothing is compared as ever`() {
    let scene = Self.scene(.twoChoices, [100, 100, 0])
    scene.view = ChoiceView(hotThreshold: 10)
    for (place, latency) in [0.5, 0.5, 0.001].enumerated() {
      scene.states[place].latency.observe(latency, at: scene.now)
    }
    // The quickest, and with the most in flight: only among those that report would it be chosen.
    scene.states[2].inFlight = 5
    #expect(scene.tally(30)[2] == 0)
  }

  @Test(arguments: [0.5, 0.84, 0.95])
  func `the threshold finds its quantile of what is in flight`(quantile: Double) {
    var random = SplitMix64(seed: 11)
    var threshold: Float = 0
    var (above, count) = (0, 0)
    for turn in 0..<60_000 {
      let load = Float(random.next() % 40)
      if turn > 10_000 {
        count += 1
        if load > threshold { above += 1 }
      }
      threshold = Chooser.hotThreshold(threshold, after: load, quantile: Float(quantile))
    }
    #expect(abs(Double(above) / Double(count) - (1 - quantile)) < 0.05)
  }
}

extension KeyHash {
  fileprivate static func of(_ key: UInt64) -> UInt64 {
    var hash = KeyHash()
    hash.add(key)
    return hash.value
  }
}
