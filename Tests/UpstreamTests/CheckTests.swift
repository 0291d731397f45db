import Testing
import Units
import Upstream

/// One endpoint's checks.
struct CheckStateTests {
  private static func run(
    _ results: [CheckResult],
    isOut: Bool = false,
    healthy: Int32 = 2,
    unhealthy: Int32 = 3
  ) -> [CheckVerdict] {
    var settings = CheckSettings()
    settings.healthyThreshold = healthy
    settings.unhealthyThreshold = unhealthy
    var state = CheckState()
    return results.map {
      let before = state.verdict
      let hasChanged = state.note($0, isOut: isOut, settings)
      #expect(hasChanged == (state.verdict != before))
      return state.verdict
    }
  }

  @Test func `the first result counts at once`() {
    #expect(Self.run([.success]) == [.up])
    for result in CheckResult.allCases where result != .success {
      #expect(Self.run([result]) == [.down])
    }
  }

  @Test func `failures in a row take it out, and fewer never do`() {
    #expect(Self.run([.success, .timeout, .broken, .timeout]) == [.up, .up, .up, .down])
    let flapping = Array(
      repeating: [CheckResult.success, .timeout, .timeout],
      count: 20
    ).flatMap(\.self)
    #expect(Self.run(flapping).allSatisfy { $0 == .up })
  }

  @Test func `successes in a row bring it back, and fewer never do`() {
    #expect(Self.run([.timeout, .success, .success]) == [.down, .down, .up])
    let flapping = Array(repeating: [CheckResult.broken, .success], count: 20).flatMap(\.self)
    #expect(Self.run(flapping).allSatisfy { $0 == .down })
  }

  @Test func `where nobody works one success is enough`() {
    #expect(Self.run([.timeout, .success], isOut: true, healthy: 9) == [.down, .up])
    let late: [CheckResult] = [.success, .timeout, .timeout, .timeout]
    #expect(Self.run(late, isOut: true).last == .down)
  }

  @Test func `thresholds of one follow each result`() {
    #expect(
      Self.run([.success, .timeout, .success, .timeout], healthy: 1, unhealthy: 1)
        == [.up, .down, .up, .down]
    )
  }

  @Test func `waits spread by a tenth, and one that is down is checked each second`() {
    var random = SplitMix64(seed: 7)
    var settings = CheckSettings()
    settings.interval = .seconds(10)
    for _ in 0..<1_000 {
      let up = settings.wait(isDown: false, using: &random)
      #expect(up >= .seconds(10) && up <= .seconds(11))
      let down = settings.wait(isDown: true, using: &random)
      #expect(down >= .seconds(1) && down <= .milliseconds(1_100))
      let doubted = settings.wait(isDown: true, isDoubted: true, using: &random)
      #expect(doubted >= .milliseconds(250) && doubted <= .milliseconds(275))
      let first = settings.firstWait(using: &random)
      #expect(first >= .zero && first <= .milliseconds(500))
    }
    settings.interval = .milliseconds(20)
    #expect(settings.wait(isDown: true, using: &random) <= .milliseconds(22))
    #expect(settings.firstWait(using: &random) <= .milliseconds(20))
  }
}

/// What becomes of requests while checks find nobody.
struct OutageTests {
  private static let start = Instant(5_000_000_000)

  private static func out() -> OutageWord {
    var word = OutageWord()
    word.foundNobody(at: start)
    return word
  }

  @Test func `one request a second is let through, and the others hear when to come again`() {
    var word = Self.out()
    var random = SplitMix64(seed: 1)
    var probes = 0
    for step in 0..<1_000 {
      let now = Self.start + .milliseconds(Int64(step) * 10)
      switch word.admit(at: now, using: &random) {
      case .probe: probes += 1
      case .refused(let wait): #expect(wait > .zero && wait <= .seconds(1))
      case .passed: Issue.record("passed while nobody works")
      }
      #expect(word.state == .out)
    }
    #expect(probes == 9)
  }

  @Test func `when somebody works again all follow within two seconds, little by little`() {
    var word = Self.out()
    var random = SplitMix64(seed: 1)
    let back = Self.start + .seconds(30)
    word.foundSomebody(at: back)
    #expect(word.state == .ramp)
    var firstSecond = 0
    for step in 0..<1_000 {
      let decision = word.admit(at: back + .milliseconds(Int64(step)), using: &random)
      if decision == .passed { firstSecond += 1 }
    }
    // A tenth at first and 55 of a hundred at its end: a third of what comes.
    #expect((280...370).contains(firstSecond))
    #expect(word.admit(at: back + .seconds(2), using: &random) == .passed)
    #expect(word.state == .serving)
  }

  @Test func `what checks find again and again changes nothing`() {
    var word = Self.out()
    let before = word
    word.foundNobody(at: Self.start + .seconds(9))
    #expect(word == before)
    word.foundSomebody(at: Self.start + .seconds(10))
    let ramp = word
    word.foundSomebody(at: Self.start + .seconds(11))
    #expect(word == ramp)
  }

  @Test func `the success of a probe shows that checks are wrong, until a request fails`() {
    var word = Self.out()
    var random = SplitMix64(seed: 1)
    let now = Self.start + .seconds(1)
    #expect(word.admit(at: now, using: &random) == .probe)
    word.ended(isSuccess: true, isProbe: true, at: now)
    #expect(word.state == .ramp && word.isDoubted)
    word.foundNobody(at: now)
    #expect(word.state == .ramp)
    #expect(word.admit(at: now + .seconds(3), using: &random) == .passed)
    #expect(word.state == .serving && word.isDoubted)

    word.ended(isSuccess: false, isProbe: false, at: now + .seconds(4))
    #expect(word.state == .out && !word.isDoubted)
    #expect(!word.mayAdmit(at: now + .seconds(4)))
  }

  @Test func `requests that were no probes end no outage, and failures begin none`() {
    var word = Self.out()
    word.ended(isSuccess: true, isProbe: false, at: Self.start + .seconds(1))
    #expect(word.state == .out)
    var serving = OutageWord()
    serving.ended(isSuccess: false, isProbe: false, at: Self.start)
    #expect(serving == OutageWord())
  }

  @Test func `checks that find somebody end the doubt`() {
    var word = Self.out()
    word.ended(isSuccess: true, isProbe: true, at: Self.start)
    word.foundSomebody(at: Self.start + .seconds(1))
    #expect(!word.isDoubted)
    word.foundNobody(at: Self.start + .seconds(5))
    #expect(word.state == .out)
  }
}

/// Endpoints of one service, and a clock.
private final class Fleet {
  private let healthMemory = HealthMemory(services: 4)
  var health: HealthTable { healthMemory.table }
  let directory = EndpointDirectory()
  let leases: [EndpointDirectory.Lease]
  var now = Instant(1_000_000_000)

  init(_ count: Int) {
    leases = (0..<count).compactMap { [directory] in
      directory.lease(service: "s", address: "\($0)")
    }
    for lease in leases { health.adopt(lease) }
  }

  @discardableResult
  func note(_ result: CheckResult, _ index: Int) -> Bool {
    let places = leases.map(\.place)
    return places.withUnsafeBufferPointer { places in
      let fleet = CheckFleet(
        places: places,
        health: health,
        service: 1,
        settings: CheckSettings()
      )
      return fleet.note(result, at: places[index], now: now)
    }
  }

  /// Lets checks of it fail as often as it takes.
  func fell(_ index: Int) { for _ in 0..<3 { note(.timeout, index) } }

  func verdict(_ index: Int) -> CheckVerdict {
    health.record(leases[index].place).check.verdict
  }

  var outage: OutageWord { health.service(1).outage.word }
}

struct CheckFleetTests {
  @Test func `any number may be out by their checks, whatever outliers are allowed`() {
    let fleet = Fleet(10)
    for index in 0..<10 { fleet.note(.success, index) }
    for index in 0..<5 { fleet.fell(index) }
    #expect((0..<10).map(fleet.verdict).count { $0 == .down } == 5)
    #expect(fleet.outage.state == .serving)
  }

  @Test func `the last one that goes begins an outage, and the first one that comes ends it`() {
    let fleet = Fleet(3)
    for index in 0..<3 { fleet.note(.success, index) }
    fleet.fell(0)
    fleet.fell(1)
    #expect(fleet.outage.state == .serving)
    fleet.fell(2)
    #expect(fleet.outage.state == .out)
    fleet.now = fleet.now + .seconds(30)
    #expect(fleet.note(.success, 1), "one success is enough")
    #expect(fleet.outage.state == .ramp)
    #expect(!fleet.note(.success, 0), "and is not where somebody works")
  }

  @Test func `endpoints never checked are no outage, and those taken out by order no help`() {
    let fleet = Fleet(3)
    fleet.fell(0)
    fleet.fell(1)
    #expect(fleet.outage.state == .serving)
    fleet.health.record(fleet.leases[2].place).drain(true)
    fleet.note(.timeout, 0)
    #expect(fleet.outage.state == .out)
  }

  @Test func `what is known of an endpoint is gone with its place, and when it is forgotten`() {
    let fleet = Fleet(2)
    fleet.fell(0)
    CheckFleet.forget(fleet.leases[0].place, in: fleet.health)
    #expect(fleet.verdict(0) == .unknown)
    #expect(fleet.health.service(1).checkCount(.timeout) == 3)
  }

  @Test func `the breaker of one that returns has no time left`() {
    let fleet = Fleet(2)
    var random = SplitMix64(seed: 3)
    let settings = BreakerSettings()
    let breakers = fleet.leases.map { fleet.health.breaker($0.place) }
    for (index, breaker) in breakers.enumerated() {
      fleet.fell(index)
      for _ in 0..<5 {
        guard case .admitted(let ticket) = breaker.admit(at: fleet.now, settings, using: &random)
        else { continue }
        breaker.end(
          ticket,
          .reset,
          latency: .zero,
          .endpoint,
          at: fleet.now,
          settings,
          using: &random
        )
      }
      #expect(breaker.word.state == .open && breaker.word.time > fleet.now)
    }

    fleet.note(.success, 0)

    #expect(breakers[0].word.time <= fleet.now)
    #expect(breakers[1].word.time > fleet.now)
  }

  @Test func `one that returns gets its share little by little, one that is new at once`() {
    let fleet = Fleet(1)
    let record = fleet.health.record(fleet.leases[0].place)
    fleet.note(.success, 0)
    #expect(record.checkShare(at: fleet.now) == 1)
    fleet.fell(0)
    fleet.note(.success, 0)
    #expect(abs(record.checkShare(at: fleet.now) - 0.1) < 0.001)
    #expect(abs(record.checkShare(at: fleet.now + .seconds(1)) - 0.55) < 0.001)
    #expect(record.checkShare(at: fleet.now + .seconds(2)) == 1)
  }
}
