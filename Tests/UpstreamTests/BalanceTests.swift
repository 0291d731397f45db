import Testing
import Units
import Upstream

/// A table of endpoints, and choices among them.
private struct Table {
  var states: [EndpointState]
  var cursor: UInt32 = 0
  var random = SplitMix64(seed: 5)
  let now = Instant(1_000_000_000)

  init(_ count: Int) { states = Array(repeating: EndpointState(), count: count) }

  mutating func choose(_ balance: Balance, avoiding: Int32 = -1) -> Int32 {
    let places = states.indices.map(Int32.init)
    return places.withUnsafeBufferPointer { places in
      states.withUnsafeMutableBufferPointer { states in
        guard let first = places.baseAddress, let state = states.baseAddress else { return -1 }
        let candidates = Candidates(places: first, count: places.count, states: state)
        return candidates.choose(
          balance,
          avoiding: avoiding,
          at: now,
          cursor: &cursor,
          using: &random
        )
      }
    }
  }

  /// How often each is chosen.
  mutating func tally(_ balance: Balance, _ times: Int, avoiding: Int32 = -1) -> [Int] {
    var counts = [Int](repeating: 0, count: states.count)
    for _ in 0..<times { counts[Int(choose(balance, avoiding: avoiding))] += 1 }
    return counts
  }

  mutating func rest(_ place: Int, for nanoseconds: Int64) {
    states[place].backedOffUntil = now + Nanoseconds(nanoseconds)
  }
}

struct BalanceTests {
  @Test(arguments: [Balance.twoChoices, .roundRobin])
  func `one that has left is taken only where all have`(_ balance: Balance) {
    var table = Table(3)
    table.states[0].hasLeft = true
    table.states[2].hasLeft = true

    #expect(table.tally(balance, 30) == [0, 30, 0])
    table.rest(1, for: 500)
    #expect(table.tally(balance, 30) == [0, 30, 0])

    table.states[1].hasLeft = true
    #expect(table.tally(balance, 30).reduce(0, +) == 30)
  }

  @Test(arguments: [Balance.twoChoices, .roundRobin])
  func `a single endpoint is taken whatever it did`(_ balance: Balance) {
    var table = Table(1)
    table.rest(0, for: 500)
    #expect(table.choose(balance, avoiding: 0) == 0)
  }

  @Test(arguments: [Balance.twoChoices, .roundRobin])
  func `when all rest, the first to be ready is taken, another than before`(_ balance: Balance) {
    var table = Table(3)
    table.rest(0, for: 30)
    table.rest(1, for: 10)
    table.rest(2, for: 20)
    #expect(table.tally(balance, 50) == [0, 50, 0])
    #expect(table.tally(balance, 50, avoiding: 1) == [0, 0, 50])
  }

  @Test(arguments: [Balance.twoChoices, .roundRobin])
  func `an endpoint at rest, or tried before, gets nothing while another can`(
    _ balance: Balance
  ) {
    var table = Table(4)
    table.rest(1, for: 1)
    let counts = table.tally(balance, 1_000, avoiding: 2)
    #expect(counts[1] == 0)
    #expect(counts[2] == 0)
    #expect(counts[0] > 0 && counts[3] > 0)
  }

  @Test func `a rest that is over counts no more`() {
    var table = Table(2)
    table.rest(0, for: 0)
    #expect(table.tally(.roundRobin, 10) == [5, 5])
  }

  @Test func `of two, the one with fewer requests under way is taken`() {
    var table = Table(2)
    table.states[0].inFlight = 3
    table.states[1].inFlight = 2
    table.states[1].latency.observe(0.9, at: table.now)
    table.states[0].latency.observe(0.3, at: table.now)
    #expect(table.tally(.twoChoices, 100) == [0, 100])
  }

  @Test func `of two, one that is far slower is taken where it has so much less to do`() {
    var table = Table(2)
    table.states[0].latency.observe(0.4, at: table.now)
    table.states[1].latency.observe(0.02, at: table.now)
    table.states[1].inFlight = 18
    #expect(table.tally(.twoChoices, 100) == [0, 100])
    table.states[1].inFlight = 20
    #expect(table.tally(.twoChoices, 100) == [100, 0])
    // One of which is only known what it did long ago may be as slow.
    table.states[1].latency = PeakAverage()
    table.states[1].latency.observe(0.02, at: table.now + .seconds(-6))
    table.states[1].inFlight = 1
    #expect(table.tally(.twoChoices, 100) == [100, 0])
  }

  @Test func `of two as busy, the faster is taken`() {
    var table = Table(2)
    table.states[0].latency.observe(0.2, at: Instant(1))
    table.states[1].latency.observe(0.1, at: Instant(1))
    #expect(table.tally(.twoChoices, 100) == [0, 100])
  }

  @Test func `of two, the one that said it has enough to do is not taken, however idle`() {
    var table = Table(2)
    table.states[0].refused(retryAfter: .seconds(10), at: table.now)
    table.states[1].inFlight = 50
    #expect(table.tally(.twoChoices, 100) == [0, 100])
    // When all have said so, it is as if nobody had.
    table.states[1].refused(retryAfter: .seconds(20), at: table.now)
    #expect(table.tally(.twoChoices, 100) == [100, 0])
  }

  @Test func `one that was silent for five usual latencies gets nothing while another can`() {
    var table = Table(4)
    let began = table.now + .milliseconds(-110)
    for place in 0..<4 { table.states[place].answered(after: .milliseconds(20), at: began) }
    for place in [0, 1] { table.states[place].began(at: began) }
    // Busier, and answering.
    for place in [2, 3] {
      for _ in 0..<3 { table.states[place].began(at: began) }
      table.states[place].answered(after: .milliseconds(20), at: table.now)
    }

    let counts = table.tally(.twoChoices, 10_000)

    // Four pairs of both are one of 1,296.
    #expect(counts[0] + counts[1] < 50)
    // When all are silent, the least busy are asked.
    for place in [2, 3] { table.states[place].quietSince = began }
    #expect(table.tally(.twoChoices, 10_000)[0] > 3_000)
  }

  @Test func `a slow answer among many does not hide that nothing comes`() {
    var state = EndpointState()
    let start = Instant(60_000_000_000)
    state.answered(after: .seconds(1), at: start)
    for _ in 0..<200 { state.answered(after: .milliseconds(20), at: start) }
    state.began(at: start)

    #expect(!state.isStuck(at: start + .milliseconds(90)))
    #expect(state.isStuck(at: start + .milliseconds(120)))
  }

  @Test func `one is quicker than an attempt that took five of its usual latencies`() {
    var state = EndpointState()
    let now = Instant(60_000_000_000)
    #expect(!state.isQuicker(than: .seconds(9)), "nobody knows")
    for _ in 0..<20 { state.answered(after: .milliseconds(20), at: now) }
    #expect(state.isQuicker(than: .milliseconds(110)))
    #expect(!state.isQuicker(than: .milliseconds(90)))
  }

  @Test func `one works that answered since, and owes nothing for long`() {
    var state = EndpointState()
    let now = Instant(60_000_000_000)
    let earlier = now + .milliseconds(-50)
    #expect(!state.works(since: earlier, at: now), "it never answered")
    state.answered(after: .milliseconds(20), at: now)
    #expect(state.works(since: earlier, at: now))
    #expect(!state.works(since: now + .milliseconds(1), at: now + .milliseconds(2)))

    var other = state
    other.refused(retryAfter: nil, at: now)
    #expect(!other.works(since: earlier, at: now), "a refusal is no sign of idleness")
    other = state
    other.hasLeft = true
    #expect(!other.works(since: earlier, at: now))
    other = state
    other.began(at: now)
    #expect(other.works(since: earlier, at: now + .milliseconds(90)))
    #expect(!other.works(since: earlier, at: now + .milliseconds(110)))
  }

  @Test func `what is not owed an answer is not waited for`() {
    var state = EndpointState()
    let now = Instant(60_000_000_000)
    state.answered(after: .milliseconds(20), at: now)
    for _ in 0..<3 { state.began(at: now) }
    #expect(state.isStuck(at: now + .milliseconds(110)))
    // Two of them are streams now, and the third one's client has yet to send.
    for _ in 0..<3 { state.endOwing() }
    #expect(state.inFlight == 3)
    #expect(!state.isStuck(at: now + .seconds(60)))
    state.began(at: now + .seconds(60))
    #expect(!state.isStuck(at: now + .seconds(60) + .milliseconds(90)))
  }

  @Test func `one that has nothing to do, or whose latency nobody knows, is not silent`() {
    var state = EndpointState()
    let now = Instant(60_000_000_000)
    #expect(!state.isStuck(at: now))
    state.began(at: Instant(1))
    #expect(!state.isStuck(at: now), "it never answered anybody")
    state.answered(after: .milliseconds(1), at: Instant(2))
    #expect(state.isStuck(at: Instant(30_000_000)))
    state.endOwing()
    #expect(!state.isStuck(at: now))
    state.began(at: now)
    #expect(!state.isStuck(at: now + .milliseconds(19)))
  }

  @Test func `the busiest of many gets nothing and the others share`() {
    var table = Table(8)
    table.states[3].inFlight = 10
    var counts = [Int](repeating: 0, count: 8)
    for _ in 0..<8_000 {
      let place = Int(table.choose(.twoChoices))
      counts[place] += 1
      table.states[place].inFlight += 1
    }
    // Every one ends within a few requests of the mean, the head start included.
    let loads = table.states.map(\.inFlight)
    #expect((loads.max() ?? 0) - (loads.min() ?? 0) < 16)
    #expect(counts.reduce(0, +) == 8_000)
  }

  @Test func `round robin gives each its turn`() {
    var table = Table(5)
    #expect(table.tally(.roundRobin, 1_000) == [200, 200, 200, 200, 200])
  }

  @Test func `a cursor from a longer list is brought back into range`() {
    var table = Table(3)
    table.cursor = .max
    #expect((0..<3).contains(table.choose(.roundRobin)))
  }
}
