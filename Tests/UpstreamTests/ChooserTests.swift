import Testing
import Units
import Upstream

private let everyBalance: [Balance] = [.twoChoices, .roundRobin, .leastRequests, .ringHash]

struct ChooserTests {
  @Test(arguments: [Balance.twoChoices, .roundRobin, .leastRequests])
  func `rather the one tried before than one that is out`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 2)
    scene.open(1)

    #expect(scene.tally(50, avoiding: 0) == [50, 0])
  }

  @Test func `a check that finds an endpoint back ends its rest, and no later one`() {
    let scene = ChoiceScene(.roundRobin, 2)
    scene.policy.pointee.hasChecks = true
    for place in 0..<2 as Range<Int32> { for _ in 0..<3 { scene.check(place, .connectFailure) } }
    for _ in 0..<6 { scene.states[0].connectFailed(at: scene.now, jitter: 0) }
    scene.now = scene.now + .seconds(1)
    for place in 0..<2 as Range<Int32> { for _ in 0..<2 { scene.check(place, .success) } }

    // It joins little by little, but it does.
    scene.now = scene.now + .seconds(3)
    #expect(scene.states[0].isBackedOff(at: scene.now))
    #expect(scene.tally(100) == [50, 50])

    scene.states[0].connectFailed(at: scene.now, jitter: 0)
    scene.now = scene.now + .milliseconds(150)
    #expect(scene.tally(100) == [0, 100])
  }

  @Test func `of two, one that was silent for five usual latencies is not asked`() {
    let scene = ChoiceScene(.twoChoices, 4)
    let began = scene.now + .milliseconds(-110)
    for place in 0..<4 {
      scene.states[place].answered(after: .milliseconds(20), at: began)
      scene.states[place].began(at: began)
    }
    for place in [2, 3] {
      scene.states[place].began(at: began)
      scene.states[place].answered(after: .milliseconds(20), at: scene.now)
    }

    let counts = scene.tally(10_000)

    #expect(counts[0] + counts[1] < 50)
  }

  @Test(arguments: everyBalance)
  func `one that has left is asked only where all have`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 4)
    for place in [0, 1, 3] { scene.states[place].hasLeft = true }

    #expect(scene.tally(40) == [0, 0, 40, 0])
    scene.states[2].backedOffUntil = scene.now + .seconds(1)
    #expect(scene.tally(40) == [0, 0, 40, 0])

    scene.states[2].hasLeft = true
    #expect(scene.tally(40).reduce(0, +) == 40)
  }

  @Test(arguments: everyBalance)
  func `an endpoint that failed its checks gets nothing`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 4)
    scene.policy.pointee.hasChecks = true
    for place in 0..<4 as Range<Int32> { scene.check(place, place == 2 ? .timeout : .success) }
    let counts = scene.tally(2_000)
    #expect(counts[2] == 0)
    #expect([0, 1, 3].allSatisfy { counts[$0] > 200 })
    // Without checks nobody looks at what they found.
    scene.policy.pointee.hasChecks = false
    scene.now = scene.now + .seconds(1)
    #expect(scene.tally(2_000)[2] > 200)
  }

  @Test(arguments: everyBalance)
  func `half of the endpoints may be out by their checks, and of fewer all are asked`(
    _ balance: Balance
  ) {
    let scene = ChoiceScene(balance, 10)
    scene.policy.pointee.hasChecks = true
    for place in 0..<10 as Range<Int32> { scene.check(place, place < 5 ? .timeout : .success) }
    let half = scene.tally(4_000)
    #expect(half[..<5].allSatisfy { $0 == 0 })
    #expect(half[5...].allSatisfy { $0 > 200 })
    for _ in 0..<3 { scene.check(5, .timeout) }
    #expect(scene.tally(4_000).allSatisfy { $0 > 50 })
  }

  @Test(arguments: everyBalance)
  func `one that was never checked waits where somebody works, and serves where not`(
    _ balance: Balance
  ) {
    let scene = ChoiceScene(balance, 3)
    scene.policy.pointee.hasChecks = true
    #expect(scene.tally(600).allSatisfy { $0 > 50 })
    scene.check(0, .success)
    scene.check(1, .success)
    #expect(scene.tally(600)[2] == 0)
    scene.check(2, .success)
    #expect(scene.tally(600)[2] > 50)
  }

  @Test(arguments: everyBalance)
  func `an endpoint whose breaker is open gets nothing`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 4)
    scene.open(2)
    let counts = scene.tally(2_000)
    #expect(counts[2] == 0)
    #expect(counts.reduce(0, +) == 2_000)
    #expect([0, 1, 3].allSatisfy { counts[$0] > 200 })
  }

  @Test(arguments: everyBalance)
  func `where fewer than half are healthy all are asked`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 5)
    for place in [0, 1, 2] as [Int32] { scene.open(place) }
    let counts = scene.tally(4_000)
    #expect(scene.view.isPanic)
    #expect(counts.allSatisfy { $0 > 200 })

    let half = ChoiceScene(balance, 4)
    for place in [0, 1] as [Int32] { half.open(place) }
    let few = half.tally(1_000)
    #expect(!half.view.isPanic)
    #expect(few[0] == 0 && few[1] == 0)
  }

  @Test(arguments: everyBalance)
  func `what an operator took out is not asked in any need`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 3)
    scene.health.record(0).drain(true)
    scene.health.breaker(1).order(.open)
    scene.health.service(0).noteChange()
    #expect(scene.tally(100) == [0, 0, 100])
    scene.open(2)
    #expect(scene.tally(100) == [0, 0, 100])
    scene.health.record(2).drain(true)
    #expect(scene.choose() == -1)
  }

  @Test(arguments: everyBalance)
  func `the endpoint tried before is avoided while there is another`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 3)
    #expect(scene.tally(300, avoiding: 1)[1] == 0)
    let alone = ChoiceScene(balance, 1)
    #expect(alone.choose(avoiding: 0) == 0)
  }

  @Test(arguments: everyBalance)
  func `a service without endpoints has none`(_ balance: Balance) {
    #expect(ChoiceScene(balance, 0).choose() == -1)
  }

  @Test func `a breaker whose time is up gets its probes`() {
    let scene = ChoiceScene(.roundRobin, 3)
    scene.open(1)
    scene.now = scene.now + .seconds(7)
    #expect(scene.tally(30)[1] == 10)
  }

  @Test(arguments: everyBalance)
  func `one that comes back gets a tenth of its share at first`(_ balance: Balance) {
    let scene = ChoiceScene(balance, 4)
    scene.open(0)
    scene.now = scene.now + .seconds(7)
    let breaker = scene.health.breaker(0)
    for _ in 0..<3 {
      guard
        case .admitted(let ticket) = breaker.admit(
          at: scene.now,
          scene.policy.pointee.breaker,
          using: &scene.random
        )
      else { continue }
      breaker.end(
        ticket,
        .success,
        .endpoint,
        at: scene.now,
        scene.policy.pointee.breaker,
        using: &scene.random
      )
    }
    let few = scene.tally(4_000)
    #expect((30...300).contains(few[0]))
    scene.now = scene.now + .seconds(10)
    #expect(scene.tally(4_000)[0] > 600)
  }

  @Test func `one that joins gets its share little by little, where a slow start is set`() {
    let scene = ChoiceScene(.roundRobin, 2)
    scene.states[1].joinedAt = scene.now
    #expect(scene.tally(2_000) == [1_000, 1_000])
    scene.policy.pointee.slowStart = .seconds(30)
    #expect((60...250).contains(scene.tally(2_000)[1]))
    scene.now = scene.now + .seconds(15)
    #expect((600...850).contains(scene.tally(2_000)[1]))
    scene.now = scene.now + .seconds(15)
    #expect(scene.tally(2_000) == [1_000, 1_000])
  }

  @Test func `weighted round robin gives turns by weight and spreads them`() {
    let weights = [5, 1, 1]
    let scene = ChoiceScene(
      .roundRobin,
      weights.enumerated().map { ChoiceEndpoint(place: Int32($0), weight: $1) }
    )
    let turns = (0..<7).map { _ in scene.choose() }
    // nginx's own example.
    #expect(turns == [0, 0, 1, 0, 2, 0, 0])
    #expect(scene.tally(7_000) == [5_000, 1_000, 1_000])
  }

  @Test func `weights that add up to too long a round are kept nearly`() {
    let weights = [1_000, 999, 998, 997, 996, 1]
    let scene = ChoiceScene(
      .roundRobin,
      weights.enumerated().map { ChoiceEndpoint(place: Int32($0), weight: $1) }
    )
    let counts = scene.tally(40_960)
    #expect(counts[5] > 0 && counts[5] < 60)
    #expect((0..<5).allSatisfy { abs(Double(counts[$0]) / 40_960 - 0.2) < 0.01 })
  }

  @Test(arguments: [Balance.twoChoices, .roundRobin])
  func `weights of more endpoints than a round orders are kept by chance`(_ balance: Balance) {
    // In a round of 4,096 turns each of the light ones would have one.
    let scene = ChoiceScene(
      balance,
      (0..<2_000).map { ChoiceEndpoint(place: Int32($0), weight: $0 < 1_000 ? 1_000 : 1) }
    )
    let counts = scene.tally(20_000)
    #expect(counts[..<1_000].allSatisfy { $0 > 0 })
    #expect(counts[1_000...].reduce(0, +) < 200)
    scene.open(3)
    #expect(scene.tally(20_000)[3] == 0)
  }

  @Test(arguments: [Balance.twoChoices, .leastRequests])
  func `load in flight follows weights`(_ balance: Balance) {
    let scene = ChoiceScene(
      balance,
      [4, 2, 1, 1].enumerated().map { ChoiceEndpoint(place: Int32($0), weight: $1) }
    )
    for _ in 0..<800 { scene.states[Int(scene.choose())].inFlight += 1 }
    let loads = (0..<4).map { Int(scene.states[$0].inFlight) }
    for (load, fair) in zip(loads, [400, 200, 100, 100]) { #expect(abs(load - fair) <= 20) }
  }

  @Test func `least requests takes the one with the fewest of all`() {
    let scene = ChoiceScene(.leastRequests, 10)
    for place in 0..<10 { scene.states[place].inFlight = place == 6 ? 1 : 2 }
    #expect(scene.tally(100)[6] == 100)
  }

  @Test func `backups are asked while half of the first ones are out, and no longer`() {
    let scene = ChoiceScene(
      .roundRobin,
      (0..<5).map { ChoiceEndpoint(place: Int32($0), priority: $0 < 3 ? 0 : 1) }
    )
    #expect(scene.tally(30) == [10, 10, 10, 0, 0])
    scene.open(0)
    #expect(scene.tally(30)[3...].allSatisfy { $0 == 0 })
    scene.open(1)
    #expect(scene.tally(30) == [0, 0, 0, 15, 15])
    scene.health.breaker(0).order(.none)
    scene.health.service(0).noteChange()
    #expect(scene.tally(30)[3...].allSatisfy { $0 == 0 })
  }

  @Test func `a key keeps its endpoint, and few move when one leaves`() {
    let scene = ChoiceScene(.ringHash, 10)
    let smaller = ChoiceScene(
      .ringHash,
      (0..<9).map { ChoiceEndpoint(place: Int32($0), name: "10.0.0.\($0)") }
    )
    var counts = [Int](repeating: 0, count: 10)
    var moved = 0
    for number in 0..<4_000 {
      var hash = KeyHash()
      hash.add("user-\(number)".utf8)
      let owner = scene.choose(key: hash.value)
      #expect(scene.choose(key: hash.value) == owner)
      counts[Int(owner)] += 1
      if smaller.choose(key: hash.value) != owner { moved += 1 }
    }
    #expect(moved == counts[9])
    #expect(counts.allSatisfy { (200...650).contains($0) })
  }

  @Test func `a key that everybody asks for is spread beyond its owner's bound`() {
    let scene = ChoiceScene(.ringHash, 4)
    for _ in 0..<400 {
      scene.states[Int(scene.choose(key: 77))].inFlight += 1
      // A turn each: the load is counted anew.
      scene.now = scene.now + .milliseconds(1)
    }
    let loads = (0..<4).map { Int(scene.states[$0].inFlight) }
    #expect(loads.reduce(0, +) == 400)
    #expect((loads.max() ?? 0) <= 127)
  }
}
